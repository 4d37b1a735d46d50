"""One NETCONF session over any byte transport: moves bytes, keeps one timer, answers rpcs in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Literal, TypeAlias

import structlog

from netconf_server.atonce import at_once
from netconf_server.call import Handler, Reply, RpcCall, SessionInfo
from netconf_server.limits import Limits
from netconf_server.transport import Transport
from rui.netconf.errors import RpcError
from rui.netconf.events import Event, HelloReceived, RpcReceived, SessionClosed, SessionFailed
from rui.netconf.messages import Body
from rui.netconf.session import Limits as CoreLimits
from rui.netconf.session import ServerSession
from rui.netconf.states import State

log = structlog.get_logger(__name__)

# A streamed reply lets the loop run and looks at the transport after this many bytes.
_SLICE = 64 * 1024
# Pipelined rpcs are answered for so many seconds at a time; then other sessions have their turn.
_TURN = 0.005
# What would be a packet of its own waits so many seconds for company, where some is to be expected, but not
# when it is so much company already: a client that pipelines is to get on while the rest is answered.
_MOMENT = 0.005
_COMPANY = 8
# What comes within so many seconds of the last answer was sent before that: more is to be expected.
_BEHIND = 0.0001
# An orderly end waits this long for the peer to take what was sent.
_LINGER = 5.0


EndCause: TypeAlias = Literal["closed", "killed", "dropped", "timeout", "bad-hello", "other"]
"""Why a session ended, in the words of RFC 6470's termination-reason."""


class Counters:
    """The counters of RFC 6022 section 2.1.4 for one session or, summed up, for the server."""

    def __init__(self) -> None:
        self.in_rpcs = 0
        self.in_bad_rpcs = 0
        self.out_rpc_errors = 0
        self.out_notifications = 0


