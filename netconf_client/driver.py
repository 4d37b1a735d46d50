"""What a session is whatever carries it: where it leads, who hears its notifications, how it ended."""

import asyncio
from collections.abc import AsyncGenerator

from netconf_client.api import DEFAULT_TIMEOUT, NotificationCallback
from netconf_client.operations import Operations
from rui.netconf import messages


class DriverSession(Operations):
    """The part of a ClientSession that both drivers share; a driver sets the result of `_closed` once."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._loop = asyncio.get_running_loop()
        self._callback: NotificationCallback | None = None
        self._closed: asyncio.Future[str] = self._loop.create_future()

    @property
    def where(self) -> str:
        """The server's address, for messages and logs."""
        return self._where

    @property
    def closed_reason(self) -> str | None:
        """Why the session is over; None while it is not."""
        return self._closed.result() if self._closed.done() else None

    def on_notification(self, callback: NotificationCallback | None) -> None:
        """Have `callback` called for each notification. See ClientSession."""
        self._callback = callback

    async def rpc_stream(
        self, operation: messages.Body, *, timeout: float = DEFAULT_TIMEOUT
    ) -> AsyncGenerator[bytes, None]:
        """Yield the reply's bytes, here all at once. See ClientSession."""
        yield (await self.rpc(operation, timeout=timeout)).raw

    async def wait_closed(self) -> str:
        """Wait until the session is over and return the reason."""
        return await asyncio.shield(self._closed)
