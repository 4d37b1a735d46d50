"""The sockets of single-hop BFD (RFC 5881): a receiver for a listening address, a sender for a session."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from random import Random
from typing import Final

from rui.bfd.demux import Path
from rui.bfd.fsm import HOPS

PORT: Final = 3784
"""Destination port of single-hop Control packets (RFC 5881 section 4)."""
SOURCE_PORTS: Final = range(49152, 65536)
# Linux's numbers, for which Python has no names
_IP_TOS, _IP_TTL, _IP_PKTINFO, _IP_RECVTTL = 1, 2, 8, 12
_SO_BINDTODEVICE, _SO_RCVBUFFORCE = 25, 33
_NETWORK_CONTROL = 0xC0
_RECEIVE_BUFFER = 1 << 20
_LARGEST = 256
_TRIES = 64
_INTEGER = struct.Struct("=i")
_PKTINFO = struct.Struct("=i4s4s")
_PKTINFO6 = struct.Struct("=16sI")
_ANCILLARY = socket.CMSG_SPACE(_INTEGER.size) + socket.CMSG_SPACE(_PKTINFO6.size)
_INTERFACES_KEPT = 1024

Take = Callable[[bytes, int, Path], None]
"""Told of each datagram: payload, TTL or hop limit, and where it came from and to."""


class BfdSocketError(OSError):
    """A socket that cannot be opened; the message names address and port and what to do."""


class Receiver:
    """Hears the Control packets that come to one address of this system."""

    def __init__(self, address: str, port: int) -> None:
        """Open the socket; port 0 takes any free one. Raises BfdSocketError."""
        self._six = isinstance(ip_address(address), IPv6Address)
        self._interfaces: dict[int, str] = {}
        self._socket = socket.socket(socket.AF_INET6 if self._six else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._set_up()
            self._socket.bind((address, port))
        except OSError as error:
            self._socket.close()
            raise BfdSocketError(
                error.errno,
                f"cannot listen for BFD on {address} port {port}: {error.strerror}; stop the other BFD "
                "speaker of this system, or set another listen-address or port",
            ) from error

    def _set_up(self) -> None:
        self._socket.setblocking(False)
        if self._six:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        # A loop that was busy for a moment must find what came meanwhile, or sessions would seem silent
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def fileno(self) -> int:
        """Return the descriptor, to wait for."""
        return self._socket.fileno()

    def read(self, limit: int, take: Take) -> None:
        """Hand over what has come, ``limit`` datagrams at most."""
        for _ in range(limit):
            try:
                data, ancillary, _, sender = self._socket.recvmsg(_LARGEST, _ANCILLARY)
            except OSError:
                return
            ttl, local, index = self._facts(ancillary)
            take(data, ttl, Path(local, sender[0].partition("%")[0], self._interface(index)))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _facts(self, ancillary: list[tuple[int, int, bytes]]) -> tuple[int, str, int]:
        """Return hop count, the address that was sent to, and the interface's index."""
        ttl, local, index = 0, "", 0
        for level, kind, data in ancillary:
            if level == socket.IPPROTO_IP:
                if kind == _IP_TTL:
                    (ttl,) = _INTEGER.unpack_from(data)
                elif kind == _IP_PKTINFO:
                    index, _, destination = _PKTINFO.unpack_from(data)
                    local = socket.inet_ntop(socket.AF_INET, destination)
            elif level == socket.IPPROTO_IPV6:
                if kind == socket.IPV6_HOPLIMIT:
                    (ttl,) = _INTEGER.unpack_from(data)
                elif kind == socket.IPV6_PKTINFO:
                    destination, index = _PKTINFO6.unpack_from(data)
                    local = socket.inet_ntop(socket.AF_INET6, destination)
        return ttl, local, index

    def _interface(self, index: int) -> str:
        name = self._interfaces.get(index)
        if name is None:
            try:
                name = socket.if_indextoname(index)
            except OSError:
                return ""
            if len(self._interfaces) >= _INTERFACES_KEPT:
                self._interfaces.clear()
            self._interfaces[index] = name
        return name


class Sender:
    """Sends one session's packets, from one source port for its whole life.

    Interface and address may be missing at first or go away: the socket is made again when there is something
    to send, which for a session that is down is once a second.
    """

    def __init__(self, path: Path, port: int, rng: Random) -> None:
        """``port`` is the remote system's; ``rng`` chooses the source port."""
        self._path = path
        self._port = port
        self._ports = [rng.choice(SOURCE_PORTS) for _ in range(_TRIES)]
        self._socket: socket.socket | None = None

    @property
    def source_port(self) -> int:
        """The source port; 0 before the first packet."""
        return int(self._socket.getsockname()[1]) if self._socket is not None else 0

    def send(self, data: bytes) -> None:
        """Send a packet with TTL 255. Raises OSError; the next call tries again from the start."""
        if self._socket is None:
            self._socket = self._open()
        try:
            self._socket.sendto(data, (self._path.remote, self._port))
        except BlockingIOError:
            raise
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the socket; the source port stays chosen."""
        if self._socket is not None:
            # Sent from again first: a session keeps its source port (RFC 5881 section 4)
            self._ports.insert(0, self.source_port)
            del self._ports[_TRIES:]
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        six = isinstance(ip_address(self._path.remote), IPv6Address)
        made = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            if six:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, HOPS)
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _NETWORK_CONTROL)
            else:
                made.setsockopt(socket.IPPROTO_IP, _IP_TTL, HOPS)
                made.setsockopt(socket.IPPROTO_IP, _IP_TOS, _NETWORK_CONTROL)
            if self._path.interface:
                made.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, self._path.interface.encode() + b"\x00")
            self._bind(made, six=six)
        except BaseException:
            made.close()
            raise
        return made

    def _bind(self, made: socket.socket, *, six: bool) -> None:
        scope = socket.if_nametoindex(self._path.interface) if self._path.interface else 0
        for port in self._ports:
            try:
                made.bind((self._path.local, port, 0, scope) if six else (self._path.local, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return
        raise OSError(errno.EADDRINUSE, f"{_TRIES} source ports of {self._path.local} are all in use")
