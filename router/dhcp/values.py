"""What goes into the relay's core and what comes out of it: frozen values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple, Protocol

from router.dhcp.templates import DEFAULT_CIRCUIT_ID, DEFAULT_REMOTE_ID, check, fill

# Two of them, link selection and server identifier must fit into the 255 octets of option 82
_LONGEST_IDENTIFIER = 119


class RelayConfigError(ValueError):
    """A relay configuration that cannot work; the message names the setting."""


class Option82Policy(Enum):
    """Whose option 82 counts [0134]: the user equipment's (or access node's) own, or the router's."""

    KEEP = "keep"
    REGENERATE = "regenerate"


class DownstreamPolicy(Enum):
    """What to do with requests that another relay has put its giaddr into.

    ``proxy`` puts our giaddr in its place, so that the users behind it are ours; ``forward`` is the plain
    relay of RFC 1542, where the answers go past us and the users are not ours.
    """

    DROP = "drop"
    FORWARD = "forward"
    PROXY = "proxy"


@dataclass(frozen=True, slots=True)
class AccessPort:
    """One client-side interface of a group; VLAN 0 is none.

    ``interface`` is this router's own name for it, ``logical_port`` the name that all routers of the group
    share. A ``trusted`` port leads to an access node whose option 82 is believed (RFC 3046 section 2.1).
    ``virtual_interface``, which may come and go, is where packets to the virtual MAC come in.
    """

    interface: str
    logical_port: str
    outer_vlan: int = 0
    inner_vlan: int = 0
    trusted: bool = False
    virtual_interface: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """A named address pool, so that a record can say which one its address is from."""

    name: str
    network: IPv4Network


@dataclass(frozen=True)
class RelayConfig:
    """One group's relay.

    ``giaddr`` is the relay's address towards the servers. ``virtual_address`` is what the clients take for
    their server; it must be the same at all routers of the group, and is the giaddr where it is None.
    Times are in seconds.
    """

    group_id: str
    giaddr: IPv4Address
    servers: tuple[IPv4Address, ...]
    ports: tuple[AccessPort, ...]
    virtual_address: IPv4Address | None = None
    option82: Option82Policy = Option82Policy.REGENERATE
    downstream: DownstreamPolicy = DownstreamPolicy.DROP
    circuit_id: str = DEFAULT_CIRCUIT_ID
    remote_id: str = DEFAULT_REMOTE_ID
    pools: tuple[Pool, ...] = ()
    hops_limit: int = 4  # RFC 1542 section 4.1.1
    packet_limit: int = 1472  # an Ethernet MTU less the IP and UDP headers
    transaction_limit: int = 20_000
    transaction_timeout: float = 16.0

    def __post_init__(self) -> None:
        """Raise RelayConfigError for a setting that cannot work."""
        where = f"group {self.group_id}"
        if not self.servers:
            raise RelayConfigError(f"{where}: name at least one DHCP server")
        if self.giaddr in self.servers or not int(self.giaddr):
            raise RelayConfigError(f"{where}: giaddr {self.giaddr} must be an address of the router itself")
        if not self.ports:
            raise RelayConfigError(f"{where}: name at least one access interface")
        if not 1 <= self.hops_limit <= 16:
            raise RelayConfigError(f"{where}: the hops limit is 1 to 16, not {self.hops_limit}")
        for name, template in (("circuit-id", self.circuit_id), ("remote-id", self.remote_id)):
            wrong = check(template)
            if wrong is not None:
                raise RelayConfigError(f"{where}: {name} template {template!r}: {wrong}")
            for port in self.ports:
                if len(self.identifier(template, port, "00:00:00:00:00:00")) > _LONGEST_IDENTIFIER:
                    raise RelayConfigError(
                        f"{where}: {name} template {template!r} makes more than {_LONGEST_IDENTIFIER} octets "
                        f"on interface {port.interface}"
                    )

    @property
    def identity(self) -> IPv4Address:
        """The server identifier that the clients see."""
        return self.giaddr if self.virtual_address is None else self.virtual_address

    def identifier(self, template: str, port: AccessPort, mac: str) -> bytes:
        """Return the circuit-id or remote-id that a template makes of a port and a MAC address."""
        values = {
            "group": self.group_id,
            "logical-port": port.logical_port,
            "outer-vlan": str(port.outer_vlan),
            "inner-vlan": str(port.inner_vlan),
            "mac": mac,
        }
        return fill(template, values).encode()


