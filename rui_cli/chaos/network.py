"""The links between the processes: a TCP proxy for each pair of dialler and dialled, and what is done to it.

A proxy that loses octets would not be TCP; what a lost segment is to the ends of a connection is a pause
until it is sent again, so that is what they get. A cut holds what is on its way, and it arrives after the cut
as retransmission would bring it; new connections are accepted and hear nothing, which to a client is the
same as no answer. A reset breaks connections and refuses new ones.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

_LOOPBACK = "127.0.0.1"
_CHUNK = 16 * 1024
# So much may be on its way in one direction of a connection; then its sender has to wait.
_CHUNKS = 64
# The first retransmission of a segment that was lost, doubled until it gets through; seconds.
_RETRANSMIT, _LONGEST_RETRANSMIT = 0.2, 3.2


class Way:
    """One direction between two devices, for all of their connections."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._open = asyncio.Event()
        self._open.set()
        self._delay = 0.0
        self._loss = 0.0

    def spoil(self, *, delay: float = 0.0, loss: float = 0.0) -> None:
        """Let everything take so many seconds more, and this share of all chunks a retransmission."""
        self._delay, self._loss = delay, loss

    def block(self) -> None:
        """Let nothing through from now on."""
        self._open.clear()

    def mend(self) -> None:
        """End all that is wrong."""
        self.spoil()
        self._open.set()

    def latency(self) -> float:
        """Return how long the next chunk takes."""
        taken, again = self._delay, _RETRANSMIT
        while self._loss and again <= _LONGEST_RETRANSMIT and self._rng.random() < self._loss:
            taken += again
            again *= 2
        return taken

    async def passable(self) -> None:
        """Wait until something gets through."""
        await self._open.wait()


class Proxy:
    """What `client` dials instead of `server`."""

    def __init__(self, port: int, there: Way, back: Way) -> None:
        self._port = port
        self._there, self._back = there, back
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.refuses = False

    async def listen(self) -> int:
        """Listen on a free port of loopback, and return it."""
        self._server = await asyncio.start_server(self._accepted, _LOOPBACK, 0)
        return int(self._server.sockets[0].getsockname()[1])

    def reset(self) -> None:
        """Break all connections."""
        for connection in self._connections:
            connection.cancel()

    async def close(self) -> None:
        """Break all connections and listen no more."""
        if self._server is not None:
            self._server.close()
        self.reset()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either end closes it."""
        transports = [writer.transport]
        closed = False
        try:
            await self._there.passable()
            await self._back.passable()
            far_reader, far_writer = await asyncio.open_connection(_LOOPBACK, self._port)
            transports.append(far_writer.transport)
            async with asyncio.TaskGroup() as both:
                both.create_task(_carry(reader, far_writer, self._there))
                both.create_task(_carry(far_reader, writer, self._back))
        except* (OSError, _EndOfStreamError):
            closed = True
        finally:
            for transport in transports:
                if closed:
                    transport.close()
                else:
                    transport.abort()


class _EndOfStreamError(Exception):
    """An end has closed its connection."""


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    """Move octets one way, in their order, each chunk after its latency; ends with an exception only."""
    on_its_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS)
    async with asyncio.TaskGroup() as both:
        both.create_task(_take(reader, on_its_way, way))
        both.create_task(_bring(writer, on_its_way, way))


async def _take(
    reader: asyncio.StreamReader, on_its_way: asyncio.Queue[tuple[float, bytes]], way: Way
) -> None:
    loop = asyncio.get_running_loop()
    due = 0.0
    while True:
        data = await reader.read(_CHUNK)
        # A lost segment holds up those behind it
        due = max(due, loop.time() + way.latency())
        await on_its_way.put((due, data))
        if not data:
            return


async def _bring(
    writer: asyncio.StreamWriter, on_its_way: asyncio.Queue[tuple[float, bytes]], way: Way
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, data = await on_its_way.get()
        early = due - loop.time()
        if early > 0:
            await asyncio.sleep(early)
        await way.passable()
        if not data:
            raise _EndOfStreamError
        writer.write(data)
        await writer.drain()


class Network:
    """A proxy between any two devices, in either direction of dialling. Used as an async context manager.

    `ports` are where the devices themselves listen. On entering, `dialled` says what to dial instead, by
    (client, server).
    """

    def __init__(self, ports: Mapping[str, int], seed: int) -> None:
        self.dialled: dict[tuple[str, str], int] = {}
        rng = random.Random(f"network/{seed}")  # noqa: S311 - a story, not a secret
        pairs = [(one, other) for one in ports for other in ports if one != other]
        self._ways = {pair: Way(rng) for pair in pairs}
        self._proxies = {
            (client, server): Proxy(ports[server], self._ways[client, server], self._ways[server, client])
            for client, server in pairs
        }
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for pair, proxy in self._proxies.items():
            self._stack.push_async_callback(proxy.close)
            self.dialled[pair] = await proxy.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            await self._stack.aclose()

    def way(self, sender: str, receiver: str) -> Way:
        """Return one direction of a link."""
        return self._ways[sender, receiver]

    def reset(self, one: str, other: str) -> None:
        """Break all connections of a link, and make none until it is mended."""
        for pair in ((one, other), (other, one)):
            self._proxies[pair].refuses = True
            self._proxies[pair].reset()

    def mend(self, one: str, other: str) -> None:
        """End all that is wrong with a link."""
        for pair in ((one, other), (other, one)):
            self._ways[pair].mend()
            self._proxies[pair].refuses = False
