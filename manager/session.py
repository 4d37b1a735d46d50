"""One session with one device: its notifications in order, with a bound, and the RPCs to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from lxml import etree

from manager.probing import probe_forever
from netconf_client import ClientSession, ReplyTimeout, SessionClosed
from rui.backup.burden import BULK, Burden
from rui.netconf.events import NotificationReceived

STREAM = "rui-backup"
"""The stream of identities and uploads (S401)."""

_QUEUE_MESSAGES = 32
_QUEUE_BYTES = 8 << 20
_MAX_OUTSTANDING = 4096
_RPC_TIMEOUT = 60.0
# A message this large takes milliseconds to handle: others get their turn after it.
_LARGE = 64 << 10


class Conversation:
    """An open session with a device.

    ``handle`` is called for each notification, one after the other. While ``busy`` says so, or while too much
    waits, nothing more is read from the device, so SSH's window stops the sender. Made when the session is
    open; :meth:`run` subscribes (S401) and returns when it is over.
    """

    def __init__(
        self,
        session: ClientSession,
        handle: Callable[[NotificationReceived], None],
        busy: Callable[[], bool],
        probe_interval: float = 0.0,
    ) -> None:
        self.session = session
        self._handle = handle
        self._busy = busy
        self._probe_interval = probe_interval
        self._burden = Burden()
        self._queue: deque[NotificationReceived] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._paused = False
        self._outstanding = 0
        self.heard_at = asyncio.get_running_loop().time()
        """When the device was last heard of: a message, or an answer to a probe."""
        self._end_reason = ""
        self._closing: asyncio.Task[None] | None = None

    async def run(self, subscribed: Callable[[], None]) -> str:
        """Subscribe, call ``subscribed``, then serve until the session is over; return why it is.

        Raises RpcError or NetconfClientError if the device refuses the subscription; the session is
        closed then too.
        """
        workers: list[asyncio.Task[None]] = []
        try:
            self.session.on_notification(self._take)
            await self.session.create_subscription(STREAM)
            subscribed()
            loop = asyncio.get_running_loop()
            workers.append(loop.create_task(self._work()))
            if self._probe_interval:
                workers.append(
                    loop.create_task(
                        probe_forever(self.session, self._probe_interval, self._burden, self._heard)
                    )
                )
            reason = await self.session.wait_closed()
            return self._end_reason or reason
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await self.session.close()

    async def rpc(self, operation: etree._Element | Sequence[bytes]) -> etree._Element:
        """Send an operation and return the rpc-reply. Raises RpcError or NetconfClientError."""
        if self._outstanding >= _MAX_OUTSTANDING:
            reason = f"{self._outstanding} requests are unanswered"
            self.end(reason)
            raise SessionClosed(self.session.where, reason)
        self._outstanding += 1
        octets = 0 if isinstance(operation, etree._Element) else sum(map(len, operation))
        self._carries(octets)
        try:
            reply = await self.session.rpc(operation, timeout=_RPC_TIMEOUT)
            self._heard()
            return reply.element
        except ReplyTimeout as error:
            self.end(str(error))
            raise
        finally:
            self._outstanding -= 1
            self._carries(octets)

    def end(self, reason: str) -> None:
        """Close the session because of ``reason``; :meth:`run` returns it."""
        if self._closing is None:
            self._end_reason = reason
            self._closing = asyncio.get_running_loop().create_task(self.session.close())

    def released(self) -> None:
        """There may be room again: look whether ``busy`` still holds."""
        self._wake.set()

    def _heard(self) -> None:
        self.heard_at = asyncio.get_running_loop().time()

    def _take(self, notification: NotificationReceived) -> None:
        self._heard()
        self._queue.append(notification)
        self._queued += len(notification.raw)
        self._carries(len(notification.raw))
        self._wake.set()
        if not self._paused and (len(self._queue) >= _QUEUE_MESSAGES or self._queued >= _QUEUE_BYTES):
            self._paused = True
            self.session.pause_reading()

    def _carries(self, octets: int) -> None:
        # While reading is paused, replies wait as well.
        self._burden.carries(BULK if self._paused else octets, asyncio.get_running_loop().time())

    async def _work(self) -> None:
        while True:
            while not self._queue or self._busy():
                self._wake.clear()
                await self._wake.wait()
            notification = self._queue.popleft()
            size = len(notification.raw)
            self._queued -= size
            if (
                self._paused
                and len(self._queue) <= _QUEUE_MESSAGES // 2
                and self._queued <= _QUEUE_BYTES // 2
            ):
                self._carries(size)
                self._paused = False
                self.session.resume_reading()
            self._handle(notification)
            if size >= _LARGE:
                await asyncio.sleep(0)
