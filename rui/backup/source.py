"""The sending end of one replica's stream: what goes out next, and what a receipt means.

The primary has one source towards the cloud and one towards each secondary that it backs up directly; the
cloud has one towards each secondary. First, second and third user-info are one mechanism: the stream
continues behind the replica's own cursor, and where the deletes since then are forgotten, a snapshot goes
ahead of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from rui.backup.lineage import Lineage, shared
from rui.backup.messages import (
    LAST_BUCKET,
    Batch,
    Position,
    Receipt,
    Result,
    SnapshotPage,
    Stream,
)
from rui.backup.table import Page, Slice
from rui.backup.version import ZERO, Epoch, Version


class SourceState(Enum):
    """Where a replica's stream stands."""

    DISCONNECTED = "disconnected"
    """No session, or the replica has not stated its cursor yet."""
    STREAMING = "streaming"
    """Changes go out behind the replica's cursor."""
    SNAPSHOT = "snapshot"
    """Deletes that the replica lacks are forgotten: whole buckets go out, live changes between them."""
    WAITING = "waiting"
    """The replica could not store a batch, or offers first what it alone holds; tried again after a pause."""
    REFUSED = "refused"
    """The replica knows a newer writer, or takes nothing from a secondary: the source's owner must act."""


class Event(Enum):
    """What moves a source from one state to another."""

    CONNECTED = "connected"
    CONNECTED_BEHIND = "connected-behind"
    FELL_BEHIND = "fell-behind"
    SNAPSHOT_DONE = "snapshot-done"
    FAILED = "failed"
    RETRY = "retry"
    RETRY_BEHIND = "retry-behind"
    REFUSED = "refused"
    DISCONNECTED = "disconnected"


