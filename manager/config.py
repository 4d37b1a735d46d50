"""The cloud device's configuration as frozen values, read from a checked ``rui-cloud`` tree.

The model decides what is valid and what the defaults are (YANG module ``rui-cloud``); this file only turns
names into types. A file that a name points to is looked at here, so that a bad one is found at the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lxml import etree

from netconf_client.api import Target
from netconf_client.configured import read_host_key, read_password
from netconf_client.errors import ConnectFailed
from netconf_client.sshclient import load_credentials
from netconf_client.tls import TlsTarget
from netconf_server.accounts import Account, read_accounts
from netconf_server.limits import Limits, read_limits
from netconf_server.tlscontext import TlsOptions, read_tls
from rui.backup import wire
from rui.backup.cloud import CloudOptions
from rui.backup.delivery import DeliveryMode
from rui.backup.lease import LeaseOptions
from rui.backup.source import SourceOptions
from rui.schema import Schema
from rui.schema.leaves import ConfigError, child, children, optional, seconds, text

NAMESPACE = "urn:rui-cloud:yang:cloud"
MODULES = (
    "ietf-netconf-acm",
    "ietf-x509-cert-to-name",
    "rui-cloud",
    "rui-identity",
    "rui-user-info",
    "rui-backup",
    "rui-link-status",
    "rui-alarms",
    "rui-audit",
    "rui-config-sync",
    "rui-switchover",
)
"""The modules that the cloud device implements, besides those of its NETCONF server."""


Driver = Literal["native", "vendor"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and port to listen on; port 0 takes any free one."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One router: how to reach it, and the waits in seconds between tries.

    ``call_home``: it dials in, over TLS where the target is a TlsTarget.

    ``groups`` are those that it may be a member of, None for any.
    """

    device: str
    enabled: bool
    call_home: bool
    driver: Driver
    target: Target | TlsTarget
    first_wait: float
    longest_wait: float
    groups: frozenset[str] | None = None

    def allows(self, group: str) -> bool:
        """Say whether the router may speak for a group."""
        return self.groups is None or group in self.groups


@dataclass(frozen=True, slots=True)
class Profile:
    """How a group is kept and handed on."""

    options: CloudOptions = field(default_factory=CloudOptions)
    tombstones: int = 100_000
    history: int = 64
    link_timeout: float = 3.0


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The cloud's own NETCONF server."""

    listen: Endpoint | None
    call_home_listen: Endpoint | None
    host_key_file: Path
    accounts: tuple[Account, ...]
    limits: Limits
    tls_listen: Endpoint | None = None
    tls: TlsOptions | None = None
    call_home_tls_listen: Endpoint | None = None
    call_home_tls: TlsOptions | None = None


@dataclass(frozen=True, slots=True)
class ManagerConfig:
    """Everything that the configuration says."""

    server: ServerConfig
    devices: Mapping[str, DeviceConfig]
    groups: Mapping[str, Profile] = field(default_factory=dict)
    default_profile: Profile = field(default_factory=Profile)

    def profile(self, group: str) -> Profile:
        """Return a group's profile: its own, or the defaults."""
        return self.groups.get(group, self.default_profile)

    @property
    def probe_interval(self) -> float:
        """How often devices are probed: a fifth of the shortest disconnection timeout, in seconds."""
        profiles = (self.default_profile, *self.groups.values())
        return min(profile.link_timeout for profile in profiles) / 5


def read_config(schema: Schema, running: etree._Element, folder: Path, data: Path) -> ManagerConfig:
    """Read a running configuration. File names count from ``folder``, the host key's from ``data``.

    Raises ConfigError, and DataError where the model refuses it.
    """
    root = schema.complete_config(running)
    cloud = root.find(f"{{{NAMESPACE}}}cloud")
    if cloud is None:
        raise ConfigError(
            "the configuration holds no <cloud> container: this is no startup file of a manager"
        )
    return _Reader(folder, data).cloud(cloud, _default_profile(schema))


def _default_profile(schema: Schema) -> Profile:
    """Ask the model for the profile of a group about which nothing is said."""
    name = etree.QName(NAMESPACE, "cloud")
    cloud = etree.Element(name)
    group = etree.SubElement(cloud, f"{{{NAMESPACE}}}group")
    etree.SubElement(group, f"{{{NAMESPACE}}}group-id").text = "default"
    completed = schema.complete_config(cloud).find(f".//{{{NAMESPACE}}}group")
    return _profile(completed if completed is not None else group)


