"""Event streams and the subscriptions to them: publish to all, or give one subscriber its own messages.

What is common to the subscriptions of RFC 5277 and RFC 8639 is here; how each kind begins, ends and what it
says to its client is in `subscription_classic` and `subscription_dynamic`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

import structlog
from lxml import etree

from netconf_server.call import SessionInfo
from netconf_server.eventfilter import EventFilter
from netconf_server.replay import ReplayLog
from rui.netconf.messages import Body, to_pieces
from rui.schema import Schema

log = structlog.get_logger(__name__)

Content: TypeAlias = "bytes | Sequence[bytes] | etree._Element"
"""One notification's content: an element, or its bytes, whole or in pieces, declaring its namespace."""

Permits: TypeAlias = Callable[[SessionInfo, Content], bool]
"""Says whether a session's user may receive this notification (RFC 8341 section 3.4.6)."""

_REPLAY_SLICE = 64 * 1024
# An event goes at once when none has gone lately; those that follow it closely share packets, which are what
# costs: seconds between two sendings, by the number of subscribers.
_PAUSE = 0.002
_PAUSE_PER_SUBSCRIBER = 0.0002
_LONGEST_PAUSE = 0.02


class Receiver(Protocol):
    """The session behind a subscription."""

    info: SessionInfo
    subscriptions: set[object]

    @property
    def open(self) -> bool:
        """Whether notifications can be sent."""

    @property
    def backlog(self) -> int:
        """Bytes that wait because the client takes too little."""

    async def drained(self) -> None:
        """Wait until no bytes wait, or the session is over."""

    def notify(self, content: Body, event_time: str, *, hold: bool = False) -> None:
        """Send one; with `hold` it may wait for `release`, so that several share a packet."""

    def release(self) -> None:
        """Send what was held."""


@dataclass(frozen=True)
class Terms:
    """What a subscriber wants: which events, from when on (None: no replay) and until when (None: always)."""

    wanted: EventFilter | None = None
    start: datetime | None = None
    stop: datetime | None = None


class Subscription:
    """One session's subscription to one stream; it ends with the session at the latest.

    `sent` counts the events that went to the client, `excluded` those that filter or access control kept
    back.
    """

    def __init__(self, stream: Stream, receiver: Receiver, terms: Terms) -> None:
        self.stream = stream
        self.terms = terms
        self.active = False
        self.sent = 0
        self.excluded = 0
        self._receiver = receiver
        self._replaying: asyncio.Task[None] | None = None
        self._stop_timer: asyncio.TimerHandle | None = None

    @property
    def session(self) -> SessionInfo:
        """Whose subscription this is."""
        return self._receiver.info

    def notify(self, content: Content, *, event_time: datetime | None = None, validate: bool = True) -> None:
        """Send one notification to this session only; nothing happens once the subscription has ended.

        `event_time` (aware) is now unless given. The content is checked against the model, which raises
        rui.schema.DataError; `validate=False` is for content that the caller has checked already, record by
        record.
        """
        if not self.active or not self._receiver.open:
            return
        if validate:
            self.stream.check(content)
        self._offer(content, self.stream.event_time(event_time))

    # --- for the stream and the kinds of subscription

    def begin(self) -> None:
        """Start to send: first what is to be replayed, then what happens."""
        self.active = True
        self._receiver.subscriptions.add(self)
        self.stream.add(self)
        if self.terms.start is not None and self.stream.log is not None:
            self._replaying = asyncio.get_running_loop().create_task(
                self._replay(self.terms.start, self.stream.log)
            )
        else:
            self.arm_stop()

    def end(self) -> None:
        """Send nothing more."""
        if not self.active:
            return
        self.active = False
        self._receiver.subscriptions.discard(self)
        self.release()
        if self._stop_timer is not None:
            self._stop_timer.cancel()
        if self._replaying is not None and self._replaying is not asyncio.current_task():
            self._replaying.cancel()
        self.stream.remove(self)

    def publish(self, content: Content, event_time: str) -> None:
        """Hold an event of the stream for `release`; one that happens during a replay is found in the log."""
        if self._replaying is None and self._receiver.open:
            self._offer(content, event_time, hold=True)

    def release(self) -> None:
        """Send what was held."""
        if self._receiver.open:
            self._receiver.release()

    def arm_stop(self) -> None:
        """Have the subscription stop at its stop time."""
        if self._stop_timer is not None:
            self._stop_timer.cancel()
            self._stop_timer = None
        if self.terms.stop is not None:
            wait = (self.terms.stop - self.stream.now()).total_seconds()
            self._stop_timer = asyncio.get_running_loop().call_later(max(0.0, wait), self.on_stop_time)

    def tell(self, content: etree._Element) -> None:
        """Say something about the subscription itself; no filter holds it back."""
        if self._receiver.open:
            self._receiver.notify(content, self.stream.event_time(None))

    def on_replayed(self) -> None:
        """Tell the client that the replay is complete."""

    def on_stop_time(self) -> None:
        """Tell the client that its stop time has come, and end."""
        self.end()

    def has_room(self) -> bool:
        """Say whether an event may be sent now; each kind of subscription treats a slow client its way."""
        return True

    # --- inside

    def _offer(self, content: Content, event_time: str, *, hold: bool = False) -> None:
        if not self._admits(content):
            self.excluded += 1
        elif self.has_room():
            self.sent += 1
            self._receiver.notify(content, event_time, hold=hold)

    def _admits(self, content: Content) -> bool:
        wanted, permits = self.terms.wanted, self.stream.permits
        if wanted is not None and not wanted.fits(_element(content)):
            return False
        return permits is None or permits(self.session, content)

    async def _replay(self, start: datetime, log_: ReplayLog) -> None:
        position = log_.first()
        while True:
            found, position = log_.read(position, _REPLAY_SLICE)
            if not found or not self.active:
                break
            for event in found:
                if event.time >= start and (self.terms.stop is None or event.time <= self.terms.stop):
                    self._offer(event.content, self.stream.event_time(event.time))
            await self._receiver.drained()
            await asyncio.sleep(0)
        # Nothing was awaited since the end of the log was seen: no event falls between it and the next one.
        self._replaying = None
        if self.active:
            self.on_replayed()
            self.arm_stop()


