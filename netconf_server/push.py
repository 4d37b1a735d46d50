"""A subscription to a datastore (YANG push, RFC 8641): periodic, or on change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from lxml import etree

from netconf_server.call import SessionInfo
from netconf_server.push_patch import ChangeKind, add_patch, kind_of
from netconf_server.push_source import PushSource, TooBigError
from netconf_server.streams import Receiver
from netconf_server.subscription_errors import PUSH
from netconf_server.subscription_stream import Established, add, state_change
from netconf_server.xmltree import append_copy
from rui.netconf import names
from rui.netconf.errors import RpcError

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class PushTerms:
    """When updates are sent; times in seconds. `period` None means on change.

    `anchor` is a time of which the periodic updates are a multiple of periods away. `dampening` is the least
    time between two updates on change, `excluded` are changes that are not told, `sync` whether the first
    update holds everything.
    """

    period: float | None = None
    anchor: datetime | None = None
    dampening: float = 0.0
    sync: bool = True
    excluded: frozenset[ChangeKind] = field(default_factory=frozenset)
    stop: datetime | None = None


class PushSubscription:
    """One session's subscription to what a filter selects of a datastore.

    Nothing is queued: what is sent is read when the client has room, so a slow client gets fewer updates,
    each of them whole. It is suspended when the selection has grown beyond the bound of one update.
    """

    def __init__(
        self,
        number: int,
        receiver: Receiver,
        source: PushSource,
        terms: PushTerms,
        *,
        now: Callable[[], datetime],
        on_end: Callable[[Established], None],
    ) -> None:
        self.number = number
        self.source = source
        self.terms = terms
        self.sent = 0
        self.excluded = 0
        self.suspended = False
        self.active = False
        self._receiver = receiver
        self._now = now
        self._on_end = on_end
        self._known: etree._Element | None = None
        self._resync = False
        self._patches = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def session(self) -> SessionInfo:
        """Whose subscription this is."""
        return self._receiver.info

    def begin(self) -> None:
        """Start to send."""
        self.active = True
        self._receiver.subscriptions.add(self)
        log.info("push-started", session=self.session.id, subscription=self.number)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def end(self) -> None:
        """Send nothing more."""
        self.active = False
        self._receiver.subscriptions.discard(self)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._on_end(self)

    def terminate(self, reason: str) -> None:
        """Tell the client why, and end."""
        self._tell(state_change("subscription-terminated", self.number, reason))
        self.end()

    def modify(self, source: PushSource, terms: PushTerms) -> None:
        """Go on with another selection or other times, active again."""
        self.source, self.terms = source, terms
        self.suspended = False
        if self.active:
            if self._task is not None:
                self._task.cancel()
            self._task = asyncio.get_running_loop().create_task(self._run())

    def resync(self) -> None:
        """Send the whole selection once more."""
        self._resync = True
        self._changed.set()

    def look(self) -> None:
        """Take note that what is selected may have changed."""
        self._changed.set()

    def describe(self, parent: etree._Element) -> None:
        """Add what was agreed."""
        tag = f"{{{PUSH}}}datastore"
        store = etree.SubElement(
            parent, tag, nsmap=names.nsmap(PUSH, {"ds": "urn:ietf:params:xml:ns:yang:ietf-datastores"})
        )
        store.text = f"ds:{self.source.datastore}"
        if self.source.shown is not None:
            append_copy(parent, self.source.shown)
        if self.terms.stop is not None:
            add(parent, "stop-time", self.terms.stop.isoformat())
        add(parent, "encoding", "encode-xml")
        trigger = etree.SubElement(
            parent,
            f"{{{PUSH}}}{'on-change' if self.terms.period is None else 'periodic'}",
            nsmap=names.nsmap(PUSH),
        )
        if self.terms.period is not None:
            add(trigger, "period", str(round(self.terms.period * 100)))
            if self.terms.anchor is not None:
                add(trigger, "anchor-time", self.terms.anchor.isoformat())
        else:
            add(trigger, "dampening-period", str(round(self.terms.dampening * 100)))
            add(trigger, "sync-on-start", "true" if self.terms.sync else "false")
            for kind in sorted(self.terms.excluded):
                add(trigger, "excluded-change", kind)

    # --- inside

    async def _run(self) -> None:
        try:
            stop = self.terms.stop
            wait = None if stop is None else max(0.0, (stop - self._now()).total_seconds())
            async with asyncio.timeout(wait):
                if self.terms.period is not None:
                    await self._periodically(self.terms.period)
                else:
                    await self._on_change()
        except TimeoutError:
            self.terminate("no-such-subscription")

    async def _periodically(self, period: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._first_wait(period)
        while self.active:
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._receiver.drained()
            await self._send_all()
            # A client that was slow misses updates rather than getting them late.
            due += period * max(1, -(-(loop.time() - due) // period))

    def _first_wait(self, period: float) -> float:
        """At once, or at the next multiple of periods from the anchor (RFC 8641, anchor-time)."""
        if self.terms.anchor is None:
            return 0.0
        return (self.terms.anchor - self._now()).total_seconds() % period

    async def _on_change(self) -> None:
        if self.terms.sync:
            await self._send_all()
        else:
            self._known = await self._read()
        while self.active:
            await self._changed.wait()
            self._changed.clear()
            await self._receiver.drained()
            if self._resync:
                self._resync = False
                await self._send_all()
            else:
                await self._send_changes()
            # what changes meanwhile is told together
            await asyncio.sleep(self.terms.dampening)

    async def _read(self) -> etree._Element | None:
        """The selection now; None, and the subscription suspended, when it is too big for one update."""
        try:
            found = await self.source.read()
        except (TooBigError, RpcError) as error:
            if not self.suspended:
                log.warning("push-suspended", subscription=self.number, reason=str(error))
                self.suspended = True
                self._tell(state_change("subscription-suspended", self.number, "update-too-big"))
            return None
        if self.suspended:
            self.suspended = False
            self._known = None
            self._tell(state_change("subscription-resumed", self.number))
        return found

    async def _send_all(self) -> None:
        found = await self._read()
        if found is None:
            return
        self._known = found
        update = self._update("push-update")
        contents = add(update, "datastore-contents")
        for child in found:
            append_copy(contents, child)
        self._send(update)

    async def _send_changes(self) -> None:
        before = self._known
        found = await self._read()
        if found is None:
            return
        if before is None or self._known is None:
            await self._send_all()
            return
        changes = self.source.differences(before, found)
        if changes is None:
            await self._send_all()
            return
        self._known = found
        told = [change for change in changes if kind_of(change) not in self.terms.excluded]
        self.excluded += len(changes) - len(told)
        if told:
            update = self._update("push-change-update")
            add_patch(add(update, "datastore-changes"), self._patches, told)
            self._patches += 1
            self._send(update)

    def _update(self, name: str) -> etree._Element:
        update = etree.Element(f"{{{PUSH}}}{name}", nsmap=names.nsmap(PUSH))
        add(update, "id", str(self.number))
        return update

    def _send(self, update: etree._Element) -> None:
        self.sent += 1
        self._tell(update)

    def _tell(self, content: etree._Element) -> None:
        if self._receiver.open:
            self._receiver.notify(
                content, self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
            )
