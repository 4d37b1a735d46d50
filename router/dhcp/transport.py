"""The relay's sockets: real interfaces (root), or loopback UDP for tests and demonstrations."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from router.dhcp.frames import BROADCAST_MAC, ip_datagram
from router.dhcp.packet import BOOTREPLY
from router.dhcp.values import AccessPort, ClientSource, RelayConfig, Reply, SendToClient, SendToServer

SERVER_PORT, CLIENT_PORT = 67, 68
_ETH_P_IP = 0x0800
_IP_PKTINFO = 8
_IP_FREEBIND = 15
_SO_BINDTODEVICE = 25
_SO_RCVBUFFORCE = 33
_RECEIVE_BUFFER = 4 << 20
_LARGEST_PACKET = 65535
_PACKETS_A_TURN = 64
_PKTINFO = struct.Struct("=i4s4s")
_BOOTREPLY_OCTET = bytes((BOOTREPLY,))
_ANCILLARY = socket.CMSG_SPACE(_PKTINFO.size)

OnClient = Callable[[bytes, ClientSource], None]
OnServer = Callable[[bytes, tuple[str, int]], None]
Take = Callable[[bytes, int, bool, tuple[str, int]], None]


class TransportError(OSError):
    """A socket that cannot be opened; the message names the interface or address and what to do."""


class Transport(Protocol):
    """Moves packets; ``open`` before the first, ``close`` after the last."""

    def open(self, on_client: OnClient, on_server: OnServer) -> None:
        """Open all sockets. Raises TransportError; then none stays open."""

    def send_server(self, output: SendToServer) -> None:
        """Send to a server. Raises OSError."""

    def send_reply(self, output: Reply) -> None:
        """Send to a client or to a relay downstream. Raises OSError."""

    def close(self) -> None:
        """Close all sockets."""


class _Reader:
    """Reads a socket when it is readable, a bounded number of packets each turn of the loop."""

    def __init__(
        self, sock: socket.socket, take: Callable[[bytes, int, bool, tuple[str, int]], None]
    ) -> None:
        self._sock = sock
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)

    def _readable(self) -> None:
        for _ in range(_PACKETS_A_TURN):
            try:
                data, ancillary, _, sender = self._sock.recvmsg(_LARGEST_PACKET, _ANCILLARY)
            except OSError:
                # Empty, or the interface went down for a while: the loop calls again when there is something
                return
            interface, addressed = _packet_info(ancillary)
            self._take(data, interface, addressed, sender)

    def close(self) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()


def _packet_info(ancillary: Sequence[tuple[int, int, bytes]]) -> tuple[int, bool]:
    """Return the index of the interface a packet came in by, and whether it was addressed to us alone."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(data) >= _PKTINFO.size:
            index, local, header_destination = _PKTINFO.unpack_from(data)
            return index, local == header_destination
    return 0, False


@dataclass(frozen=True, slots=True)
class UdpPorts:
    """The UDP ports that the relay listens on, and those of clients and servers."""

    listen: int = SERVER_PORT
    client: int = CLIENT_PORT
    server: int = SERVER_PORT


def choose_transport(config: RelayConfig, listen: IPv4Address, ports: UdpPorts) -> Transport:
    """Return the transport for a listen address: unprivileged on loopback, else real interfaces."""
    if listen.is_loopback:
        return LoopbackTransport(config.ports, listen, ports)
    return InterfaceTransport(config, ports)


