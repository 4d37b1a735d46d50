"""The cloud's deliveries (S504): one per secondary, direct or by instructing it to download [0143].

Values in, values out, as in :mod:`rui.backup.cloud`, which owns these and passes their outputs on. A read
of the store takes time, so it is an output too; its answer comes back with the ticket that was asked under.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from rui.backup.cloud_outputs import Deliver, Delivered, GiveUp, Instruct, Read
from rui.backup.lineage import Lineage, written_by
from rui.backup.messages import Batch, Offer, Position, Receipt, Result
from rui.backup.source import Source, SourceOptions, SourceState
from rui.backup.table import Page, Slice
from rui.backup.version import ZERO, Epoch, Version


class DeliveryMode(Enum):
    """The two ways of [0143]."""

    DIRECT = "direct"
    DOWNLOAD = "download"


@dataclass(frozen=True, slots=True)
class Refused:
    """The secondary takes nothing from the cloud; a new identity of it or a new writer starts again."""

    device: str
    reason: str


_STREAMING = SourceState.STREAMING.value
DeliveryOutput = Read | Deliver | Instruct | Delivered | GiveUp | Refused


class Outlook(NamedTuple):
    """What the cloud holds of the group, as every step of a delivery needs it."""

    head: Version
    floor: Version
    writer: Epoch
    lineage: Lineage = ()


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The answer to a read whose deletes are forgotten up to ``floor``: whole buckets are needed."""

    floor: Version


