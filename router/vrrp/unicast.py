"""VRRP packets in UDP datagrams between known routers: no privileges, for demonstrations and tests.

There are no hosts on such a link, so there is nothing to announce and no address to take. A peer is known by
its address and port; whoever may send from there is believed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ipaddress import ip_address

import structlog

from router.vrrp.transport import Handlers, TransportError
from rui.vrrp.packet import Advertisement, IPAddress, PacketError, decode, encode
from rui.vrrp.values import Source

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UnicastConfig:
    """Own end and the other routers' ends; port 0 takes any free one."""

    local: Source
    peers: tuple[Source, ...]


class UnicastTransport(asyncio.DatagramProtocol):
    """One UDP socket; ``local`` is where it is bound. ``peers`` may be set while nothing is sent yet."""

    def __init__(self, config: UnicastConfig) -> None:
        self.peers = config.peers
        self.local = config.local
        self._handlers: Handlers | None = None
        self._socket: asyncio.DatagramTransport | None = None

    @property
    def name(self) -> str:
        """What operators call the link."""
        return f"UDP {self.local.address} port {self.local.port}"

    async def open(self, handlers: Handlers) -> Source:
        """Bind the socket. Raises TransportError."""
        where = (str(self.local.address), self.local.port)
        self._handlers = handlers
        try:
            self._socket, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, where)
        except OSError as error:
            raise TransportError(
                error.errno, f"cannot use {self.name} for VRRP: {error.strerror}; choose another port"
            ) from error
        bound = self._socket.get_extra_info("sockname")
        self.local = Source(ip_address(bound[0]), bound[1])
        return self.local

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a packet of a peer; whoever else sends is not heard."""
        source = Source(ip_address(addr[0]), addr[1])
        if self._handlers is None or source not in self.peers:
            log.debug("vrrp-stranger-ignored", address=addr[0], port=addr[1])
            return
        try:
            advertisement = decode(data, source.address, self.local.address)
        except PacketError as error:
            self._handlers.refused(error.fault, str(error))
            return
        self._handlers.heard(advertisement, source)

    def error_received(self, exc: Exception) -> None:
        """A peer does not listen (yet): nothing to do, its silence says the same."""
        log.debug("vrrp-peer-unreachable", why=str(exc))

    def send(self, advertisement: Advertisement) -> None:
        """Send to each peer."""
        if self._socket is None or self._socket.is_closing():
            return
        for peer in self.peers:
            packet = encode(advertisement, self.local.address, peer.address)
            self._socket.sendto(packet, _endpoint(peer.address, peer.port))

    def announce(self) -> None:
        """There is nobody to tell."""

    def claim(self, seconds: float) -> None:
        """There is no switch."""

    def take(self) -> None:
        """There is no address to take."""

    def release(self) -> None:
        """There is none to give up."""

    async def close(self) -> None:
        """Close the socket; what was sent goes out first."""
        self._handlers = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _endpoint(address: IPAddress, port: int) -> tuple[str, int]:
    return str(address), port
