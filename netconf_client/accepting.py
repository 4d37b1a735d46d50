"""Taking the calls of devices (RFC 8071), whatever they speak: bounded in number and in time."""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address

import structlog

from netconf_client.api import ClientSession
from netconf_client.errors import ConnectFailed

log = structlog.get_logger()

SessionCallback = Callable[[str, ClientSession], Awaitable[None]]


class CallListener(ABC):
    """Listens for devices and hands each session to `on_session(device name, session)`.

    At most `max_pending` connections are between accept and session; further ones wait in the kernel's queue
    of `backlog`. A connection has `timeout` seconds to become a session. What `on_session` raises closes its
    session.
    """

    def __init__(
        self,
        on_session: SessionCallback,
        *,
        max_pending: int = 64,
        backlog: int = 512,
        timeout: float = 15.0,
    ) -> None:
        self._on_session = on_session
        self._slots = asyncio.Semaphore(max_pending)
        self._backlog = backlog
        self._timeout = timeout
        self._sock: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def _open(self, sock: socket.socket, address: str, where: str) -> tuple[str, ClientSession]:
        """Make a session of an accepted socket, which is closed if that fails; say whose it is.

        Raises ConnectFailed.
        """

    async def listen(self, host: str, port: int) -> int:
        """Start to listen; return the port (of use with port 0). Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        self._sock = socket.socket(family, kind, protocol)
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._sock.bind(address)
            self._sock.listen(self._backlog)
            self._sock.setblocking(False)
        except OSError:
            self._sock.close()
            raise
        self._accepting = asyncio.create_task(self._accept(self._sock))
        bound: int = self._sock.getsockname()[1]
        log.info("call-home-listening", host=host, port=bound)
        return bound

    async def close(self) -> None:
        """Stop listening and drop what is pending; sessions handed over stay."""
        tasks = [task for task in (self._accepting, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            try:
                sock, address = await loop.sock_accept(listening)
            except OSError as error:
                # out of descriptors, or the caller gone already: neither ends the listening
                self._slots.release()
                log.warning("call-home-accept-failed", error=str(error))
                await asyncio.sleep(0.1)
                continue
            except asyncio.CancelledError:
                self._slots.release()
                raise
            task = asyncio.create_task(self._greet(sock, address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _greet(self, sock: socket.socket, address: tuple[str, int]) -> None:
        peer = _plain(address[0])
        where = f"{peer}:{address[1]}"
        try:
            async with asyncio.timeout(self._timeout):
                device, session = await self._open(sock, peer, where)
        except (ConnectFailed, TimeoutError) as error:
            reason = error.reason if isinstance(error, ConnectFailed) else "no session in time"
            log.warning("call-home-refused", peer=where, reason=reason)
            return
        finally:
            self._slots.release()
        log.info("call-home-accepted", peer=where, device=device, session=session.session_id)
        try:
            await self._on_session(device, session)
        except Exception:
            log.exception("call-home-callback-failed", peer=where, device=device)
            await session.close()


def _plain(address: str) -> str:
    """An IPv4 address as itself, also where a socket of IPv6 has taken the call."""
    found = ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return address if mapped is None else str(mapped)