class DirectDelivery:
    """Deliver batches and take receipts; a :class:`Source` whose table is read with tickets.

    With an ``offer`` the device is the primary, and gets what its history lacks of the cloud's.
    """

    mode = DeliveryMode.DIRECT

    def __init__(
        self, group: str, device: str, options: SourceOptions, *, offer: Offer | None = None, first: int = 0
    ) -> None:
        """``first`` keeps the tickets of a device's delivery and of an offer to it apart."""
        self.device = device
        self.offer = offer
        self.source = Source(group, options)
        self.batches = 0
        self.records = 0
        self._outputs: deque[DeliveryOutput] = deque()
        self._ticket = self._session = first
        self._reading = 0
        self._idle = False
        self._news = False
        self._retry_at: float | None = None
        self._held: Position | None = None
        self._own: Lineage = ()
        self._mark: tuple[Version, str] | None = None

    @property
    def position(self) -> Position:
        """What the secondary last said that it holds."""
        return self.source.position

    @property
    def state(self) -> str:
        """The source's state, for people."""
        return self.source.state.value

    @property
    def reason(self) -> str:
        """Why the state is what it is."""
        return self.source.reason

    def connect(self, position: Position, outlook: Outlook) -> None:
        """Begin behind what the secondary states, on a new session or again on this one."""
        self._begin(position, outlook, outlook.floor)

    def disconnect(self, reason: str) -> None:
        """The session is gone; receipts and reads that are under way mean nothing any more."""
        self.source.disconnect(reason)
        self._forget_pending()
        self._retry_at = self._held = None

    def writer_changed(self, outlook: Outlook) -> None:
        """Go on under the claim of a new primary, or with a history that it has changed."""
        if self._held is not None:
            self._begin(self._held, outlook, outlook.floor)
        elif self.source.state is not SourceState.DISCONNECTED:
            self._begin(self.source.position, outlook, outlook.floor)

    def mark(self, version: Version, digest: str) -> None:
        """Hand the primary's digest on with what brings the secondary to ``version``."""
        self._mark = (version, digest)

    def resync(self, outlook: Outlook, reason: str) -> bool:
        """Send everything again; False where there is no stream to the secondary."""
        self.news()
        return self.source.resync(self._head(outlook), reason)

    def news(self) -> None:
        """There is more to read than the last time."""
        self._idle = False
        self._news = True

    def step(self, outlook: Outlook, now: float) -> list[DeliveryOutput]:
        """Ask for what may go out now, and return all that is to be done."""
        # A store that has gone over to another history is not whole until its cursor is past its deletes; an
        # offer takes what there is.
        whole = outlook.head >= outlook.floor or self.offer is not None
        if whole and not self._reading and not self._idle and self._retry_at is None:
            head = self._head(outlook)
            want = self.source.want(head, min(outlook.floor, head), now)
            if want is not None:
                self._ticket += 1
                self._reading = self._ticket
                self._news = False
                upto = ZERO if self.offer is None else head
                self._outputs.append(Read(self.device, self._ticket, want, upto))
        elif not whole:
            self._send(self.source.tell(now))
        if not self._reading and self._mark is not None:
            self._send(self._marked(None, outlook, now))
        if not self._outputs:
            return []
        drained = list(self._outputs)
        self._outputs.clear()
        return drained

    @property
    def done(self) -> bool:
        """Whether an offer has been taken over whole."""
        position = self.source.position
        return self.offer is not None and not position.snapshot and position.cursor >= self.offer.until

    def read(self, ticket: int, found: Slice | Page | Forgotten | None, outlook: Outlook, now: float) -> None:
        """Take what was read; an answer to a question that nobody has any more is dropped."""
        if ticket != self._reading:
            return
        self._reading = 0
        if isinstance(found, Forgotten):
            self._begin(self.source.position, outlook, max(found.floor, outlook.floor))
            return
        batch = self._marked(self.source.take(found, now), outlook, now)
        if batch is None:
            # News that came while the store was being read is not in what was read.
            self._idle = not self._news
            return
        self._send(batch)

    def read_failed(self, ticket: int, now: float) -> None:
        """The store could not read; try again after a pause."""
        if ticket == self._reading:
            self._reading = 0
            self._retry_at = now + self.source.options.retry_pause

    def delivered(self, ticket: int, receipt: Receipt, outlook: Outlook, now: float) -> None:
        """Take the secondary's receipt."""
        if ticket != self._session:
            connected = self.source.state is not SourceState.DISCONNECTED
            if connected and receipt.position.snapshot is not None and not self.source.snapshot_under_way:
                # A page that was under way has begun a snapshot at the secondary after all: it has to end.
                self._begin(receipt.position, outlook, outlook.floor)
            return
        before, turns, state = self.source.position.live, self.source.resent, self.source.state
        head = self._head(outlook)
        self.source.receive(receipt, head, outlook.floor, head, now)
        if self.source.resent != turns:
            # What is being read continues a stream that has just been turned back.
            self._reading = 0
        self._idle = False
        if self.source.position.live > before:
            self._outputs.append(Delivered(self.device, self.source.position.live))
        if self.source.state is SourceState.REFUSED and state is not SourceState.REFUSED:
            self._outputs.append(Refused(self.device, self.source.reason))

    def undelivered(self, ticket: int, reason: str, outlook: Outlook, now: float) -> None:
        """The secondary answered with an error instead of a receipt: treated as "could not store"."""
        receipt = Receipt(self.source.group, Result.FAILED, self.source.position, reason)
        self.delivered(ticket, receipt, outlook, now)

    def handle_timer(self, outlook: Outlook, now: float) -> None:
        """Do what is due: a retry, a batch interval, a receipt that never came."""
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
        if self.source.overdue(now):
            seconds = self.source.options.receipt_timeout
            reason = f"no receipt for a delivery of group {self.source.group} within {seconds:g} s"
            self.disconnect(reason)
            self._outputs.append(GiveUp(self.device, reason))
            return
        self.source.handle_timer(self._head(outlook), outlook.floor, now)

    def next_deadline(self) -> float | None:
        """Return when :meth:`handle_timer` is due next, None for never."""
        due, retry = self.source.next_deadline(), self._retry_at
        return due if retry is None or (due is not None and due < retry) else retry

    def _head(self, outlook: Outlook) -> Version:
        """An offer goes beyond the cursor, where changes came early that its primary lacks."""
        return outlook.head if self.offer is None else self.offer.until

    def _send(self, batch: Batch | None) -> None:
        if batch is not None:
            self.batches += 1
            self.records += len(batch.changes)
            if self.offer is not None:
                batch = replace(batch, lineage=self._own, offer=self.offer)
            self._outputs.append(Deliver(self.device, self._session, batch))

    def _marked(self, batch: Batch | None, outlook: Outlook, now: float) -> Batch | None:
        """Put the primary's digest on the batch, or on one of nothing, where it is of that very version."""
        if self._mark is None or self.offer is not None:
            return batch
        version, digest = self._mark
        if outlook.head != version:
            self._mark = None  # the store has gone on: the next digest will do
            return batch
        marked = self.source.mark(batch, version, lambda: digest, now)
        if marked is not None and marked.digest:
            self._mark = None
        return marked

    def _begin(self, position: Position, outlook: Outlook, floor: Version) -> None:
        self._forget_pending()
        self._retry_at = None
        lineage = () if self.offer else outlook.lineage
        if self.offer is not None and self.offer.until == outlook.head:
            self._own = outlook.lineage
        # Receipts that are under way belong to the ticket before, and never come here
        self.source.disconnect("the new primary has not told its history yet")
        if not written_by(lineage, outlook.writer):
            self._held = position
            return
        self._held = None
        self.source.connect(position, outlook.writer, self._head(outlook), floor, lineage)

    def _forget_pending(self) -> None:
        self._session += 1
        self._reading = 0
        self._idle = False


