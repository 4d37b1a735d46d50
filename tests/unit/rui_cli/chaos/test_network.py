"""The proxies: what they let through, hold and break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rui_cli.chaos.network import Network

HOST = "127.0.0.1"


class Echo:
    """A server that says everything back."""

    def __init__(self) -> None:
        self.received = b""
        self.heard = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._answer(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                self.received += data
                self.heard.set()
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def network(echo: Echo) -> AsyncIterator[Network]:
    server = await asyncio.start_server(echo.serve, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with Network({"a": port, "b": port}, 1) as made:
            yield made
    finally:
        server.close()


@asynccontextmanager
async def dialled(made: Network) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, made.dialled["a", "b"])
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def test_octets_pass_in_order_whatever_the_latency() -> None:
    async with network(echo := Echo()) as made, dialled(made) as (reader, writer):
        made.way("a", "b").spoil(delay=0.01)
        data = bytes(range(256)) * 400
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        assert echo.received == data


async def test_a_cut_holds_what_is_on_its_way_until_it_is_mended() -> None:
    async with network(echo := Echo()) as made, dialled(made) as (reader, writer):
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        made.way("a", "b").block()
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(1), 0.05)
        assert echo.received == b"one"
        made.mend("a", "b")
        assert await reader.readexactly(3) == b"two"


async def test_one_direction_may_be_cut_alone() -> None:
    async with network(echo := Echo()) as made, dialled(made) as (reader, writer):
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        made.way("b", "a").block()
        echo.heard.clear()
        writer.write(b"two")
        await echo.heard.wait()
        assert echo.received == b"onetwo"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(1), 0.05)


async def test_a_reset_breaks_connections_and_makes_none_until_it_is_mended() -> None:
    async with network(Echo()) as made:
        async with dialled(made) as (reader, writer):
            writer.write(b"one")
            await reader.readexactly(3)
            made.reset("b", "a")
            assert await ends(reader)
        async with dialled(made) as (reader, _):
            assert await ends(reader)
        made.mend("a", "b")
        async with dialled(made) as (reader, writer):
            writer.write(b"two")
            assert await reader.readexactly(3) == b"two"


async def ends(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(1) == b""
    except ConnectionError:
        return True


async def test_a_lost_chunk_is_a_pause() -> None:
    async with network(Echo()) as made:
        way = made.way("a", "b")
        way.spoil(loss=1.0)
        assert way.latency() == pytest.approx(0.2 + 0.4 + 0.8 + 1.6 + 3.2)
        way.mend()
        assert way.latency() == 0.0
