"""A subscription to a datastore (YANG push, RFC 8641): periodic, or on change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog
from lxml import etree

from netconf_server.call import SessionInfo
from netconf_server.difference import Difference
from netconf_server.push_patch import add_patch, kind_of
from netconf_server.push_source import PushSource, TooBigError
from netconf_server.push_terms import PushTerms
from netconf_server.streams import Receiver
from netconf_server.subscription_errors import PUSH
from netconf_server.subscription_stream import Established, add, state_change
from netconf_server.xmltree import append_copy
from rui.netconf import names
from rui.netconf.errors import RpcError

log = structlog.get_logger(__name__)


class PushSubscription:
    """One session's subscription to what a filter selects of a datastore.

    No update is queued: what is sent is read when the client has room, so a slow client gets fewer updates,
    each of them whole. It is suspended when the selection has grown beyond the bound of one update. Of large
    lists the entries that changed wait, a bounded number of them; beyond it an update says that it is
    incomplete, and the client asks for everything anew by resync-subscription (RFC 8641).
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
        self.source.open(self.look)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def end(self) -> None:
        """Send nothing more."""
        self.active = False
        self.source.close()
        self._receiver.subscriptions.discard(self)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._on_end(self)

    def terminate(self, reason: str) -> None:
        """Tell the client why, and end."""
        self._tell(state_change("subscription-terminated", self.number, reason))
        self.end()

    def modify(self, source: PushSource, terms: PushTerms, *, tell: bool = False) -> None:
        """Go on with another selection or other times, active again; `tell` the client who did not ask."""
        self.source.close()
        self.source, self.terms = source, terms
        self.suspended = False
        if self.active:
            self.source.open(self.look)
            if tell:
                event = state_change("subscription-modified", self.number)
                self.describe(event)
                self._tell(event)
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
        self.terms.describe(parent)

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
        except Exception:
            # A subscriber who hears nothing any more has to know.
            log.exception("push-failed", session=self.session.id, subscription=self.number)
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
            self._known = await self._read(self.source.read_looked_at)
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

    async def _read(self, read: Callable[[], Awaitable[etree._Element]]) -> etree._Element | None:
        """What is to be sent now; None, and the subscription suspended, when it is too big for one update."""
        try:
            found = await read()
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
        found = await self._read(self.source.read)
        if found is None:
            return
        self._known = await self._read(self.source.read_looked_at) if self.source.feeds else found
        update = self._update("push-update")
        contents = add(update, "datastore-contents")
        for child in found:
            append_copy(contents, child)
        self._send(update)

    async def _send_changes(self) -> None:
        before = self._known
        found = await self._read(self.source.read_looked_at)
        if found is None:
            return
        changes = None if before is None else self.source.differences(before, found)
        unknown = changes is None or self._known is None
        if unknown and not self.source.feeds:
            await self._send_all()
            return
        self._known = found
        # With large lists everything may be too much to send: the client asks for it if it can take it.
        incomplete = unknown or any(feed.lost for feed in self.source.feeds)
        for feed in self.source.feeds:
            feed.lost = False
        self._send_patch([*(changes or ()), *await self.source.told()], incomplete=incomplete)
        if any(feed.waits for feed in self.source.feeds):
            self._changed.set()

    def _send_patch(self, changes: Sequence[Difference], *, incomplete: bool) -> None:
        told = [change for change in changes if kind_of(change) not in self.terms.excluded]
        self.excluded += len(changes) - len(told)
        if told or incomplete:
            update = self._update("push-change-update")
            add_patch(add(update, "datastore-changes"), self._patches, told)
            if incomplete:
                log.warning("push-incomplete", session=self.session.id, subscription=self.number)
                add(update, "incomplete-update")
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
