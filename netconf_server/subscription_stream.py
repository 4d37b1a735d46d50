"""A dynamic subscription to an event stream (RFC 8639), and what every dynamic subscription is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from lxml import etree

from netconf_server.call import SessionInfo
from netconf_server.streams import Receiver, Stream, Subscription, Terms
from netconf_server.subscription_errors import SUBSCRIBED, identity
from netconf_server.xmltree import append_copy
from rui.netconf import names


class Established(Protocol):
    """A dynamic subscription of either kind: to a stream or to a datastore."""

    number: int
    sent: int
    excluded: int
    suspended: bool

    @property
    def session(self) -> SessionInfo:
        """Whose subscription this is."""

    def begin(self) -> None:
        """Start to send."""

    def end(self) -> None:
        """Send nothing more."""

    def terminate(self, reason: str) -> None:
        """Tell the client why, and end."""

    def describe(self, parent: etree._Element) -> None:
        """Add what was agreed to an entry of the list of subscriptions or to a notification."""


def subscribed_tag(name: str) -> str:
    """A name of ietf-subscribed-notifications as lxml writes it."""
    return f"{{{SUBSCRIBED}}}{name}"


def add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    """Add a child in the namespace of its parent."""
    child = etree.SubElement(parent, f"{{{names.split(str(parent.tag))[0]}}}{name}")
    child.text = text
    return child


def state_change(name: str, number: int, reason: str | None = None) -> etree._Element:
    """A notification about a subscription itself (RFC 8639 section 2.7)."""
    module, namespace = identity(reason) if reason is not None else ("sn", SUBSCRIBED)
    event = etree.Element(subscribed_tag(name), nsmap=names.nsmap(SUBSCRIBED, {module: namespace}))
    add(event, "id", str(number))
    if reason is not None:
        add(event, "reason", f"{module}:{reason}")
    return event


@dataclass(frozen=True)
class Chosen:
    """The filter of a subscription as its client gave it: an element, or a name where by reference."""

    element: etree._Element | None = None
    name: str | None = None


class StreamSubscription(Subscription):
    """A dynamic subscription to a stream; a client that takes too little has it suspended.

    While it is suspended events pass by; it resumes when the client has taken what waited.
    """

    def __init__(
        self,
        number: int,
        stream: Stream,
        receiver: Receiver,
        terms: Terms,
        chosen: Chosen,
        *,
        bound: int,
        on_end: Callable[[Established], None],
    ) -> None:
        super().__init__(stream, receiver, terms)
        self.number = number
        self.chosen = chosen
        self.suspended = False
        self._bound = bound
        self._on_end = on_end
        self._resuming: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Send nothing more."""
        if self._resuming is not None:
            self._resuming.cancel()
        super().end()
        self._on_end(self)

    def terminate(self, reason: str) -> None:
        """Tell the client why, and end."""
        self.tell(state_change("subscription-terminated", self.number, reason))
        self.end()

    def modify(self, terms: Terms, chosen: Chosen, *, tell: bool = False) -> None:
        """Go on with another filter and stop time, active again; `tell` the client if it was not its wish."""
        self.terms = replace(terms, start=self.terms.start)
        self.chosen = chosen
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming, self.suspended = None, False
        self.arm_stop()
        if tell:
            event = state_change("subscription-modified", self.number)
            self.describe(event)
            self.tell(event)

    def describe(self, parent: etree._Element) -> None:
        """Add what was agreed."""
        if self.chosen.name is not None:
            add(parent, "stream-filter-name", self.chosen.name)
        elif self.chosen.element is not None:
            append_copy(parent, self.chosen.element)
        add(parent, "stream", self.stream.name)
        if self.terms.start is not None:
            add(parent, "replay-start-time", self.stream.event_time(self.terms.start))
        if self.terms.stop is not None:
            add(parent, "stop-time", self.stream.event_time(self.terms.stop))
        add(parent, "encoding", "encode-xml")

    def on_replayed(self) -> None:
        """Send replay-completed."""
        self.tell(state_change("replay-completed", self.number))

    def on_stop_time(self) -> None:
        """Tell that the subscription is no more: it is known by no id from now on."""
        self.terminate("no-such-subscription")

    def has_room(self) -> bool:
        """Suspend the subscription when too much waits for the client."""
        if self.suspended:
            return False
        if self._receiver.backlog <= self._bound:
            return True
        self.suspended = True
        self.tell(state_change("subscription-suspended", self.number, "unsupportable-volume"))
        self._resuming = asyncio.get_running_loop().create_task(self._resume())
        return False

    async def _resume(self) -> None:
        await self._receiver.drained()
        self._resuming = None
        self.suspended = False
        if self.active:
            self.tell(state_change("subscription-resumed", self.number))
