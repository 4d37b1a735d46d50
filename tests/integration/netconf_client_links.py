"""Links and servers that misbehave: a TCP proxy that can freeze, an SSH server whose NETCONF is scripted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncssh

from netconf_client import PinnedKey, Target
from rui.netconf import messages, names

HELLO = messages.build_hello([names.CAP_BASE_1_0, names.CAP_BASE_1_1], 1) + b"]]>]]>"


class Proxy:
    """Forwards one TCP port to another; frozen it takes nothing and gives nothing, but stays connected."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._running = asyncio.Event()
        self._running.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def freeze(self) -> None:
        self._running.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        for pair in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._forward(*pair))
            self._tasks.add(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._running.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator["Proxy"]:
        proxy = cls(port)
        server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            for task in proxy._tasks:
                task.cancel()
            await asyncio.gather(*proxy._tasks, return_exceptions=True)
            await server.wait_closed()


Script = Callable[[asyncssh.SSHServerChannel[bytes], bytes], None]
"""Called with each piece of what the client sends, and once with b"" when the subsystem starts."""


class _Session(asyncssh.SSHServerSession[bytes]):
    def __init__(self, script: Script) -> None:
        self._script = script
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "netconf"

    def session_started(self) -> None:
        assert self._channel is not None
        self._script(self._channel, b"")

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        assert self._channel is not None
        self._script(self._channel, data)


class _Server(asyncssh.SSHServer):
    def __init__(self, script: Script, connections: list[asyncssh.SSHServerConnection]) -> None:
        self._script = script
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        return False

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        return _Session(self._script)


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[Target]:
    """Run an SSH server that lets anybody in and follows `script`; give the target to reach it."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    connections: list[asyncssh.SSHServerConnection] = []
    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: _Server(script, connections),
        server_host_keys=[key],
        encoding=None,
    )
    pinned = PinnedKey(key.export_public_key().decode())
    try:
        yield Target("127.0.0.1", "anybody", pinned, port=listener.get_port(), password="any")
    finally:
        listener.close()
        for connection in connections:
            connection.abort()
            await connection.wait_closed()
        await listener.wait_closed()


def silent_after_hello(channel: asyncssh.SSHServerChannel[bytes], data: bytes) -> None:
    if not data:
        channel.write(HELLO)
