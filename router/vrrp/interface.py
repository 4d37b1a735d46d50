"""VRRP on a real link, for root: raw sockets, multicast, TTL 255, virtual MAC (RFC 9568 sections 5.1, 7)."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from router.vrrp.accept import AcceptFilter
from router.vrrp.claim import Claimer
from router.vrrp.frames import advertisement_frame, announcement_frame, virtual_mac
from router.vrrp.transport import Handlers, TransportError
from rui.vrrp.packet import (
    GROUP_V4,
    GROUP_V6,
    HOPS,
    PROTOCOL,
    Advertisement,
    Fault,
    IPAddress,
    PacketError,
    decode,
    encode,
)
from rui.vrrp.values import Source

_PACKETS_A_TURN = 64
_LARGEST_PACKET = 4096
_SO_BINDTODEVICE = 25
_IPV6_RECVHOPLIMIT, _IPV6_HOPLIMIT = 51, 52
_IPV6_RECVPKTINFO, _IPV6_PKTINFO = 49, 50
_ANCILLARY = socket.CMSG_SPACE(20) + socket.CMSG_SPACE(4)
_ROOT: Final = "run as root or with CAP_NET_RAW and CAP_NET_ADMIN, or use the unicast transport"


@dataclass(frozen=True, slots=True)
class InterfaceConfig:
    """An access interface. ``carried`` addresses come and go with the others and are not advertised.

    A router that is not heard for ``silence`` seconds is given up by all others.
    """

    interface: str
    vrid: int
    addresses: tuple[IPAddress, ...]
    carried: tuple[IPAddress, ...] = ()
    accept_mode: bool = True
    virtual_mac: bool = True
    pseudo_header: bool = True
    silence: float = 4.0

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.addresses[0].version

    @property
    def virtual_name(self) -> str:
        """Name of the virtual router's own interface, at most 15 octets: one for an interface and an id."""
        number = zlib.crc32(self.interface.encode()) & 0xFFFF
        return f"vrrp{self.family}-{self.vrid}-{number:04x}"


