"""Event streams and subscriptions (RFC 5277): publish to all, or give each subscriber its own messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

import structlog
from lxml import etree

from netconf_server.call import SessionInfo
from netconf_server.subtree import SubtreeFilter
from rui.netconf.messages import Body, to_pieces
from rui.schema import Schema

log = structlog.get_logger(__name__)

Content: TypeAlias = "bytes | Sequence[bytes] | etree._Element"
"""One notification's content: an element, or its bytes, whole or in pieces, declaring its namespace."""


class Receiver(Protocol):
    """The session behind a subscription."""

    info: SessionInfo

    @property
    def open(self) -> bool:
        """Whether notifications can be sent."""

    def notify(self, content: Body, event_time: str) -> None:
        """Send one."""


class Subscription:
    """One session's subscription to one stream; it ends with the session."""

    def __init__(self, stream: Stream, receiver: Receiver, wanted: SubtreeFilter | None) -> None:
        self.stream = stream
        self.active = True
        self._receiver = receiver
        self._wanted = wanted

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
        if self._wanted is None:
            self._receiver.notify(content, self.stream.event_time(event_time))
            return
        selected = self._wanted.apply(_element(content))
        if selected is not None:
            self._receiver.notify(selected, self.stream.event_time(event_time))


class Stream:
    """One event stream of the server, by name."""

    def __init__(self, name: str, description: str, schema: Schema, now: Callable[[], datetime]) -> None:
        self.name = name
        self.description = description
        self._schema = schema
        self._now = now
        self._subscriptions: dict[int, Subscription] = {}
        self._subscribed: list[Callable[[Subscription], None]] = []
        self._ended: list[Callable[[Subscription], None]] = []

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """The subscriptions that are active."""
        return tuple(self._subscriptions.values())

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
        if not self._subscriptions:
            return
        pieces = to_pieces(content)
        for subscription in self.subscriptions:
            subscription.notify(pieces, event_time=event_time, validate=False)

    # --- for the server and the subscriptions

    def check(self, content: Content) -> None:
        """Check content against the model. Raises rui.schema.DataError."""
        self._schema.check_notification(content if isinstance(content, etree._Element) else _joined(content))

    def event_time(self, time: datetime | None) -> str:
        """The time of an event as RFC 3339 text."""
        return (time or self._now()).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def add(self, receiver: Receiver, wanted: SubtreeFilter | None) -> None:
        """Begin a subscription."""
        subscription = Subscription(self, receiver, wanted)
        self._subscriptions[receiver.info.id] = subscription
        log.info("subscription-started", stream=self.name, session=receiver.info.id)
        _call(self._subscribed, subscription)

    def remove(self, session_id: int) -> None:
        """End the session's subscription if it has one."""
        subscription = self._subscriptions.pop(session_id, None)
        if subscription is not None:
            subscription.active = False
            log.info("subscription-ended", stream=self.name, session=session_id)
            _call(self._ended, subscription)


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