_S, _E = SourceState, Event
TRANSITIONS: dict[tuple[SourceState, Event], SourceState] = {
    **{(state, _E.CONNECTED): _S.STREAMING for state in _S},
    **{(state, _E.CONNECTED_BEHIND): _S.SNAPSHOT for state in _S},
    **{(state, _E.DISCONNECTED): _S.DISCONNECTED for state in _S},
    (_S.STREAMING, _E.FELL_BEHIND): _S.SNAPSHOT,
    (_S.SNAPSHOT, _E.FELL_BEHIND): _S.SNAPSHOT,
    (_S.SNAPSHOT, _E.SNAPSHOT_DONE): _S.STREAMING,
    (_S.STREAMING, _E.FAILED): _S.WAITING,
    (_S.SNAPSHOT, _E.FAILED): _S.WAITING,
    (_S.WAITING, _E.RETRY): _S.STREAMING,
    (_S.WAITING, _E.RETRY_BEHIND): _S.SNAPSHOT,
    (_S.STREAMING, _E.REFUSED): _S.REFUSED,
    (_S.SNAPSHOT, _E.REFUSED): _S.REFUSED,
    (_S.WAITING, _E.REFUSED): _S.REFUSED,
}
IGNORED: frozenset[tuple[SourceState, Event]] = frozenset(
    (state, event) for state in _S for event in _E if (state, event) not in TRANSITIONS
)
"""A receipt that was under way while the state changed has nothing left to say."""
# By name, since looking a member up in its enumeration takes longer than all else that is asked here
_SENDING = (SourceState.STREAMING, SourceState.SNAPSHOT)
_WAITING = SourceState.WAITING


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source sends.

    ``interval`` in seconds is 0 in real-time mode and the pause between uploads in batch mode [0137]. Beside
    whole batches only ``partial_window`` smaller ones are under way, and the second only with a ``few``
    changes: where many come, a message costs more than waiting for the receipt, and would take it from them.
    """

    interval: float = 0.0
    batch_records: int = 1000
    window: int = 4
    partial_window: int = 2
    few: int = 64
    receipt_timeout: float = 9.0
    retry_pause: float = 1.0


@dataclass(frozen=True, slots=True)
class WantStream:
    """Please read the table in version order: ``Table.since(after, limit, upto)``."""

    after: Version
    limit: int


@dataclass(frozen=True, slots=True)
class WantPage:
    """Please read whole buckets: ``Table.page(first, limit)``."""

    first: int
    limit: int


class Source:
    """One replica's stream. Times are monotonic seconds.

    The owner calls :meth:`want`, reads what it asks for, gives that to :meth:`take`, and sends the batch,
    until either answers None. Exactly one receipt answers each batch, in order.
    """

    def __init__(self, group: str, options: SourceOptions) -> None:
        self.group = group
        self.options = options
        self.state = SourceState.DISCONNECTED
        self.reason = "no session yet"
        self.position = Position()
        self.protected = ZERO
        self.receipts = 0
        self.resent = 0
        self.audit_due = False
        """Whether the sender's digest is to go out as soon as it can."""
        self.failing = ""
        """Why the replica could not store; empty once it could again."""
        self._writer = Position().writer
        self._lineage: Lineage = ()
        self._stated: Lineage = ()
        # Whether the replica's history is known to be this one. One of which it is not known is told soon,
        # with or without news: it may have something to offer, and who has not followed cannot take over.
        self._same_history = True
        self._tell = False
        # When each batch left, and which snapshot it ends, if any.
        self._in_flight: deque[tuple[float, Version | None]] = deque()
        self._stale = 0
        # Whether the last batch in flight carries a digest.
        self._marked = False
        self._sent = ZERO
        self._snapshot: Version | None = None
        self._next_bucket = 0
        # The replica has part of a snapshot that is newer than all that is held here: it waits for that.
        self._owed = False
        self._page_next = True
        self._not_before = 0.0
        self._wake: float | None = None

    def connect(
        self, position: Position, writer: Epoch, head: Version, floor: Version, lineage: Lineage = ()
    ) -> None:
        """Begin behind what the replica states; ``head`` and ``floor`` are the table's (S403, S604a).

        ``lineage`` is of the history that is sent; a replica of another one is told of it.
        """
        self._writer = writer
        self._lineage = lineage
        self._stated = position.lineage
        self._same_history = position.lineage == lineage
        # On the same session, what is under way is still answered
        self._stale += len(self._in_flight)
        self._in_flight.clear()
        self._not_before = 0.0
        self._begin(position, head, floor, _E.CONNECTED, _E.CONNECTED_BEHIND)

    def stated(self, position: Position, complete_from: Version) -> None:
        """Count what the replica states of this history as a receipt: where all is there, none comes."""
        if self._same_history:
            self._learn(position, complete_from)

    def disconnect(self, reason: str) -> None:
        """The session is gone; what is under way may or may not have arrived."""
        self._in_flight.clear()
        self._stale = 0
        self.failing = ""
        self._change(_E.DISCONNECTED, reason)

    def want(self, head: Version, floor: Version, now: float) -> WantStream | WantPage | None:
        """Say what to read next, None when nothing may go out now.

        ``head`` is the newest durable version, ``floor`` how far back the table remembers deletes: where that
        has risen above what was sent, the replica lacks deletes that are forgotten: it gets a snapshot.
        """
        self._wake = None
        if self.state not in _SENDING or len(self._in_flight) >= self.options.window:
            return None
        if self._marked and self._in_flight:
            # The replica digests what it holds behind that batch, before it gets anything more.
            return None
        if self._owed and head < self.position.live:
            return WantStream(self._sent, self.options.batch_records) if self._tell else None
        if self._owed:
            self._start_over(head, "what the replica has of another snapshot is not continued")
        elif self._sent < floor:
            self._start_over(head, f"deletes up to {floor} are forgotten, the replica has none of them")
        stream_due = head > self._sent and self._stream_due(head, now)
        if (
            self._snapshot is not None
            and self._next_bucket <= LAST_BUCKET
            and (self._page_next or not stream_due)
        ):
            return WantPage(self._next_bucket, self.options.batch_records)
        if stream_due or self._tell:
            return WantStream(self._sent, self.options.batch_records)
        return None

    def take(self, read: Slice | Page | None, now: float) -> Batch | None:
        """Make the batch of what was read; None where there was nothing to send yet."""
        part: Stream | SnapshotPage
        if read is None:
            return None
        if isinstance(read, Page):
            if self._snapshot is None:
                return None
            part = SnapshotPage(self._snapshot, read.first, read.last)
            self._next_bucket = read.last + 1
            self._page_next = False
        else:
            if read.last == self._sent and not read.changes and not self._tell:
                return None
            part = Stream(self._sent, read.last)
            self._sent = read.last
            self._page_next = True
            if not read.more:
                self._not_before = now + self.options.interval
        ends = part.version if isinstance(part, SnapshotPage) and part.last == LAST_BUCKET else None
        self._in_flight.append((now, ends))
        self._marked = False
        self._tell = False
        lineage = () if self._same_history else self._lineage
        return Batch(self.group, self._writer, part, read.changes, lineage, origins=read.origins)

    def tell(self, now: float) -> Batch | None:
        """Return a batch of nothing but the history, where the replica is to be told of it and may be.

        For a sender that is not whole itself yet: the replica may have to offer what makes it so.
        """
        if not self._tell or self.state is not _S.STREAMING or len(self._in_flight) >= self.options.window:
            return None
        live = self.position.live
        self._in_flight.append((now, None))
        self._tell = self._marked = False
        return Batch(self.group, self._writer, Stream(live, live), (), self._lineage)

    def mark(self, batch: Batch | None, head: Version, digest: Callable[[], str], now: float) -> Batch | None:
        """Put the sender's digest on a batch that brings the replica to ``head``, all that the sender holds.

        ``batch`` is what :meth:`take` has made just now; where there was nothing to send, the digest goes
        with a batch of nothing. Returns the batch to send, unchanged where the digest does not fit yet.
        """
        ends_there = self.state is _S.STREAMING and self._snapshot is None and self._sent == head
        if not ends_there or (batch is None and (self._in_flight or self._stale)):
            return batch
        if batch is None:
            batch = Batch(self.group, self._writer, Stream(head, head), ())
            self._in_flight.append((now, None))
        self.audit_due, self._marked = False, True
        return replace(batch, digest=digest())

    def resync(self, head: Version, reason: str) -> bool:
        """Send everything again; False where there is no stream to the replica."""
        if self.state not in _SENDING:
            return False
        self._start_over(max(head, self.position.cursor), reason)
        return True

    def receive(
        self, receipt: Receipt, head: Version, floor: Version, complete_from: Version, now: float
    ) -> None:
        """Take a receipt: S503's acknowledgement, or why there is none."""
        self.receipts += 1
        if self._stale:
            # It answers a batch that was under way when the stream was turned back.
            self._stale -= 1
            self._learn(receipt.position, complete_from)
            if not self._stale and receipt.position.snapshot is not None and self._snapshot is None:
                # A page that was under way has begun a snapshot at the replica after all: it has to end.
                self._turn_back()
                self._begin(receipt.position, head, floor, _E.CONNECTED, _E.CONNECTED_BEHIND)
            return
        ends = self._in_flight.popleft()[1] if self._in_flight else None
        match receipt.result:
            case Result.STORED:
                self._same_history = True
                self.failing = ""
                self._learn(receipt.position, complete_from)
                if ends is not None and ends == self._snapshot:
                    self._snapshot = None
                    self._change(_E.SNAPSHOT_DONE, "snapshot complete")
                elif not (self._in_flight or self._owed or self._snapshot) and receipt.position.snapshot:
                    # One that another way or a former turn has begun: it has to end
                    self._begin(receipt.position, head, floor, _E.CONNECTED, _E.CONNECTED_BEHIND)
            case Result.GAP:
                self._turn_back()
                self._begin(receipt.position, head, floor, _E.CONNECTED, _E.CONNECTED_BEHIND)
            case Result.FAILED | Result.DIVERGED:
                self._turn_back()
                self.position = receipt.position
                self._not_before = now + self.options.retry_pause
                reason = receipt.reason or "the replica could not store a batch"
                if receipt.result is Result.FAILED:
                    self.failing = reason
                self._change(_E.FAILED, reason)
            case Result.REFUSED | Result.DISCARDED:
                self._turn_back()
                self._change(_E.REFUSED, receipt.reason or receipt.result.value)

    def handle_timer(self, head: Version, floor: Version, now: float) -> None:
        """Try again after a failure; ``next_deadline`` says when."""
        if self.state is _WAITING and now >= self._not_before:
            self._begin(self.position, head, floor, _E.RETRY, _E.RETRY_BEHIND)

    def next_deadline(self) -> float | None:
        """Return when to look again (batch interval, retry, overdue receipt), None for never."""
        due = self._not_before if self.state is _WAITING else self._wake
        if not self._in_flight:
            return due
        overdue = self._in_flight[0][0] + self.options.receipt_timeout
        return overdue if due is None or overdue < due else due

    def overdue(self, now: float) -> bool:
        """Say whether a receipt is missing for so long that the session must be given up."""
        return bool(self._in_flight) and now >= self._in_flight[0][0] + self.options.receipt_timeout

    @property
    def snapshot_under_way(self) -> bool:
        """Whether the replica is sent everything, a pause after a failure included."""
        return self._snapshot is not None and self.state is not _S.DISCONNECTED

    @property
    def in_flight(self) -> int:
        """How many batches have no receipt yet."""
        return len(self._in_flight)

    def _stream_due(self, head: Version, now: float) -> bool:
        if self.options.interval and now < self._not_before:
            self._wake = self._not_before
            return False
        under_way = len(self._in_flight)
        waiting = head.seq - self._sent.seq
        if not under_way or head.epoch != self._sent.epoch or waiting >= self.options.batch_records:
            return True
        return under_way < self.options.partial_window and waiting <= self.options.few

    def _begin(self, position: Position, head: Version, floor: Version, near: Event, behind: Event) -> None:
        self.position = position
        self._tell = not self._same_history
        common = shared(self._lineage, self._stated, position.live)
        self._page_next = True
        progress = position.snapshot
        # What a snapshot of another history has brought must not stay beside this one's.
        resumable = progress is not None and floor <= progress.version <= head and common == position.live
        # Buckets of a sender that holds less than the replica would delete what it lacks itself.
        self._owed = progress is not None and not resumable and head < position.live
        if resumable and progress is not None:
            self._snapshot, self._next_bucket, self._sent = (
                progress.version,
                progress.next_bucket,
                progress.upper,
            )
            self._change(behind, f"snapshot continues at bucket {progress.next_bucket}")
        elif self._owed:
            self._snapshot, self._sent = None, position.live
            self._change(near, f"has part of a snapshot up to {position.live}, more than is held here")
        elif progress is not None or position.cursor < floor:
            self._snapshot, self._next_bucket, self._sent = (
                max(head, floor, position.cursor),
                0,
                max(head, floor, position.cursor),
            )
            self._change(
                behind, f"cursor {position.cursor} is behind {floor}, where deletes are still remembered"
            )
        else:
            self._snapshot, self._sent = None, position.cursor
            self._change(near, f"continues behind {str(position.cursor) or 'nothing'}")

    def _start_over(self, head: Version, reason: str) -> None:
        self._owed = False
        self._snapshot = self._sent = head
        self._next_bucket, self._page_next = 0, True
        self._change(_E.FELL_BEHIND, reason)

    def _turn_back(self) -> None:
        self.resent += 1
        self._stale += len(self._in_flight)
        self._in_flight.clear()

    def _learn(self, position: Position, complete_from: Version) -> None:
        self.position = position
        # What the replica holds of another history protects nothing of this one.
        common = shared(self._lineage, position.lineage, position.cursor)
        if position.snapshot is None and common >= complete_from:
            self.protected = max(self.protected, common)

    def _change(self, event: Event, reason: str) -> None:
        state = TRANSITIONS.get((self.state, event))
        if state is not None:
            self.state, self.reason = state, reason