class Session:
    """The asyncio shell around one ServerSession core.

    Feed it `receive`, `receive_eof`, `lost`, `pause_writing` and `resume_writing` from the transport.
    `handler` answers every rpc; the operations named in `bulk` may come without the content of their records,
    those in `prompt` are answered in the turn of the loop in which they come, when they come alone and as far
    as they need not wait.
    `on_end` is called once, when the session is over, with whether it ended in order.
    """

    def __init__(
        self,
        info: SessionInfo,
        capabilities: Sequence[str],
        transport: Transport,
        handler: Handler,
        *,
        limits: Limits,
        bulk: Collection[str],
        prompt: Collection[str] = (),
        on_end: Callable[[Session, bool], None],
        on_open: Callable[[Session], None] | None = None,
    ) -> None:
        self.info = info
        self.counters = Counters()
        self.subscriptions: set[object] = set()
        """While there are any the session is expected to be silent: no idle timeout."""
        self.end_cause: EndCause = "other"
        self.killed_by: int | None = None
        self._after_reply: list[Callable[[], None]] = []
        self._close_reason: str | None = None
        self._loop = asyncio.get_running_loop()
        self._core = ServerSession(
            info.id,
            capabilities,
            CoreLimits(
                max_message=limits.max_message_size,
                max_outstanding=limits.max_queued_rpcs,
                hello_timeout=limits.hello_timeout,
                bulk=frozenset(bulk),
            ),
        )
        self._transport = transport
        self._handler = handler
        self._prompt = prompt
        self._limits = limits
        self._on_end = on_end
        self._on_open = on_open
        self._rpcs: deque[RpcReceived] = deque()
        self._queued_bytes = 0
        self._writable = asyncio.Event()
        self._writable.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._paused_at: float | None = None
        self._reading = True
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Handle | None = None
        self._flush_due = 0.0
        self._held = 0
        self._answering = False
        self._answered = 0.0
        self._worker: asyncio.Task[None] | None = None
        self._busy = False
        self._ended = False
        self._orderly = False

    @property
    def version(self) -> str | None:
        """The agreed base version, None before the hellos."""
        return self._core.version

    @property
    def open(self) -> bool:
        """Whether the hellos were exchanged and the session is not over."""
        return self._core.state is State.OPEN and not self._ended

    # --- from the transport

    def start(self) -> None:
        """Send the hello; the transport is ready."""
        self._handle(self._core.start(self._loop.time()))

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer."""
        if not self._ended:
            cause: EndCause = "other" if self.open else "bad-hello"
            self._handle(self._core.receive_data(data, self._loop.time()), cause)

    def receive_eof(self) -> None:
        """Take note that the peer sends nothing more."""
        if not self._ended:
            self._handle(self._core.receive_eof(), "dropped")

    def lost(self, reason: str) -> None:
        """Take note that the transport is gone."""
        self._end(reason, "dropped")

    def pause_writing(self) -> None:
        """Take note that the transport's buffer is full."""
        self._writable.clear()
        self._paused_at = self._loop.time()
        self._rearm()

    def resume_writing(self) -> None:
        """Take note that the transport has room again."""
        self._paused_at = None
        self._writable.set()
        self._flush()

    # --- from the server

    def notify(self, content: Body, event_time: str, *, hold: bool = False) -> None:
        """Send a notification, or queue it behind what is being sent; a session that falls too far behind
        is closed. With `hold` it may wait for `release`.
        """
        if not self.open:
            return
        self._core.send_notification(content, event_time)
        self.counters.out_notifications += 1
        if not hold or self._core.backlog >= _SLICE:
            self._transmit()
        else:
            self._empty.clear()

    def release(self) -> None:
        """Send what was held."""
        self._flush()

    def after_reply(self, action: Callable[[], None]) -> None:
        """Have `action` called once the reply to the rpc being handled is sent."""
        self._after_reply.append(action)

    def close_after_reply(self, reason: str) -> None:
        """End the session in order once the reply to the rpc being handled is sent (close-session)."""
        self._close_reason = reason

    def kill(self, reason: str, by: int | None = None) -> None:
        """End the session at once, whatever it was doing (kill-session by another session, `by`)."""
        self.killed_by = by
        self._end(reason, "killed")

    def close(self, reason: str, cause: EndCause = "other") -> None:
        """End the session now; what is written already still goes out, for a few seconds."""
        if not self._ended:
            self._orderly = True
            self._core.close(reason, self._loop.time())
            self._end(reason, cause)

    @property
    def backlog(self) -> int:
        """Bytes that wait because the client takes too little, or behind a reply that is being streamed."""
        return self._core.backlog

    async def drained(self) -> None:
        """Wait until nothing waits for the client, or the session is over."""
        await self._empty.wait()

    # --- the loop: events, bytes, one timer

    def _handle(self, events: list[Event], cause: EndCause = "other") -> None:
        reason = None
        self._count_bad()
        for event in events:
            if isinstance(event, RpcReceived):
                self._rpcs.append(event)
                self._queued_bytes += len(event.raw)
            elif isinstance(event, HelloReceived):
                log.info("session-opened", session=self.info.id, user=self.info.user, base=event.version)
                if self._on_open is not None:
                    self._on_open(self)
            elif isinstance(event, SessionFailed | SessionClosed):
                reason = event.reason
        if reason is None and self._rpcs and not self._answering:
            self._begin_answering()
            if not self._answering:
                # All is answered, and with the last answer this was done.
                return
        self._transmit()
        self._steer_reading()
        self._rearm()
        if reason is not None:
            self._end(reason, cause)

    def _count_bad(self) -> None:
        """Take over what the core has refused; each was answered by one rpc-error or by the session's end."""
        self.counters.out_rpc_errors += self._core.bad_rpcs - self.counters.in_bad_rpcs
        self.counters.in_bad_rpcs = self._core.bad_rpcs

    def _transmit(self) -> None:
        """Send soon: small messages share packets of the transport, which are what costs.

        While further rpcs wait for their replies a moment is waited.
        """
        if self._core.backlog >= _SLICE:
            self._flush()
        elif self._core.backlog:
            self._empty.clear()
            now = self._loop.time()
            due = now + _MOMENT if self._rpcs else now
            if self._flushing is None or due < self._flush_due:
                self._cancel_flush()
                self._flush_due = due
                self._flushing = (
                    self._loop.call_at(due, self._flush) if due > now else self._loop.call_soon(self._flush)
                )
            elif self._rpcs and (self._held >= _COMPANY or now >= self._flush_due):
                # One rpc after the other is answered, so the loop has no turn to call it.
                self._flush()

    def _keep_company(self) -> None:
        """Send a reply with those to the rpcs that wait; the last is sent when it is done with."""
        if self._rpcs:
            self._transmit()

    def _cancel_flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None

    def _flush(self) -> None:
        self._cancel_flush()
        if self._ended:
            return
        if self._writable.is_set():
            data = self._core.data_to_send()
            self._held = 0
            if data:
                self._transport.write(data)
        elif self._core.backlog > self._limits.send_buffer:
            self._end(f"the client takes too little: {self._core.backlog} bytes wait for it")
        if self._core.backlog:
            self._empty.clear()
        else:
            self._empty.set()

    def _steer_reading(self) -> None:
        if self._ended:
            return
        wanted = not self._core.paused and self._queued_bytes <= self._limits.max_queued_bytes
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _rearm(self) -> None:
        if self._ended:
            return  # what the timer is for now is the transport's end
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadlines = [self._core.next_deadline(), self._stall_deadline(), self._idle_deadline()]
        times = [time for time in deadlines if time is not None]
        if times:
            self._timer = self._loop.call_at(min(times), self._on_timer)

    def _stall_deadline(self) -> float | None:
        return None if self._paused_at is None else self._paused_at + self._limits.stall_timeout

    def _idle_deadline(self) -> float | None:
        last = self._core.last_received
        if self._limits.idle_timeout is None or last is None or self.subscriptions or self._busy:
            return None
        return last + self._limits.idle_timeout

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        stall, idle = self._stall_deadline(), self._idle_deadline()
        if stall is not None and now >= stall:
            self._end(f"the client took nothing for {self._limits.stall_timeout:g} s", "timeout")
        elif idle is not None and now >= idle and self.open:
            self.close(f"idle for {self._limits.idle_timeout:g} s", "timeout")
        else:
            self._handle(self._core.handle_timer(now), "timeout")

    def _end(self, reason: str, cause: EndCause = "other") -> None:
        if self._ended:
            return
        if self._writable.is_set():
            self._transport.write(self._core.data_to_send())
        self._ended = True
        self.end_cause = cause
        self._empty.set()
        self._core.fail(reason)
        self._rpcs.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._worker is not None and self._worker is not asyncio.current_task():
            self._worker.cancel()
        self._transport.close()
        self._timer = self._loop.call_later(_LINGER, self._transport.abort)
        log.info("session-ended", session=self.info.id, user=self.info.user, reason=reason)
        self._on_end(self, self._orderly)

    def forget(self) -> None:
        """Drop the last timer: the transport is closed on both sides."""
        if self._timer is not None:
            self._timer.cancel()

    # --- answering, one rpc after the other

    def _begin_answering(self) -> None:
        self._answering = True
        work = self._work()
        # Those that come together, or right behind one another, are to be answered together.
        alone = len(self._rpcs) == 1 and monotonic() - self._answered > _BEHIND
        left = at_once(work) if alone and self._is_prompt(self._rpcs[0]) else work
        if left is not None:
            self._worker = self._loop.create_task(left, name=f"netconf-session-{self.info.id}")

    def _is_prompt(self, rpc: RpcReceived) -> bool:
        return rpc.operation.tag in self._prompt

    async def _work(self) -> None:
        """Answer until no rpc waits."""
        begun = self._loop.time()
        try:
            while self._rpcs and not self._ended:
                rpc = self._rpcs[0]
                late = self._loop.time() - begun > _TURN
                if late or (self._worker is None and not self._is_prompt(rpc)):
                    await asyncio.sleep(0)
                    begun = self._loop.time()
                    continue
                self._rpcs.popleft()
                self._busy = True
                await self._answer(rpc)
                self._busy = False
                self._queued_bytes -= len(rpc.raw)
                self._finish_reply()
        finally:
            self._answering = False
            self._answered = monotonic()
            self._worker = None

    def _finish_reply(self) -> None:
        actions, self._after_reply = self._after_reply, []
        if self._ended:
            return
        for action in actions:
            action()
        if self._close_reason is not None:
            self.close(self._close_reason, "closed")
        else:
            self._held += 1
            if not self._rpcs:
                self._flush()
            # What waited while rpcs were outstanding is read now.
            self._handle(self._core.resume())

    async def _answer(self, rpc: RpcReceived) -> None:
        self.counters.in_rpcs += 1
        try:
            reply = await self._handler(RpcCall(self.info, rpc.message_id, rpc.operation, rpc.raw, rpc.bulk))
            if isinstance(reply, AsyncIterator):
                await self._stream(rpc, reply)
                return
            body: Reply = reply
        except RpcError as error:
            self._refuse(rpc, error)
            return
        except Exception:
            log.exception("rpc-handler-failed", session=self.info.id, operation=rpc.operation.tag)
            self._refuse(rpc, RpcError.operation_failed("the server failed inside; its log says why"))
            return
        if self.open:
            self._core.send_reply(rpc, body if body is None else list(body))  # type: ignore[arg-type]
            self._keep_company()
            await self._room()

    def _refuse(self, rpc: RpcReceived, error: RpcError) -> None:
        self.counters.out_rpc_errors += len(error.all)
        self._after_reply.clear()
        if self.open:
            self._core.send_error(rpc, error)
            self._keep_company()

    async def _stream(self, rpc: RpcReceived, pieces: AsyncIterator[bytes]) -> None:
        # The first piece is made before the reply begins: until then a fault is still an rpc-error.
        first = await anext(pieces, b"")
        if not self.open:
            return
        self._core.begin_reply(rpc)
        try:
            self._core.reply_piece(first)
            sent = len(first)
            async for piece in pieces:
                self._core.reply_piece(piece)
                sent += len(piece)
                if sent >= _SLICE:
                    sent = 0
                    self._flush()
                    await self._room()
                    await asyncio.sleep(0)
                if self._ended:
                    return
        except Exception as error:
            log.exception("reply-broke-off", session=self.info.id, operation=rpc.operation.tag)
            self._end(f"a streamed reply broke off: {error}")
            return
        self._handle(self._core.end_reply())
        await self._room()

    async def _room(self) -> None:
        """Wait until the transport takes bytes again; the stall timer bounds the wait."""
        while not self._writable.is_set() and not self._ended:
            await self._writable.wait()


def utc_now() -> datetime:
    """The wall clock, for times that people read."""
    return datetime.now(UTC)
