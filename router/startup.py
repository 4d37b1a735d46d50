"""From a running configuration to values: the model has checked it and filled in its defaults.

What the model cannot know is looked at here, at the start: the files that names point to, and settings that
fail only together.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from pathlib import Path
from socket import gethostname

from lxml import etree

from netconf_client.api import Target
from netconf_client.configured import read_host_key, read_password
from netconf_client.errors import ConnectFailed
from netconf_client.sshclient import load_credentials
from netconf_server.accounts import read_accounts
from netconf_server.limits import read_limits
from netconf_server.tlscontext import TlsOptions, read_tls
from router.bfd import read_bfd
from router.config import (
    Acknowledgement,
    AcknowledgementPolicy,
    AddressPool,
    CallHome,
    CloudEndpoint,
    DhcpSource,
    Endpoint,
    FailoverConfig,
    GroupConfig,
    PortConfig,
    RbsChannel,
    RouterConfig,
    ServerConfig,
    SimulatedSource,
    TlsListen,
)
from router.dataplane import read_dataplane
from router.dhcp.values import (
    AccessPort,
    DownstreamPolicy,
    Option82Policy,
    Pool,
    RelayConfig,
    RelayConfigError,
)
from router.virtual import hear_virtual, join_plane
from router.vrrp import VrrpConfig, read_vrrp
from rui.backoff import BackoffPolicy
from rui.backup import wire
from rui.backup.decision import Policy
from rui.backup.failover import FailoverOptions
from rui.backup.identity import Role
from rui.backup.links import LinkOptions
from rui.backup.mastership import MasterOptions
from rui.callhome import StartWith
from rui.schema import Schema
from rui.schema.leaves import ConfigError, child, children, optional, seconds, text

NAMESPACE = "urn:rui-cloud:yang:device"
_SWITCHING = "urn:rui-cloud:yang:identity-switching"
MODULES = ("rui-device", "rui-identity", "rui-user-info", "rui-backup", "rui-link-status")
"""The modules that a router implements, besides those of its NETCONF server."""

# A loop that is busy for a moment must not look dead, so a server probes at most once a second.
_PROBES, _SHORTEST_PROBE = 3, 1.0


def read_config(schema: Schema, running: etree._Element, folder: Path) -> RouterConfig:
    """Read a running configuration. File names count from ``folder``.

    Raises ConfigError, and DataError where the model refuses it.
    """
    device = schema.complete_config(running).find(_tag("device"))
    if device is None:
        raise ConfigError(
            "the configuration holds no <device> container: this is no startup file of a router"
        )
    server = child(device, "netconf-server")
    groups = tuple(_group(entry) for entry in children(device, "group"))
    plane = read_dataplane(device)
    if plane is not None:
        plane = join_plane(plane, groups)
    return RouterConfig(
        device=text(device, "device-id"),
        address=optional(device, "address") or _own_address(server),
        server=_server(server, min((group.link_timeout for group in groups), default=_PROBES), folder),
        cloud=tuple(
            CloudEndpoint(
                text(entry, "name"), _target(entry, folder, f"cloud-endpoint[name='{text(entry, 'name')}']")
            )
            for entry in children(device, "cloud-endpoint")
        ),
        channels=_channels(device, folder),
        groups=tuple(hear_virtual(group, plane) for group in groups),
        journal_limit=int(text(child(device, "journal"), "max-size")),
        bfd=read_bfd(device),
        dataplane=plane,
    )


def _own_address(server: etree._Element) -> str:
    """Return what to call this router where nothing is configured: where it listens, or its host name."""
    address = server.findtext(f"{_tag('listen')}/{_tag('address')}") or "::"
    return gethostname() if ip_address(address).is_unspecified else address


def _server(server: etree._Element, link_timeout: float, folder: Path) -> ServerConfig:
    """Read the server; a session whose other end is gone is found in about ``link_timeout`` seconds."""
    limits = child(server, "limits")
    listen, tls = server.find(_tag("listen")), server.find(_tag("tls"))
    calls = (
        *(_call_home(entry) for entry in children(server, "call-home")),
        *(_call_home(entry, read_tls(entry, folder)) for entry in children(server, "call-home-tls")),
    )
    if listen is None and tls is None and not calls:
        raise ConfigError(
            "/rui-device:device/netconf-server: the router neither listens nor calls home, so the cloud "
            "cannot reach it: add <listen/>, <tls> or a <call-home>"
        )
    return ServerConfig(
        listen=None if listen is None else _endpoint(listen),
        call_home=calls,
        host_key_file=text(server, "host-key-file"),
        accounts=read_accounts(server),
        limits=replace(
            read_limits(limits),
            keepalive_interval=max(_SHORTEST_PROBE, link_timeout / _PROBES),
            keepalive_count=_PROBES,
        ),
        tls=None if tls is None else TlsListen(_endpoint(tls), read_tls(tls, folder)),
    )


def _call_home(entry: etree._Element, tls: TlsOptions | None = None) -> CallHome:
    strategy = child(entry, "reconnect-strategy")
    own = [entry] if optional(entry, "address") is not None else []
    return CallHome(
        text(entry, "name"),
        tuple(_endpoint(found) for found in (*own, *children(entry, "endpoint"))),
        _reconnect(entry),
        StartWith(text(strategy, "start-with")),
        float(text(strategy, "max-wait")),
        int(text(strategy, "max-attempts")),
        tls,
    )


def _channels(device: etree._Element, folder: Path) -> tuple[RbsChannel, ...]:
    """Return the channels, each probed as often as the most impatient group on it wants."""
    channels = []
    for entry in children(device, "rbs-channel"):
        peer = text(entry, "peer")
        intervals = [
            _link(group).interval
            for group in children(device, "group")
            if any(text(member, "device-id") == peer for member in children(group, "member"))
        ]
        target = _target(entry, folder, f"rbs-channel[peer='{peer}']")
        channels.append(RbsChannel(peer, target, _reconnect(entry), min(intervals, default=1.0)))
    return tuple(channels)


def _link(group: etree._Element) -> LinkOptions:
    timers, degraded = child(group, "timers"), child(group, "degraded")
    interval = optional(timers, "probe-interval")
    return LinkOptions(
        timeout=seconds(timers, "link-timeout"),
        hold=seconds(timers, "hold-time"),
        window=seconds(degraded, "window"),
        enter_rtt=seconds(degraded, "enter-rtt"),
        enter_loss=float(text(degraded, "enter-loss")) / 100,
        leave_rtt=seconds(degraded, "leave-rtt"),
        leave_loss=float(text(degraded, "leave-loss")) / 100,
        probe_interval=float(interval) / 1000 if interval else None,
    )


def _failover(group: etree._Element) -> FailoverConfig:
    timers = child(group, "timers")
    return FailoverConfig(
        initiator=Role(text(group, "initiator")),
        options=FailoverOptions(
            fault_policy=Policy(text(group, "fault-policy")),
            degraded_policy=Policy(text(group, "degraded-policy")),
            max_wait=seconds(timers, "max-wait"),
            hold=seconds(timers, "hold-time"),
            query_tries=int(text(timers, "query-tries")),
            query_timeout=seconds(timers, "query-timeout"),
        ),
        link=_link(group),
    )


def _target(entry: etree._Element, folder: Path, name: str) -> Target:
    where = f"/rui-device:device/{name}"
    keepalive = child(entry, "keepalive")
    key = optional(entry, "private-key-file")
    target = Target(
        host=text(entry, "address"),
        port=int(text(entry, "port")),
        username=text(entry, "username"),
        password=read_password(entry, folder, where),
        client_keys=(folder / key,) if key is not None else (),
        host_key=read_host_key(entry, folder, where),
        keepalive_interval=seconds(keepalive, "interval"),
        keepalive_count=int(text(keepalive, "max-missed")),
        bulk=frozenset({wire.UPLOAD}),
    )
    try:
        load_credentials(target)
    except ConnectFailed as error:
        raise ConfigError(
            f"{where}/private-key-file: {error.reason}; "
            "give a private key in OpenSSH's form, without passphrase"
        ) from error
    return target


def _group(entry: etree._Element) -> GroupConfig:
    upload, acknowledgement = child(entry, "upload"), child(entry, "acknowledgement")
    vrrp = read_vrrp(entry)
    if vrrp is not None and children(entry, "member"):
        vrrp = vrrp.yielding()
    timers = child(entry, "timers")
    real_time = text(upload, "mode") == "real-time"
    return GroupConfig(
        id=text(entry, "id"),
        role=Role(optional(entry, "static-role") or Role.SECONDARY.value),
        members={
            text(member, "device-id"): optional(member, "address") or ""
            for member in children(entry, "member")
        },
        ports=tuple(
            PortConfig(
                interface=text(port, "interface"),
                logical_port=_logical_port(port),
                outer_vlan=int(text(port, "outer-vlan")),
                inner_vlan=int(text(port, "inner-vlan")),
            )
            for port in children(entry, "access-port")
        ),
        pools=_pools(entry),
        upload_interval=0.0 if real_time else seconds(upload, "batch-interval"),
        max_records=int(text(upload, "max-records")),
        acknowledgement=Acknowledgement(
            AcknowledgementPolicy(text(acknowledgement, "policy")), seconds(acknowledgement, "max-wait")
        ),
        link_timeout=seconds(timers, "link-timeout"),
        digest_interval=float(text(timers, "digest-interval")),
        failover=_failover(entry),
        standing=_standing(entry, vrrp),
        vrrp=vrrp,
        source=_source(entry),
    )


def _standing(entry: etree._Element, vrrp: VrrpConfig | None) -> MasterOptions:
    switching = entry.find(f"{{{_SWITCHING}}}identity-switching")
    if switching is None:
        return MasterOptions(elected=vrrp is not None)
    return MasterOptions(
        elected=vrrp is not None,
        automatic=text(switching, "automatic") == "true",
        wait_to_restore=float(text(switching, "wait-to-restore")),
    )


def _source(entry: etree._Element) -> DhcpSource | SimulatedSource | None:
    dhcp, simulated = entry.find(_tag("dhcp")), entry.find(_tag("simulated"))
    if dhcp is not None:
        return _dhcp(entry, dhcp)
    return None if simulated is None else _simulated(simulated)


def _dhcp(entry: etree._Element, dhcp: etree._Element) -> DhcpSource:
    virtual = optional(entry, "virtual-giaddr")
    giaddr = optional(dhcp, "giaddr") or text(entry, "virtual-giaddr")
    try:
        relay = RelayConfig(
            group_id=text(entry, "id"),
            giaddr=IPv4Address(giaddr),
            virtual_address=None if virtual is None else IPv4Address(virtual),
            servers=tuple(IPv4Address(server.text or "") for server in children(dhcp, "server")),
            ports=tuple(
                AccessPort(
                    text(port, "interface"),
                    _logical_port(port),
                    int(text(port, "outer-vlan")),
                    int(text(port, "inner-vlan")),
                    text(port, "trusted") == "true",
                )
                for port in children(entry, "access-port")
            ),
            option82=Option82Policy(text(entry, "option-82-policy")),
            downstream=DownstreamPolicy(text(dhcp, "downstream-policy")),
            circuit_id=text(dhcp, "circuit-id-template"),
            remote_id=text(dhcp, "remote-id-template"),
            pools=tuple(
                Pool(pool.name, pool.network)
                for pool in _pools(entry)
                if isinstance(pool.network, IPv4Network)
            ),
            hops_limit=int(text(dhcp, "hops-limit")),
            transaction_limit=int(text(dhcp, "max-requests")),
            transaction_timeout=seconds(dhcp, "request-timeout"),
        )
    except RelayConfigError as error:
        raise ConfigError(f"/rui-device:device/group[id='{text(entry, 'id')}']/dhcp: {error}") from error
    return DhcpSource(
        relay=relay,
        listen=Endpoint(text(dhcp, "listen-address"), int(text(dhcp, "listen-port"))),
        server_port=int(text(dhcp, "server-port")),
        client_port=int(text(dhcp, "client-port")),
    )


def _simulated(simulated: etree._Element) -> SimulatedSource:
    return SimulatedSource(
        seed=int(text(simulated, "seed")),
        arrivals=float(text(simulated, "arrivals")),
        hold_time=float(text(simulated, "mean-hold-time")),
        initial_population=int(text(simulated, "initial-population")),
        max_population=int(text(simulated, "max-population")),
        first_ipv4_address=IPv4Address(text(simulated, "first-ipv4-address")),
        ipv6=text(simulated, "ipv6") == "true",
        lease_time=int(text(simulated, "lease-time")),
    )


def _pools(entry: etree._Element) -> tuple[AddressPool, ...]:
    return tuple(
        AddressPool(text(pool, "name"), ip_network(text(pool, "prefix"), strict=False))
        for pool in children(entry, "address-pool")
    )


def _logical_port(port: etree._Element) -> str:
    return optional(port, "logical-port") or text(port, "interface")


def _endpoint(element: etree._Element) -> Endpoint:
    return Endpoint(text(element, "address"), int(text(element, "port")))


def _reconnect(entry: etree._Element) -> BackoffPolicy:
    reconnect = child(entry, "reconnect")
    return BackoffPolicy(initial=seconds(reconnect, "first-wait"), maximum=seconds(reconnect, "longest-wait"))


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
