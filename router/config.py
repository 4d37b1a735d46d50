"""A router's configuration as frozen values; :mod:`router.startup` reads them from a ``rui-device`` tree.

Times are in seconds, sizes in octets. The model holds the defaults, so no value here has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from netconf_client.api import Target
from netconf_server.accounts import Account
from netconf_server.limits import Limits
from netconf_server.tlscontext import TlsOptions
from router.bfd import BfdConfig
from router.dataplane import DataPlaneConfig
from router.dhcp.values import RelayConfig
from router.vrrp import VrrpConfig
from rui.backoff import BackoffPolicy
from rui.backup.failover import FailoverOptions
from rui.backup.identity import Role
from rui.backup.links import LinkOptions
from rui.backup.mastership import MasterOptions
from rui.callhome import StartWith


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and a TCP or UDP port; port 0 takes any free one."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class CallHome:
    """A manager that this router dials (RFC 8071), at one of its endpoints; ``max_wait`` in seconds.

    With ``tls`` over TLS (RFC 7589), else over SSH.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    reconnect: BackoffPolicy
    start_with: StartWith
    max_wait: float
    max_attempts: int
    tls: TlsOptions | None = None


@dataclass(frozen=True, slots=True)
class CloudEndpoint:
    """The cloud's own NETCONF server, from which a secondary downloads (S504)."""

    name: str
    target: Target


@dataclass(frozen=True, slots=True)
class TlsListen:
    """Where the router listens for TLS (RFC 7589), and with which certificates."""

    endpoint: Endpoint
    options: TlsOptions


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The router's own NETCONF server; without ``listen`` it only calls home."""

    listen: Endpoint | None
    call_home: tuple[CallHome, ...]
    host_key_file: str
    accounts: tuple[Account, ...]
    limits: Limits
    tls: TlsListen | None = None


class AcknowledgementPolicy(Enum):
    """Who holds a record durably before the login is answered, besides this router."""

    ASYNC = "async"
    CLOUD = "cloud"
    PEER = "peer"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a login waits for, and for how long at most; then it is answered and the user is unprotected."""

    policy: AcknowledgementPolicy
    max_wait: float


@dataclass(frozen=True, slots=True)
class AddressPool:
    """A pool that the group's users have addresses from."""

    name: str
    network: IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class DhcpSource:
    """Real users: the relay's own configuration, and the UDP ports it works on."""

    relay: RelayConfig
    listen: Endpoint
    server_port: int
    client_port: int


@dataclass(frozen=True, slots=True)
class SimulatedSource:
    """Invented users. ``arrivals`` is in users a second; ``hold_time`` is the mean, 0 for ever."""

    seed: int
    arrivals: float
    hold_time: float
    initial_population: int
    max_population: int
    first_ipv4_address: IPv4Address
    ipv6: bool
    lease_time: int


@dataclass(frozen=True, slots=True)
class PortConfig:
    """One client-side interface; ``logical_port`` is the name that all members of the group share."""

    interface: str
    logical_port: str
    outer_vlan: int
    inner_vlan: int


@dataclass(frozen=True, slots=True)
class FailoverConfig:
    """Which end initiates local backup, by which evidence and policies (FIG. 6 to FIG. 9)."""

    initiator: Role
    options: FailoverOptions
    link: LinkOptions


@dataclass(frozen=True, slots=True)
class RbsChannel:
    """The direct channel to one other router (S404)."""

    peer: str
    target: Target
    reconnect: BackoffPolicy
    interval: float


@dataclass(frozen=True, slots=True)
class GroupConfig:
    """One backup group. ``upload_interval`` is 0 in real-time mode [0137]."""

    id: str
    role: Role
    members: dict[str, str]
    ports: tuple[PortConfig, ...]
    pools: tuple[AddressPool, ...]
    upload_interval: float
    max_records: int
    acknowledgement: Acknowledgement
    link_timeout: float
    digest_interval: float
    failover: FailoverConfig
    standing: MasterOptions
    vrrp: VrrpConfig | None
    source: DhcpSource | SimulatedSource | None


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """Everything that the configuration says."""

    device: str
    address: str
    server: ServerConfig
    cloud: tuple[CloudEndpoint, ...]
    channels: tuple[RbsChannel, ...]
    groups: tuple[GroupConfig, ...]
    journal_limit: int
    bfd: BfdConfig
    dataplane: DataPlaneConfig | None