class Stream:
    """One event stream of the server, by name; with `log` what is published can be replayed."""

    def __init__(
        self,
        name: str,
        description: str,
        schema: Schema,
        now: Callable[[], datetime],
        log: ReplayLog | None = None,
    ) -> None:
        self.name = name
        self.description = description
        self.now = now
        self.log = log
        self.permits: Permits | None = None
        self._schema = schema
        self._subscriptions: list[Subscription] = []
        self._subscribed: list[Callable[[Subscription], None]] = []
        self._ended: list[Callable[[Subscription], None]] = []
        self._releasing: asyncio.Handle | None = None
        self._released = -math.inf

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """The subscriptions that are active."""
        return tuple(self._subscriptions)

    def on_subscribed(self, callback: Callable[[Subscription], None]) -> None:
        """Have `callback` called when a subscription begins, after the client was told so."""
        self._subscribed.append(callback)

    def on_ended(self, callback: Callable[[Subscription], None]) -> None:
        """Have `callback` called when a subscription has ended."""
        self._ended.append(callback)

    def publish(self, content: Content, *, event_time: datetime | None = None, validate: bool = True) -> None:
        """Send one notification to every subscriber; as `Subscription.notify`."""
        if validate:
            self.check(content)
        if not self._subscriptions and self.log is None:
            return
        time = event_time or self.now()
        pieces = to_pieces(content)
        if self.log is not None:
            try:
                self.log.append(time, b"".join(pieces))
            except OSError as error:
                log.error("event-not-logged", stream=self.name, reason=error.strerror or str(error))
        text = self.event_time(time)
        for subscription in self.subscriptions:
            subscription.publish(pieces, text)
        self._release_soon()

    def _release_soon(self) -> None:
        if self._releasing is not None or not self._subscriptions:
            return
        loop = asyncio.get_running_loop()
        pause = min(_LONGEST_PAUSE, max(_PAUSE, _PAUSE_PER_SUBSCRIBER * len(self._subscriptions)))
        due = self._released + pause
        self._releasing = (
            loop.call_at(due, self._release) if due > loop.time() else loop.call_soon(self._release)
        )

    def _release(self) -> None:
        self._releasing = None
        self._released = asyncio.get_running_loop().time()
        for subscription in self.subscriptions:
            subscription.release()

    # --- for the server and the subscriptions

    def check(self, content: Content) -> None:
        """Check content against the model. Raises rui.schema.DataError."""
        self._schema.check_notification(content if isinstance(content, etree._Element) else _joined(content))

    def event_time(self, time: datetime | None) -> str:
        """The time of an event as RFC 3339 text."""
        return (time or self.now()).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def add(self, subscription: Subscription) -> None:
        """Take a subscription that begins."""
        self._subscriptions.append(subscription)
        log.info("subscription-started", stream=self.name, session=subscription.session.id)
        _call(self._subscribed, subscription)

    def remove(self, subscription: Subscription) -> None:
        """Forget a subscription that has ended."""
        self._subscriptions.remove(subscription)
        log.info("subscription-ended", stream=self.name, session=subscription.session.id)
        _call(self._ended, subscription)

    def session_ended(self, session_id: int) -> None:
        """End the session's subscriptions."""
        for subscription in self.subscriptions:
            if subscription.session.id == session_id:
                subscription.end()


def _call(callbacks: list[Callable[[Subscription], None]], subscription: Subscription) -> None:
    for callback in callbacks:
        try:
            callback(subscription)
        except Exception:
            log.exception("subscription-callback-failed", stream=subscription.stream.name)


def _joined(content: bytes | Sequence[bytes]) -> bytes:
    return content if isinstance(content, bytes) else b"".join(content)


def _element(content: Content) -> etree._Element:
    return content if isinstance(content, etree._Element) else etree.fromstring(_joined(content))