class _Reader:
    def __init__(self, folder: Path, data: Path) -> None:
        self._folder = folder
        self._data = data

    def cloud(self, cloud: etree._Element, default_profile: Profile) -> ManagerConfig:
        groups = {text(entry, "group-id"): _profile(entry) for entry in children(cloud, "group")}
        element = cloud.find(f"{{{NAMESPACE}}}netconf-server")
        if element is None:
            raise ConfigError("/rui-cloud:cloud/netconf-server is missing: say where the cloud listens")
        server = self._server(element)
        devices = [self._device(entry, server.call_home_tls) for entry in children(cloud, "device")]
        return ManagerConfig(server, {device.device: device for device in devices}, groups, default_profile)

    def _server(self, server: etree._Element) -> ServerConfig:
        tls = server.find(f"{{{NAMESPACE}}}tls")
        home_tls = server.find(f"{{{NAMESPACE}}}call-home-tls-listen")
        return ServerConfig(
            listen=_endpoint(server.find(f"{{{NAMESPACE}}}listen")),
            call_home_listen=_endpoint(server.find(f"{{{NAMESPACE}}}call-home-listen")),
            host_key_file=self._data / text(server, "host-key-file"),
            accounts=read_accounts(server),
            limits=read_limits(child(server, "limits")),
            tls_listen=_endpoint(tls),
            tls=None if tls is None else read_tls(tls, self._folder),
            call_home_tls_listen=_endpoint(home_tls),
            call_home_tls=None if home_tls is None else read_tls(home_tls, self._folder),
        )

    def _device(self, entry: etree._Element, home_tls: TlsOptions | None) -> DeviceConfig:
        device = text(entry, "device-id")
        where = f"/rui-cloud:cloud/device[device-id='{device}']"
        reconnect = child(entry, "reconnect")
        tls = entry.find(f"{{{NAMESPACE}}}tls")
        calls_over_tls = entry.find(f"{{{NAMESPACE}}}call-home-tls") is not None
        target: Target | TlsTarget
        if home_tls is not None and calls_over_tls:
            target = self._caller(entry, home_tls)
        else:
            target = self._target(entry, where) if tls is None else self._tls_target(entry, tls)
        return DeviceConfig(
            device=device,
            enabled=text(entry, "enabled") == "true",
            call_home=calls_over_tls or entry.find(f"{{{NAMESPACE}}}call-home") is not None,
            driver="vendor" if text(entry, "driver") == "vendor" else "native",
            target=target,
            first_wait=seconds(reconnect, "first-wait"),
            longest_wait=seconds(reconnect, "longest-wait"),
            groups=frozenset(group.text or "" for group in children(entry, "group")) or None,
        )

    def _target(self, entry: etree._Element, where: str) -> Target:
        keepalive = child(entry, "keepalive")
        target = Target(
            host=optional(entry, "address") or text(entry, "device-id"),
            port=int(text(entry, "port")),
            username=text(entry, "username"),
            password=read_password(entry, self._folder, where),
            client_keys=self._keys(entry),
            host_key=read_host_key(entry, self._folder, where),
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

    def _tls_target(self, entry: etree._Element, tls: etree._Element) -> TlsTarget:
        keepalive = child(entry, "keepalive")
        return TlsTarget(
            host=text(entry, "address"),
            certificate=self._folder / text(tls, "certificate-file"),
            private_key=self._folder / text(tls, "private-key-file"),
            trust=self._folder / text(tls, "trust-file"),
            port=int(text(entry, "port")),
            server_name=optional(tls, "server-name"),
            keepalive_interval=seconds(keepalive, "interval"),
            keepalive_count=int(text(keepalive, "max-missed")),
            bulk=frozenset({wire.UPLOAD}),
        )

    def _caller(self, entry: etree._Element, home: TlsOptions) -> TlsTarget:
        """What holds for a router that calls home over TLS; where it calls from is known then."""
        keepalive = child(entry, "keepalive")
        return TlsTarget(
            host=text(entry, "device-id"),
            certificate=home.certificate,
            private_key=home.private_key,
            trust=home.trust,
            keepalive_interval=seconds(keepalive, "interval"),
            keepalive_count=int(text(keepalive, "max-missed")),
            bulk=frozenset({wire.UPLOAD}),
            check_revocation=home.check_revocation,
        )

    def _keys(self, entry: etree._Element) -> tuple[Path, ...]:
        name = optional(entry, "private-key-file")
        if name is None:
            return ()
        return (self._folder / name,)


def _profile(entry: etree._Element) -> Profile:
    timers = child(entry, "timers")
    source = SourceOptions(
        batch_records=int(text(entry, "max-records")),
        receipt_timeout=seconds(timers, "delivery-timeout"),
    )
    link_timeout = seconds(timers, "link-timeout")
    lease = LeaseOptions(
        lease=int(text(timers, "lease-factor")) * link_timeout, grant=seconds(timers, "grant-lapse")
    )
    options = CloudOptions(mode=DeliveryMode(text(entry, "delivery-mode")), source=source, lease=lease)
    retention = child(entry, "retention")
    return Profile(
        options,
        tombstones=int(text(retention, "tombstones")),
        history=int(text(retention, "history")),
        link_timeout=link_timeout,
    )


def _endpoint(element: etree._Element | None) -> Endpoint | None:
    return None if element is None else Endpoint(text(element, "address"), int(text(element, "port")))
