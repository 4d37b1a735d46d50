"""A DHCP client (RFC 2131) for many MAC addresses on one interface: it logs in and renews, no more."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address

from router.dhcp.frames import BROADCAST_MAC, ip_datagram
from router.dhcp.packet import BOOTREPLY, Code, DhcpPacket, DhcpParseError, MessageType, parse
from rui_cli.lab.pair import VIRTUAL_MAC

_ETH_P_IP, _ETH_P_ALL = 0x0800, 3
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_BUFFER = 8 << 20
_SERVER_PORT, _CLIENT_PORT = 67, 68
_PACKETS_A_TURN = 64
_HEADERS = 14 + 20 + 8
_INSTRUCTION = struct.Struct("=HBBI")
# Classic BPF: IPv4, UDP, to port 68. The pings of the crowd pass by the same interface
_FILTER = (
    (0x28, 0, 0, 12),
    (0x15, 0, 5, _ETH_P_IP),
    (0x30, 0, 0, 23),
    (0x15, 0, 3, socket.IPPROTO_UDP),
    (0x28, 0, 0, 36),
    (0x15, 0, 1, _CLIENT_PORT),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)
_UNDER_WAY = 200
"""So many ask at once; the others wait for their turn, as a server's queue is bounded too."""
_ASK_AGAIN = 2.0
_LOOK_EVERY = 0.02
_ANYWHERE, _EVERYWHERE = IPv4Address(0), IPv4Address(0xFFFFFFFF)
_VIRTUAL_MAC = bytes.fromhex(VIRTUAL_MAC.replace(":", ""))
_TRIES = 30


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
    round: int = 0
    given: list[IPv4Address] = field(default_factory=list)

    @property
    def xid(self) -> int:
        return (self.round & 0xFFF) << 20 | self.number


class CrowdDhcp:
    """Make it inside the namespace of the interface, on a running loop. Raises OSError."""

    def __init__(self, interface: str, macs: Sequence[bytes]) -> None:
        self._customers = [_Customer(number, mac) for number, mac in enumerate(macs)]
        self._by_mac = {customer.mac: customer for customer in self._customers}
        self._waiting: deque[tuple[_Customer, Stage]] = deque()
        self._under_way: dict[int, float] = {}
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setblocking(False)
        code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*one) for one in _FILTER))
        program = struct.pack("@HP", len(_FILTER), ctypes.addressof(code))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        # All protocols are seen before an interface on top of this one takes its frames away
        self._socket.bind((interface, _ETH_P_ALL))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)
        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Ask for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def login(self) -> None:
        """Have all ask for an address."""
        self._begin(Stage.SELECTING)

    def renew(self) -> None:
        """Have all renew."""
        self._begin(Stage.RENEWING)

    def given(self) -> list[list[IPv4Address]]:
        """Return what each was given so far, oldest first."""
        return [customer.given for customer in self._customers]

    def _begin(self, stage: Stage) -> None:
        self._waiting.extend((customer, stage) for customer in self._customers)
        self._look()

    def _look(self) -> None:
        """Let the next ones begin, and ask again for those who got no answer."""
        now = self._loop.time()
        for number, due in list(self._under_way.items()):
            if due <= now:
                self._ask(self._customers[number], now)
        while self._waiting and len(self._under_way) < _UNDER_WAY:
            customer, stage = self._waiting.popleft()
            customer.stage, customer.tries = stage, 0
            customer.round += 1
            self._ask(customer, now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._under_way:
            self._timer = self._loop.call_later(_LOOK_EVERY, self._look)

    def _ask(self, customer: _Customer, now: float) -> None:
        customer.tries += 1
        if customer.tries > _TRIES:
            self._under_way.pop(customer.number, None)
            customer.stage = Stage.IDLE
            return
        self._under_way[customer.number] = now + _ASK_AGAIN
        if customer.stage is Stage.REQUESTING and customer.tries > 1:
            # The offer may be forgotten by now
            customer.stage = Stage.SELECTING
        self._send(customer)

    def _send(self, customer: _Customer) -> None:
        packet = DhcpPacket(xid=customer.xid, chaddr=customer.mac)
        source, destination, mac = _ANYWHERE, _EVERYWHERE, BROADCAST_MAC
        kind = MessageType.DISCOVER if customer.stage is Stage.SELECTING else MessageType.REQUEST
        packet.put(Code.MESSAGE_TYPE, bytes([kind]))
        if customer.stage is Stage.REQUESTING:
            packet.put(Code.REQUESTED_ADDRESS, customer.offered.to_bytes(4, "big"))
            packet.put(Code.SERVER_IDENTIFIER, customer.server.to_bytes(4, "big"))
        elif customer.stage is Stage.RENEWING:
            # Unicast to the server that it knows, which is the relay [RFC 2131 section 4.3.2]
            source, destination, mac = customer.given[-1], IPv4Address(customer.server), _VIRTUAL_MAC
            packet.ciaddr = int(source)
        datagram = ip_datagram(packet.build(), source, _CLIENT_PORT, destination, _SERVER_PORT)
        try:
            self._socket.send(mac + customer.mac + _ETH_P_IP.to_bytes(2, "big") + datagram)
        except OSError:
            return  # A full queue, or a link that is down: it is asked again

    def _readable(self) -> None:
        for _ in range(_PACKETS_A_TURN):
            try:
                frame = self._socket.recv(65536)
            except OSError:
                break
            with contextlib.suppress(DhcpParseError):
                self._take(parse(frame[_HEADERS:]))
        self._look()

    def _take(self, packet: DhcpPacket) -> None:
        customer = self._by_mac.get(packet.chaddr)
        if customer is None or packet.op != BOOTREPLY or packet.xid != customer.xid:
            return
        kind = packet.message_type()
        if kind == MessageType.OFFER and customer.stage is Stage.SELECTING:
            customer.stage, customer.tries = Stage.REQUESTING, 0
            customer.offered = packet.yiaddr
            customer.server = packet.number(Code.SERVER_IDENTIFIER, 4) or 0
            self._ask(customer, self._loop.time())
        elif kind == MessageType.ACK and customer.stage in (Stage.REQUESTING, Stage.RENEWING):
            customer.given.append(IPv4Address(packet.yiaddr))
            customer.stage = Stage.IDLE
            self._under_way.pop(customer.number, None)
        elif kind == MessageType.NAK and customer.stage is not Stage.IDLE:
            customer.stage, customer.tries = Stage.SELECTING, 0
            customer.round += 1
            self._ask(customer, self._loop.time())
