"""The native driver: the session core on an asyncssh channel in binary mode."""

import asyncio
from typing import Final

import asyncssh

from netconf_client.coresession import AT_ONCE, CoreSession
from rui.netconf.session import Limits

_TRANSPORT_CLOSE_TIMEOUT: Final = 2.0
# larger than asyncssh's 32 KiB: every packet costs it some 40 microseconds, whatever its size
PACKET: Final = AT_ONCE
WINDOW: Final = 4 * 1024 * 1024


class NativeSession(CoreSession, asyncssh.SSHClientSession[bytes]):
    """A ClientSession on asyncssh. `open_session` makes it.

    asyncssh calls `connection_made` to `connection_lost`; everything else is ClientSession's.
    """

    def __init__(self, where: str, limits: Limits) -> None:
        super().__init__(where, limits)
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._connection: asyncssh.SSHClientConnection | None = None

    def attach(self, connection: asyncssh.SSHClientConnection) -> None:
        """Own the SSH connection: it ends with the session."""
        self._connection = connection

    def pause_reading(self) -> None:
        """Take nothing more from the server until `resume_reading`; SSH's window then stops the sender."""
        if self._channel is not None:
            self._channel.pause_reading()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        if self._channel is not None:
            self._channel.resume_reading()

    # asyncssh's side

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Take the channel."""
        self._channel = chan

    def session_started(self) -> None:
        """The subsystem runs."""
        self.connected()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Hand bytes on; what a server writes to stderr is not NETCONF and is dropped."""
        if datatype is None:
            self.received(data)

    def eof_received(self) -> bool:
        """Take the end of the server's data as the end of the session."""
        self.ended()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the loss of the channel or the connection as the end of the session."""
        if exc is None:
            self.ended()
        else:
            reason = exc.reason if isinstance(exc, asyncssh.Error) else str(exc)
            self.ended(reason or type(exc).__name__)

    # the session's transport

    def _write(self, data: bytes) -> None:
        if self._channel is not None:
            self._channel.write(data)

    def _close_transport(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def _transport_closed(self) -> None:
        await close_connection(self._connection)


async def close_connection(connection: asyncssh.SSHClientConnection | None) -> None:
    """Close an SSH connection in bounded time, by force if it must be."""
    if connection is None:
        return
    connection.close()
    try:
        async with asyncio.timeout(_TRANSPORT_CLOSE_TIMEOUT):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()