class ClientSource(NamedTuple):
    """Where a client's packet came in: port, sender's address and UDP port, sent to us alone or to all."""

    port: AccessPort
    address: tuple[str, int]
    unicast: bool = False


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    """What an ACK says about a user [0132]; ``start`` and ``expiry`` are monotonic seconds.

    ``expiry`` is infinity for a lease without end. ``client_id`` is option 61, or empty.
    ``option_82`` is what the server holds of the user, at most 255 octets.
    """

    mac: str
    outer_vlan: int
    inner_vlan: int
    ipv4: IPv4Address
    start: float
    lease_time: int
    expiry: float
    client_id: bytes
    option_82: bytes
    circuit_id: bytes
    remote_id: bytes
    interface: str
    logical_port: str
    pool: str
    server: IPv4Address

    @property
    def key(self) -> bytes:
        """The subscriber key, MAC/OUTER/INNER."""
        return subscriber_key(self.mac, self.outer_vlan, self.inner_vlan)


def subscriber_key(mac: str, outer_vlan: int, inner_vlan: int) -> bytes:
    """Return the subscriber key's text form, in ASCII."""
    return f"{mac}/{outer_vlan}/{inner_vlan}".encode("ascii")


class HeldLease(NamedTuple):
    """What the caller's table says of a user: address, expiry in monotonic seconds, server if it is known."""

    ipv4: IPv4Address
    expiry: float
    server: IPv4Address | None = None


class LeaseTable(Protocol):
    """The caller's subscriber table; the relay keeps no second one."""

    def lease(self, key: bytes) -> HeldLease | None:
        """Return what is held of a user who is online, None of any other."""

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class SendToServer:
    """A packet for port 67 of a server, to be sent from the giaddr."""

    payload: bytes
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class SendToClient:
    """A packet for port 68 of a client on one of our links (RFC 2131 section 4.1).

    With ``broadcast`` it goes to all ones on both layers; otherwise to ``ip`` at ``mac``, which the client
    need not have configured yet, so ARP is of no use. ``source`` is where the request came from.
    """

    payload: bytes
    source: ClientSource
    mac: bytes
    ip: IPv4Address
    broadcast: bool


@dataclass(frozen=True, slots=True)
class SendToRelay:
    """A packet for the relay downstream that sent the request, in proxy mode; to port 67 of ``address``."""

    payload: bytes
    source: ClientSource
    address: IPv4Address


Reply = SendToClient | SendToRelay


@dataclass(frozen=True, slots=True)
class SubscriberOnline:
    """A user got an address, or another one than before. ``reply`` is the parked ACK.

    The client knows nothing of its lease before the caller sends ``reply``: at once, or when the record is
    protected as the acknowledgement policy says, at most 200 ms later.
    """

    key: bytes
    facts: LeaseFacts
    reply: Reply


@dataclass(frozen=True, slots=True)
class SubscriberRenewed:
    """A user's lease was extended; ``reply`` as in SubscriberOnline."""

    key: bytes
    facts: LeaseFacts
    reply: Reply


@dataclass(frozen=True, slots=True)
class SubscriberOffline:
    """A user is gone: ``reason`` is released, declined, refused or expired."""

    key: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A packet that goes no further; ``reason`` names the counter, ``detail`` the place."""

    reason: str
    detail: str = ""


Output = (
    SendToServer
    | SendToClient
    | SendToRelay
    | SubscriberOnline
    | SubscriberRenewed
    | SubscriberOffline
    | Dropped
)
