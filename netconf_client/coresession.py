"""A session over the sans-IO core, whatever transport carries its bytes."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from typing import Final

import structlog

from netconf_client.api import DEFAULT_TIMEOUT, Reply
from netconf_client.driver import DriverSession
from netconf_client.errors import ConnectFailed, ReplyTimeout, SessionClosed
from netconf_client.operations import make_reply, operation_name
from netconf_client.streamed import StreamedReply
from rui.netconf import events, messages
from rui.netconf.session import ClientSession as Core
from rui.netconf.session import Limits
from rui.netconf.states import State

log = structlog.get_logger()

AT_ONCE: Final = 128 * 1024
"""So many bytes are handed to the transport at once; fewer wait for the end of the loop's turn."""


class CoreSession(DriverSession):
    """A ClientSession whose transport is a subclass's matter; its methods belong to one event loop.

    The transport calls `connected`, `received`, `ended`, `pause_writing` and `resume_writing`; the subclass
    gives `_write`, `_close_transport` and `_transport_closed`, and the two methods of reading.
    """

    def __init__(self, where: str, limits: Limits) -> None:
        super().__init__(where)
        self._core = Core(limits=limits)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: float | None = None
        self._flushing: asyncio.Handle | None = None
        self._replies: dict[str, asyncio.Future[events.ReplyReceived]] = {}
        self._streams: dict[str, StreamedReply] = {}
        self._slots = asyncio.Semaphore(limits.max_outstanding)
        self._slots_taken = 0
        self._turn = asyncio.Lock()
        self._writable = asyncio.Event()
        self._writable.set()
        self._opened: asyncio.Future[None] = self._loop.create_future()

    @property
    def session_id(self) -> int:
        """The id that the server gave."""
        return self._core.session_id or 0

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The server's capabilities, in its order."""
        return self._core.peer_capabilities

    async def rpc(self, operation: messages.Body, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Send one operation and return its reply. See ClientSession."""
        try:
            async with asyncio.timeout(timeout):
                reply = await self._exchange(operation)
        except TimeoutError:
            self._end_if_mute()
            raise ReplyTimeout(self._where, operation_name(operation), timeout) from None
        return make_reply(reply.reply, reply.raw)

    async def rpc_stream(
        self, operation: messages.Body, *, timeout: float = DEFAULT_TIMEOUT
    ) -> AsyncGenerator[bytes, None]:
        """Send one operation and yield the bytes of its reply as they come. See ClientSession."""
        reply = StreamedReply(self.pause_reading, self.resume_reading)
        message_id = None
        try:
            async with asyncio.timeout(timeout):
                message_id = await self._send(operation, streamed=True)
            self._streams[message_id] = reply
            self._transmit()
            async for part in reply.parts(timeout):
                yield part
        except TimeoutError:
            self._end_if_mute()
            raise ReplyTimeout(self._where, operation_name(operation), timeout) from None
        finally:
            reply.leave()
            if message_id is not None:
                self._streams.pop(message_id, None)
                self._core.abandon(message_id)

    async def _exchange(self, operation: messages.Body) -> events.ReplyReceived:
        message_id = await self._send(operation)
        answered: asyncio.Future[events.ReplyReceived] = self._loop.create_future()
        self._replies[message_id] = answered
        try:
            self._transmit()
            return await answered
        finally:
            self._replies.pop(message_id, None)
            self._core.abandon(message_id)

    async def _send(self, operation: messages.Body, *, streamed: bool = False) -> str:
        """Send an rpc when one more may be under way and the transport takes it; return its message-id.

        Its slot is free again when the reply comes, also one that nobody waits for any more.
        """
        await self._slots.acquire()
        try:
            # Requests leave in the order of the calls: who waited for the transport is not overtaken.
            async with self._turn:
                await self._writable.wait()
            if self._core.state is not State.OPEN:
                raise SessionClosed(self._where, self.closed_reason or "it is being closed")
            message_id = self._core.send_rpc(operation, streamed=streamed)
        except BaseException:
            self._slots.release()
            raise
        self._slots_taken += 1
        return message_id

    def _free_slots(self, outstanding: int) -> None:
        while self._slots_taken > outstanding:
            self._slots_taken -= 1
            self._slots.release()

    def _end_if_mute(self) -> None:
        """End a session whose server owes as many replies as may be under way: no further rpc can be sent."""
        if self._core.outstanding >= self._core.limits.max_outstanding and not (
            self._replies or self._streams
        ):
            self._handle(self._core.fail(f"{self._core.outstanding} rpcs in a row were never answered"))

    # the subclass's part

    def pause_reading(self) -> None:
        """Take nothing more from the server until `resume_reading`; flow control then stops the sender."""
        raise NotImplementedError

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        """Send bytes. Raises OSError."""
        raise NotImplementedError

    def _close_transport(self) -> None:
        """End the transport once what was written is sent."""
        raise NotImplementedError

    async def _transport_closed(self) -> None:
        """Wait until the transport is closed, in bounded time, by force if it must be."""
        raise NotImplementedError

    # what callers see

    async def close(self) -> None:
        """End the session in bounded time: close-session, then the transport, in the end by force."""
        if not self._closed.done():
            # a reader that paused would never see the reply to close-session
            self.resume_reading()
            self._handle(self._core.close(self._loop.time()))
            self._transmit()
        await self.wait_closed()
        await self._transport_closed()

    async def opened(self) -> None:
        """Wait for the server's hello. Raises ConnectFailed."""
        await asyncio.wait((self._opened, self._closed), return_when=asyncio.FIRST_COMPLETED)
        if not self._opened.done():
            raise ConnectFailed(self._where, self._closed.result())

    # the transport's side

    def connected(self) -> None:
        """Say hello: the transport is there."""
        self._handle(self._core.start(self._loop.time()))
        self._transmit()

    def received(self, data: bytes) -> None:
        """Feed the core."""
        self._handle(self._core.receive_data(data, self._loop.time()))

    def ended(self, reason: str | None = None) -> None:
        """Take the end of the server's data, or for a reason the transport's loss, as the session's end."""
        if reason is None:
            self._handle(self._core.receive_eof())
        else:
            self._handle(self._core.fail(f"transport lost: {reason}"))

    def pause_writing(self) -> None:
        """Let no further rpc start: the transport's buffer is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let rpcs start again."""
        self._writable.set()

    # between the core and the transport

    def _handle(self, happened: list[events.Event]) -> None:
        for event in happened:
            match event:
                case events.ReplyReceived():
                    answered = self._replies.pop(event.message_id, None)
                    stream = self._streams.pop(event.message_id, None)
                    if answered is not None and not answered.done():
                        answered.set_result(event)
                    elif stream is not None:
                        stream.whole(partial(make_reply, event.reply, event.raw))
                case events.ReplyPart():
                    self._take_part(event)
                case events.NotificationReceived():
                    self._notify(event)
                case events.HelloReceived():
                    self._opened.set_result(None)
                case events.StateChanged():
                    log.debug(
                        "netconf-client-state",
                        peer=self._where,
                        old=event.old.value,
                        new=event.new.value,
                        why=event.why,
                    )
                case events.SessionFailed() | events.SessionClosed():
                    self._end(event.reason)
        self._free_slots(0 if self._closed.done() else self._core.outstanding)
        self._rearm()

    def _take_part(self, event: events.ReplyPart) -> None:
        stream = self._streams.get(event.message_id)
        if stream is not None:
            stream.put(event.part)
            if event.last:
                stream.end()

    def _notify(self, event: events.NotificationReceived) -> None:
        if self._callback is None:
            log.debug("notification-dropped", peer=self._where, reason="nobody listens")
            return
        try:
            self._callback(event)
        except Exception as error:
            # whatever it is, the notification is lost, so the session must end
            log.exception("notification-callback-failed", peer=self._where)
            self._handle(self._core.fail(f"a notification could not be handled: {error!r}"))

    def _transmit(self) -> None:
        """Send soon: small messages of one turn of the event loop share a write, which is what costs.

        Large ones go at once, so that a full transport stops the next rpc.
        """
        if self._core.backlog >= AT_ONCE:
            self._flush()
        elif self._flushing is None:
            self._flushing = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        data = self._core.data_to_send()
        if not data:
            return
        try:
            self._write(data)
        except OSError as error:
            self._handle(self._core.fail(f"transport lost: {error}"))

    def _rearm(self) -> None:
        due = self._core.next_deadline()
        if due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = None if due is None else self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer_due = None
        self._handle(self._core.handle_timer(self._loop.time()))

    def _end(self, reason: str) -> None:
        """Release everyone who waits, and the transport; called once, when the core is closed."""
        log.info("netconf-session-closed", peer=self._where, session=self.session_id, reason=reason)
        self._closed.set_result(reason)
        for answered in self._replies.values():
            if not answered.done():
                answered.set_exception(SessionClosed(self._where, reason))
        for stream in self._streams.values():
            stream.fail(SessionClosed(self._where, reason))
        self._writable.set()
        self._close_transport()