class DownloadDelivery:
    """Instruct the secondary to download and let it fetch; what it states when it fetches is its receipt."""

    mode = DeliveryMode.DOWNLOAD

    def __init__(self, group: str, device: str, options: SourceOptions) -> None:
        self.device = device
        self.position = Position()
        self.batches = 0
        self.records = 0
        self.state = SourceState.DISCONNECTED.value
        self.reason = "no session yet"
        self._group = group
        self._options = options
        self._instructed: Version | None = None
        self._deadline: float | None = None
        self._unseen = False
        self._lineage: Lineage = ()
        self._outputs: deque[DeliveryOutput] = deque()

    def connect(self, position: Position, outlook: Outlook) -> None:  # noqa: ARG002 - one interface for both
        """Begin behind what the secondary states."""
        self.position = position
        self._instructed = None
        self._deadline = None
        self.state, self.reason = _STREAMING, "the secondary downloads"

    def disconnect(self, reason: str) -> None:
        """The session is gone, so no instruction reaches the device; it may still fetch by itself."""
        self._instructed = None
        self._deadline = None
        self.state, self.reason = SourceState.DISCONNECTED.value, reason

    def writer_changed(self, outlook: Outlook) -> None:
        """Nothing to do: each fetch is answered under the newest claim."""

    def mark(self, version: Version, digest: str) -> None:  # noqa: ARG002 - one interface for both
        """Have the secondary fetch once more: the page that it is given carries the digest."""
        self._unseen = True

    def resync(self, outlook: Outlook, reason: str) -> bool:  # noqa: ARG002 - one interface for both
        """Return False: a secondary that downloads says itself what it needs."""
        return False

    def news(self) -> None:
        """There is more to fetch; the next step tells the secondary."""

    def step(self, outlook: Outlook, now: float) -> list[DeliveryOutput]:
        """Tell the secondary of news, one instruction at a time."""
        connected = self.state == _STREAMING
        if written_by(outlook.lineage, outlook.writer):
            self._lineage = outlook.lineage
        behind = outlook.head > self.position.live or self.position.snapshot is not None or self._unseen
        # Also who is ahead on another history: it learns of this one by what it fetches
        behind = behind or self.position.lineage != self._lineage
        if connected and behind and self._instructed is None and self._deadline is None:
            self._instructed = outlook.head
            self._unseen = False
            self._deadline = now + self._options.receipt_timeout
            self._outputs.append(Instruct(self.device, outlook.head))
        if not self._outputs:
            return []
        drained = list(self._outputs)
        self._outputs.clear()
        return drained

    def fetched(self, position: Position, sent: int, now: float) -> None:
        """The secondary has fetched, stating ``position``, and was given ``sent`` records."""
        if position.live > self.position.live:
            self._outputs.append(Delivered(self.device, position.live))
        self.position = position
        self.batches += bool(sent)
        self.records += sent
        if self._instructed is not None:
            self._deadline = now + self._options.receipt_timeout
            if position.snapshot is None and position.live >= self._instructed:
                self._instructed = self._deadline = None
        if position.lineage != self._lineage:
            self._deadline = now + self._options.retry_pause  # It has something to offer first

    def uninstructed(self, reason: str, now: float) -> None:
        """The secondary did not take the instruction; try again after a pause."""
        self._instructed = None
        self._deadline = now + self._options.retry_pause
        self.reason = reason

    def handle_timer(self, outlook: Outlook, now: float) -> None:  # noqa: ARG002 - one interface for both
        """Instruct again a secondary that has not fetched, or that refused a moment ago."""
        if self._deadline is not None and now >= self._deadline:
            self._instructed = self._deadline = None

    def next_deadline(self) -> float | None:
        """Return when :meth:`handle_timer` is due next, None for never."""
        return self._deadline


Delivery = DirectDelivery | DownloadDelivery


def new_delivery(mode: DeliveryMode, group: str, device: str, options: SourceOptions) -> Delivery:
    """Return the delivery that ``mode`` asks for."""
    kind = DirectDelivery if mode is DeliveryMode.DIRECT else DownloadDelivery
    return kind(group, device, options)