class InterfaceTransport:
    """The sockets of one virtual router on one interface."""

    def __init__(self, config: InterfaceConfig) -> None:
        # Only who has interfaces of his own waits for pyroute2 at his start
        from router.vrrp.virtual import VirtualInterface  # noqa: PLC0415

        self._config = config
        everything = (*config.addresses, *config.carried)
        mac = virtual_mac(config.vrid, config.family) if config.virtual_mac else None
        self.virtual = VirtualInterface(
            config.interface, config.virtual_name, mac, everything, config.silence
        )
        self._everything = everything
        self._filter = None if config.accept_mode else AcceptFilter(config.virtual_name, everything)
        self._source: IPAddress = config.addresses[0]
        self._handlers: Handlers | None = None
        self._receiving: socket.socket | None = None
        self._sending: socket.socket | None = None
        self._said = b""
        self._claimer = Claimer()

    @property
    def name(self) -> str:
        """What operators call the link."""
        return self._config.interface

    async def open(self, handlers: Handlers) -> Source:
        """Make the virtual interface and open the sockets. Raises TransportError."""
        self._handlers = handlers
        try:
            self._receiving, self._sending = _raw_sockets(self._config.family)
            await self.virtual.open(handlers.link)
            self._source = await self.virtual.primary_address(self._config.family)
            self._listen(self._receiving, self._sending)
            if self._filter is not None:
                await self._filter.install()
        except BaseException:
            await self.close()
            raise
        asyncio.get_running_loop().add_reader(self._receiving.fileno(), self._readable)
        return Source(self._source)

    def send(self, advertisement: Advertisement) -> None:
        """Send as a multicast frame from the virtual MAC, and keep the addresses. Raises OSError."""
        self.virtual.extend()
        packet = encode(advertisement, self._source, pseudo_header=self._config.pseudo_header)
        self._said = advertisement_frame(packet, self._source, self.virtual.sending_mac)
        self._transmit(self._said)

    def announce(self) -> None:
        """Announce each address, those that are only carried too. Raises OSError."""
        for address in self._everything:
            self._transmit(announcement_frame(address, self.virtual.sending_mac))

    def claim(self, seconds: float) -> None:
        """Say again and again what was said last."""
        if self._sending is not None and self._config.virtual_mac:
            said, send = self._said, self._sending.send
            self._claimer.start(seconds, lambda: send(said))

    def take(self) -> None:
        """Put the addresses on the virtual interface. Raises TransportError."""
        self.virtual.take()

    def release(self) -> None:
        """Take them away. Raises TransportError."""
        self._claimer.stop()
        self.virtual.release()

    async def close(self) -> None:
        """Close the sockets and remove the virtual interface."""
        self._handlers = None
        self._claimer.stop()
        if self._receiving is not None:
            asyncio.get_running_loop().remove_reader(self._receiving.fileno())
            self._receiving.close()
        if self._sending is not None:
            self._sending.close()
        self._receiving = self._sending = None
        await self.virtual.close()
        if self._filter is not None:
            await self._filter.remove()

    def _listen(self, receiving: socket.socket, sending: socket.socket) -> None:
        index = self.virtual.index
        try:
            receiving.setsockopt(
                socket.SOL_SOCKET, _SO_BINDTODEVICE, self._config.interface.encode() + b"\x00"
            )
            if self._config.family == 4:
                membership = GROUP_V4.packed + bytes(4) + struct.pack("=i", index)
                receiving.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            else:
                membership = GROUP_V6.packed + struct.pack("=i", index)
                receiving.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
                receiving.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVHOPLIMIT, 1)
                receiving.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
            sending.bind((self._config.interface, 0))
        except OSError as error:
            raise TransportError(
                error.errno, f"cannot join VRRP's group on {self._config.interface}: {error.strerror}"
            ) from error

    def _transmit(self, frame: bytes) -> None:
        if self._sending is None:
            raise OSError(errno.ENOTCONN, f"{self.name} is closed")
        self._sending.send(frame)

    def _readable(self) -> None:
        for _ in range(_PACKETS_A_TURN):
            receiving, handlers = self._receiving, self._handlers
            if receiving is None or handlers is None:
                return
            try:
                data, ancillary, _, sender = receiving.recvmsg(_LARGEST_PACKET, _ANCILLARY)
            except OSError:
                # Empty, or the interface went down for a while: the loop calls again when there is something
                return
            try:
                advertisement, source = self._read(data, ancillary, sender[0])
            except PacketError as error:
                handlers.refused(error.fault, str(error))
            else:
                if advertisement is not None:
                    handlers.heard(advertisement, source)

    def _read(
        self, data: bytes, ancillary: Sequence[tuple[int, int, bytes]], sender: str
    ) -> tuple[Advertisement | None, Source]:
        """Return the advertisement, or None for another virtual router's. Raises PacketError."""
        source: IPAddress = ip_address(sender.partition("%")[0])
        destination: IPAddress
        if self._config.family == 4:
            # The kernel hands over whole IPv4 packets
            hops, destination = data[8], IPv4Address(data[16:20])
            data = data[(data[0] & 0x0F) * 4 :]
        else:
            hops, destination = _ancillary(ancillary)
        if hops != HOPS:
            raise PacketError(Fault.TTL, f"from {source} with {hops} hops left instead of {HOPS}")
        if len(data) > 1 and data[1] != self._config.vrid:
            return None, Source(source)
        return decode(data, source, destination), Source(source)


def _raw_sockets(family: int) -> tuple[socket.socket, socket.socket]:
    """Return the socket that hears VRRP and the one that sends whole frames."""
    receiving: socket.socket | None = None
    try:
        receiving = socket.socket(
            socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_RAW, PROTOCOL
        )
        sending = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except OSError as error:
        if receiving is not None:
            receiving.close()
        refused = error.errno in (errno.EPERM, errno.EACCES)
        raise TransportError(
            error.errno, f"VRRP needs raw sockets: {_ROOT if refused else error.strerror}"
        ) from error
    receiving.setblocking(False)
    sending.setblocking(False)
    return receiving, sending


def _ancillary(ancillary: Sequence[tuple[int, int, bytes]]) -> tuple[int, IPv6Address]:
    """Return an IPv6 packet's hop limit and destination."""
    hops, destination = 0, GROUP_V6
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IPV6 and kind == _IPV6_HOPLIMIT:
            hops = int.from_bytes(data[:4], sys.byteorder)
        elif level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
            destination = IPv6Address(data[:16])
    return hops, destination