class InterfaceTransport:
    """Sockets on real interfaces.

    Servers are reached from the giaddr (which need not be configured yet: it may be a virtual address).
    Clients are heard by a socket bound to their interface and answered by whole frames.
    """

    def __init__(self, config: RelayConfig, ports: UdpPorts = UdpPorts()) -> None:
        self._config = config
        self._ports = ports
        self._by_index: dict[int, AccessPort] = {}
        self._virtual = {port.virtual_interface: port for port in config.ports if port.virtual_interface}
        self._frames: dict[str, socket.socket] = {}
        self._readers: list[_Reader] = []
        self._server_socket: socket.socket | None = None

    def open(self, on_client: OnClient, on_server: OnServer) -> None:
        """Open all sockets; needs CAP_NET_RAW and CAP_NET_BIND_SERVICE. Raises TransportError."""

        def take(data: bytes, interface: int, addressed: bool, sender: tuple[str, int]) -> None:
            # A renewal is unicast to the giaddr, so a client's packet may arrive at either kind of socket
            port = self._by_index.get(interface) or self._virtual_port(interface)
            if port is not None:
                on_client(data, ClientSource(port, sender, addressed))
            else:
                on_server(data, sender)

        try:
            for port in self._config.ports:
                self._open_port(port, take)
            self._server_socket = _udp_socket(str(self._config.giaddr), self._ports.listen, shared=True)
            self._readers.append(_Reader(self._server_socket, take))
        except BaseException:
            self.close()
            raise

    def _virtual_port(self, interface: int) -> AccessPort | None:
        """Return the port whose virtual interface that is; VRRP makes it anew when it is configured anew."""
        if not self._virtual:
            return None
        try:
            return self._virtual.get(socket.if_indextoname(interface))
        except OSError:
            return None  # gone since

    def _open_port(self, port: AccessPort, take: Take) -> None:
        try:
            self._by_index[socket.if_nametoindex(port.interface)] = port
        except OSError as error:
            raise TransportError(
                errno.ENODEV,  # the call itself names no error number
                f"there is no access interface {port.interface!r}: create it, or correct its name",
            ) from error
        heard = _udp_socket("0.0.0.0", self._ports.listen, port.interface, shared=True)  # noqa: S104
        self._readers.append(_Reader(heard, take))
        try:
            frames = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        except PermissionError as error:
            raise TransportError(
                error.errno, f"frames on {port.interface} need root or CAP_NET_RAW"
            ) from error
        frames.setblocking(False)
        self._frames[port.interface] = frames

    def send_server(self, output: SendToServer) -> None:
        """Send from the giaddr. Raises OSError."""
        self._server().sendto(output.payload, (str(output.address), self._ports.server))

    def send_reply(self, output: Reply) -> None:
        """Send to a client as a frame, to a relay downstream as a datagram. Raises OSError."""
        if not isinstance(output, SendToClient):
            self._server().sendto(output.payload, (str(output.address), self._ports.server))
            return
        interface = output.source.port.interface
        mac, ip = (BROADCAST_MAC, IPv4Address(0xFFFFFFFF)) if output.broadcast else (output.mac, output.ip)
        datagram = ip_datagram(
            output.payload, self._config.identity, self._ports.listen, ip, self._ports.client
        )
        self._frames[interface].sendto(datagram, (interface, _ETH_P_IP, 0, 0, mac))

    def _server(self) -> socket.socket:
        if self._server_socket is None:
            raise OSError(errno.ENOTCONN, "the relay's sockets are closed")
        return self._server_socket

    def close(self) -> None:
        """Close all sockets."""
        for reader in self._readers:
            reader.close()
        for frames in self._frames.values():
            frames.close()
        self._readers, self._frames, self._by_index, self._server_socket = [], {}, {}, None


class LoopbackTransport:
    """Plain UDP sockets without privileges; a client is answered at the address its request came from.

    The first access port listens on ``ports.listen``, where the servers answer too; the others follow on the
    numbers above it. With 0 the system chooses them all.
    """

    def __init__(self, access: tuple[AccessPort, ...], listen: IPv4Address, ports: UdpPorts) -> None:
        self._access = access
        self._listen = str(listen)
        self._ports = ports
        self._readers: list[_Reader] = []
        self._sockets: dict[str, socket.socket] = {}

    def open(self, on_client: OnClient, on_server: OnServer) -> None:
        """Open all sockets. Raises TransportError."""
        try:
            for number, port in enumerate(self._access):
                wanted = self._ports.listen + number if self._ports.listen else 0
                sock = _udp_socket(self._listen, wanted)
                self._sockets[port.interface] = sock
                self._readers.append(_Reader(sock, self._taker(port, on_client, on_server)))
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _taker(port: AccessPort, on_client: OnClient, on_server: OnServer) -> Take:
        def take(data: bytes, _interface: int, _addressed: bool, sender: tuple[str, int]) -> None:
            if data[:1] == _BOOTREPLY_OCTET:
                on_server(data, sender)
            else:
                on_client(data, ClientSource(port, sender))

        return take

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where each access port listens, by interface; servers answer to the first."""
        return {name: sock.getsockname() for name, sock in self._sockets.items()}

    def send_server(self, output: SendToServer) -> None:
        """Send to the configured server port. Raises OSError."""
        first = next(iter(self._sockets.values()), None)
        if first is None:
            raise OSError(errno.ENOTCONN, "the relay's sockets are closed")
        first.sendto(output.payload, (str(output.address), self._ports.server))

    def send_reply(self, output: Reply) -> None:
        """Send to where the request came from. Raises OSError."""
        self._sockets[output.source.port.interface].sendto(output.payload, output.source.address)

    def close(self) -> None:
        """Close all sockets."""
        for reader in self._readers:
            reader.close()
        self._readers, self._sockets = [], {}


def _udp_socket(
    address: str, port: int, interface: str | None = None, *, shared: bool = False
) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    where = f"UDP {address}:{port}" + (f" on {interface}" if interface else "")
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        if shared:
            # Several interfaces and groups listen on the same port number, each for itself
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        if interface is not None:
            sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, interface.encode() + b"\x00")
        _widen_buffer(sock)
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        advice = (
            "run as root, or use other ports"
            if error.errno in (errno.EACCES, errno.EPERM)
            else error.strerror
        )
        raise TransportError(error.errno, f"cannot listen on {where}: {advice}") from error
    return sock


def _widen_buffer(sock: socket.socket) -> None:
    """Make room for a burst: a thousand clients may ask in the same millisecond after a power cut."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
