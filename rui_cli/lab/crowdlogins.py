"""DHCP (RFC 2131) for many MAC addresses: who asks, who has an address, whose turn it is; no socket."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address

from router.dhcp.frames import BROADCAST_MAC, ip_datagram
from router.dhcp.packet import BOOTREPLY, Code, DhcpPacket, DhcpParseError, MessageType, parse
from rui_cli.lab.pair import VIRTUAL_MAC

ETH_P_IP = 0x0800
SERVER_PORT, CLIENT_PORT = 67, 68
ASK_AGAIN = 2.0
TRIES = 30
_ANYWHERE, _EVERYWHERE = IPv4Address(0), IPv4Address(0xFFFFFFFF)
_VIRTUAL_MAC = bytes.fromhex(VIRTUAL_MAC.replace(":", ""))


class Stage(Enum):
    """How far a subscriber has come."""

    IDLE = "idle"
    SELECTING = "selecting"
    REQUESTING = "requesting"
    RENEWING = "renewing"


@dataclass
class _Customer:
    number: int
    mac: bytes
    stage: Stage = Stage.IDLE
    offered: int = 0
    server: int = 0
    tries: int = 0
    exchange: int = 0
    given: list[IPv4Address] = field(default_factory=list)

    @property
    def xid(self) -> int:
        return (self.exchange & 0xFFF) << 20 | self.number

    def frame(self) -> bytes:
        """Return what this one says next, as a whole Ethernet frame."""
        packet = DhcpPacket(xid=self.xid, chaddr=self.mac)
        source, destination, mac = _ANYWHERE, _EVERYWHERE, BROADCAST_MAC
        kind = MessageType.DISCOVER if self.stage is Stage.SELECTING else MessageType.REQUEST
        packet.put(Code.MESSAGE_TYPE, bytes([kind]))
        if self.stage is Stage.REQUESTING:
            packet.put(Code.REQUESTED_ADDRESS, self.offered.to_bytes(4, "big"))
            packet.put(Code.SERVER_IDENTIFIER, self.server.to_bytes(4, "big"))
        elif self.stage is Stage.RENEWING:
            # Unicast to the server that it knows, which is the relay (RFC 2131 section 4.3.2)
            source, destination, mac = self.given[-1], IPv4Address(self.server), _VIRTUAL_MAC
            packet.ciaddr = int(source)
        datagram = ip_datagram(packet.build(), source, CLIENT_PORT, destination, SERVER_PORT)
        return mac + self.mac + ETH_P_IP.to_bytes(2, "big") + datagram


class Logins:
    """Every method that takes the time returns the frames to be sent now.

    At most ``at_once`` ask at the same time; the others wait for their turn.
    """

    def __init__(self, macs: Sequence[bytes], at_once: int) -> None:
        self._at_once = at_once
        self._customers = [_Customer(number, mac) for number, mac in enumerate(macs)]
        self._by_mac = {customer.mac: customer for customer in self._customers}
        self._waiting: deque[tuple[_Customer, Stage]] = deque()
        self._under_way: dict[int, float] = {}

    def given(self) -> list[list[IPv4Address]]:
        """Return what each was given so far, oldest first."""
        return [customer.given for customer in self._customers]

    def next_deadline(self) -> float | None:
        """Return when the first one asks again."""
        return min(self._under_way.values(), default=None)

    def login(self, now: float) -> list[bytes]:
        """Have all ask for an address."""
        self._waiting.extend((customer, Stage.SELECTING) for customer in self._customers)
        return self.handle_timer(now)

    def renew(self, now: float) -> list[bytes]:
        """Have all who have an address renew."""
        self._waiting.extend((customer, Stage.RENEWING) for customer in self._customers if customer.given)
        return self.handle_timer(now)

    def handle_timer(self, now: float) -> list[bytes]:
        """Let those ask again who got no answer, and the next ones begin."""
        frames: list[bytes] = []
        for number, due in list(self._under_way.items()):
            if due <= now:
                frames += self._ask_again(self._customers[number], now)
        while self._waiting and len(self._under_way) < self._at_once:
            customer, stage = self._waiting.popleft()
            frames += self._begin(customer, stage, now)
        return frames

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """Take the payload of a datagram to a client; what is not for one of ours changes nothing."""
        try:
            packet = parse(data)
            kind = packet.message_type()
            server = packet.number(Code.SERVER_IDENTIFIER, 4) or 0
        except DhcpParseError:
            return []
        customer = self._by_mac.get(packet.chaddr)
        if customer is None or packet.op != BOOTREPLY or packet.xid != customer.xid:
            return []
        if kind == MessageType.OFFER and customer.stage is Stage.SELECTING:
            customer.offered, customer.server = packet.yiaddr, server
            return self._begin(customer, Stage.REQUESTING, now, anew=False)
        if kind == MessageType.ACK and customer.stage in (Stage.REQUESTING, Stage.RENEWING):
            customer.given.append(IPv4Address(packet.yiaddr))
            self._end(customer)
        elif kind == MessageType.NAK and customer.stage in (Stage.REQUESTING, Stage.RENEWING):
            return self._begin(customer, Stage.SELECTING, now)
        return self.handle_timer(now)

    def _begin(self, customer: _Customer, stage: Stage, now: float, *, anew: bool = True) -> list[bytes]:
        customer.stage, customer.tries = stage, 1
        customer.exchange += anew
        self._under_way[customer.number] = now + ASK_AGAIN
        return [customer.frame()]

    def _ask_again(self, customer: _Customer, now: float) -> list[bytes]:
        if customer.tries >= TRIES:
            self._end(customer)
            return []
        if customer.stage is Stage.REQUESTING:
            # The offer may be forgotten by now
            customer.stage = Stage.SELECTING
        customer.tries += 1
        self._under_way[customer.number] = now + ASK_AGAIN
        return [customer.frame()]

    def _end(self, customer: _Customer) -> None:
        customer.stage = Stage.IDLE
        self._under_way.pop(customer.number, None)
