"""A reply that is read while it comes: what waits for its reader is bounded, and so is the reader's wait."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Final

from netconf_client.api import Reply

# While so many octets wait for the reader nothing more is read from the server.
_MOST_WAITING: Final = 1024 * 1024


class StreamedReply:
    """The parts of one reply between the session, which calls `put`, `end` and `fail`, and its one reader.

    `pause` and `resume` stop and start the reading from the server.
    """

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pause = pause
        self._resume = resume
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._ended = False
        self._failure: Exception | None = None
        self._news = asyncio.Event()

    def put(self, part: bytes) -> None:
        """Add octets of the reply."""
        self._parts.append(part)
        self._size += len(part)
        self._news.set()
        if self._size > _MOST_WAITING and not self._paused:
            self._paused = True
            self._pause()

    def end(self) -> None:
        """Take note that nothing follows."""
        self._ended = True
        self._news.set()

    def fail(self, failure: Exception) -> None:
        """Take note that the rest does not come."""
        if not self._ended:
            self._failure = failure
            self._news.set()

    def whole(self, make: Callable[[], Reply]) -> None:
        """Take a reply that came as one, or is an error: then `make` raises it."""
        try:
            self.put(make().raw)
        except Exception as failure:  # noqa: BLE001 - whatever it is, the reader is told
            self.fail(failure)
        self.end()

    async def parts(self, patience: float) -> AsyncGenerator[bytes, None]:
        """Yield the octets as they come. Raises what `fail` was given, TimeoutError when nothing has come for
        `patience` seconds.
        """
        while True:
            while self._parts:
                part = self._parts.popleft()
                self._size -= len(part)
                if self._paused and self._size <= _MOST_WAITING // 2:
                    self._paused = False
                    self._resume()
                yield part
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return
            self._news.clear()
            async with asyncio.timeout(patience):
                await self._news.wait()

    def leave(self) -> None:
        """Take note that the reader is gone: the server may be read on."""
        if self._paused:
            self._paused = False
            self._resume()
