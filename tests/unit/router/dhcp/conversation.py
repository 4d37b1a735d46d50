"""A client, a relay and a server in one place: what each says, and the subscriber table between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

from router.dhcp.packet import BOOTREPLY, Code, DhcpPacket, MessageType, Option, parse
from router.dhcp.relay import Relay
from router.dhcp.values import (
    AccessPort,
    ClientSource,
    HeldLease,
    Output,
    Pool,
    RelayConfig,
    Reply,
    SendToServer,
    SubscriberOffline,
    SubscriberOnline,
    SubscriberRenewed,
)

MAC = bytes.fromhex("020000000001")
KEY = b"02:00:00:00:00:01/100/7"
ADDRESS = IPv4Address("10.64.1.5")
GIADDR = IPv4Address("10.64.0.1")
SERVER = IPv4Address("192.0.2.2")
OTHER_SERVER = IPv4Address("192.0.2.3")
PORT = AccessPort("eth1", "port-1", 100, 7)
TRUSTED = AccessPort("eth2", "port-2", trusted=True)
FROM_CLIENT = ClientSource(PORT, ("0.0.0.0", 68))
UNICAST = ClientSource(PORT, (str(ADDRESS), 68), unicast=True)
POOL = Pool("homes", IPv4Network("10.64.0.0/16"))

T = TypeVar("T", bound=Output)


class Table(dict[bytes, HeldLease]):
    """What the router's subscriber table says of leases."""

    def lease(self, key: bytes) -> HeldLease | None:
        return self.get(key)


def config(**changes: object) -> RelayConfig:
    settings: dict[str, object] = {
        "group_id": "home",
        "giaddr": GIADDR,
        "servers": (SERVER,),
        "ports": (PORT, TRUSTED),
        "pools": (POOL,),
    }
    return RelayConfig(**{**settings, **changes})  # type: ignore[arg-type]


def only(outputs: Sequence[Output], kind: type[T]) -> T:
    """Return the one output of a kind; anything but one fails the test."""
    found = [output for output in outputs if isinstance(output, kind)]
    assert len(found) == 1, outputs
    return found[0]


def request(
    kind: MessageType,
    *,
    mac: bytes = MAC,
    xid: int = 7,
    ciaddr: IPv4Address | None = None,
    asks_for: IPv4Address | None = None,
    server: IPv4Address | None = None,
    option_82: bytes | None = None,
    giaddr: IPv4Address | None = None,
    flags: int = 0,
    hops: int = 0,
) -> bytes:
    packet = DhcpPacket(xid=xid, chaddr=mac, flags=flags, hops=hops)
    packet.ciaddr = int(ciaddr or 0)
    packet.giaddr = int(giaddr or 0)
    packet.put(Code.MESSAGE_TYPE, bytes((kind,)))
    packet.put(Code.CLIENT_IDENTIFIER, b"\x01" + mac)
    if asks_for is not None:
        packet.put(Code.REQUESTED_ADDRESS, asks_for.packed)
    if server is not None:
        packet.put(Code.SERVER_IDENTIFIER, server.packed)
    if option_82 is not None:
        packet.put(Code.AGENT_INFORMATION, option_82)
    return packet.build()


def answer(
    asked: bytes,
    kind: MessageType,
    *,
    address: IPv4Address = ADDRESS,
    lease_time: int | None = 3600,
    server: IPv4Address = SERVER,
    change: Callable[[DhcpPacket], None] | None = None,
) -> bytes:
    """Answer as a server does that keeps its own identifier and returns option 82 unchanged."""
    packet = parse(asked)
    option_82 = packet.get(Code.AGENT_INFORMATION)
    packet.op = BOOTREPLY
    packet.yiaddr = 0 if kind is MessageType.NAK else int(address)
    packet.options = [Option(Code.MESSAGE_TYPE, bytes((kind,)))]
    packet.put(Code.SERVER_IDENTIFIER, server.packed)
    if lease_time is not None and kind is not MessageType.NAK:
        packet.put(Code.LEASE_TIME, lease_time.to_bytes(4, "big"))
    if option_82 is not None:
        packet.put(Code.AGENT_INFORMATION, option_82)
    if change is not None:
        change(packet)
    return packet.build()


@dataclass
class Conversation:
    """One relay and its table; the table follows what the relay says, as the router's does."""

    settings: RelayConfig = field(default_factory=config)
    table: Table = field(default_factory=Table)
    now: float = 1.0

    def __post_init__(self) -> None:
        self.relay = Relay(self.settings, self.table)
        self.events: list[tuple[str, bytes]] = []

    def client(self, packet: bytes, source: ClientSource = FROM_CLIENT) -> list[Output]:
        return self._follow(self.relay.receive_client(packet, source, self.now))

    def server(self, packet: bytes, server: IPv4Address = SERVER) -> list[Output]:
        return self._follow(self.relay.receive_server(packet, (str(server), 67), self.now))

    def timer(self, now: float) -> list[Output]:
        self.now = now
        return self._follow(self.relay.handle_timer(now))

    def get_online(
        self, *, mac: bytes = MAC, address: IPv4Address = ADDRESS, lease_time: int = 3600
    ) -> Reply:
        """Discover, offer, request, acknowledge; return the parked ACK."""
        asked = only(self.client(request(MessageType.DISCOVER, mac=mac)), SendToServer)
        self.server(answer(asked.payload, MessageType.OFFER, address=address))
        chosen = request(MessageType.REQUEST, mac=mac, asks_for=address, server=GIADDR)
        asked = only(self.client(chosen), SendToServer)
        acknowledged = answer(asked.payload, MessageType.ACK, address=address, lease_time=lease_time)
        return only(self.server(acknowledged), SubscriberOnline).reply

    def renew(self, *, lease_time: int = 3600) -> SubscriberRenewed:
        """Renew by unicast to the relay."""
        asked = only(self.client(request(MessageType.REQUEST, ciaddr=ADDRESS), UNICAST), SendToServer)
        acknowledged = answer(asked.payload, MessageType.ACK, lease_time=lease_time)
        return only(self.server(acknowledged), SubscriberRenewed)

    def _follow(self, outputs: list[Output]) -> list[Output]:
        for output in outputs:
            if isinstance(output, SubscriberOnline | SubscriberRenewed):
                facts = output.facts
                self.table[output.key] = HeldLease(facts.ipv4, facts.expiry, facts.server)
                self.events.append((type(output).__name__, output.key))
            elif isinstance(output, SubscriberOffline):
                del self.table[output.key]
                self.events.append((output.reason, output.key))
        return outputs
