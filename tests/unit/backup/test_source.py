from __future__ import annotations

import pytest

from rui.backup.messages import (
    LAST_BUCKET,
    Batch,
    Position,
    Receipt,
    Result,
    SnapshotPage,
    SnapshotProgress,
    Stream,
)
from rui.backup.source import (
    IGNORED,
    TRANSITIONS,
    Event,
    Source,
    SourceOptions,
    SourceState,
    WantPage,
    WantStream,
)
from rui.backup.table import Table
from rui.backup.version import ZERO, Version
from tests.unit.backup.histories import GROUP, A, applied, gone, put, version

OPTIONS = SourceOptions(batch_records=2, window=2, partial_window=1, retry_pause=1.0, receipt_timeout=9.0)


class Sender:
    """A source that reads a real table."""

    def __init__(self, table: Table, options: SourceOptions = OPTIONS) -> None:
        self.table = table
        self.source = Source(GROUP, options)

    def connect(self, position: Position) -> None:
        self.source.connect(position, A, self.table.head, self.table.floor)

    def send(self, now: float = 0.0) -> Batch | None:
        want = self.source.want(self.table.head, self.table.floor, now)
        if want is None:
            return None
        if isinstance(want, WantPage):
            return self.source.take(self.table.page(want.first, want.limit, self.table.head), now)
        return self.source.take(self.table.since(want.after, want.limit, self.table.head), now)

    def receive(self, result: Result, position: Position, now: float = 0.0) -> None:
        receipt = Receipt(GROUP, result, position)
        self.source.receive(receipt, self.table.head, self.table.floor, self.table.complete_from, now)


def parts(sender: Sender) -> list[Stream | SnapshotPage]:
    sent = []
    while batch := sender.send():
        sent.append(batch.part)
    return sent


def streamed(*bounds: tuple[int, int]) -> list[Stream]:
    return [Stream(version(prev) if prev else ZERO, version(last)) for prev, last in bounds]


def test_every_state_and_event_is_a_transition_or_ignored() -> None:
    pairs = {(state, event) for state in SourceState for event in Event}
    assert pairs == set(TRANSITIONS) | IGNORED
    assert not set(TRANSITIONS) & IGNORED


def test_nothing_goes_out_before_the_replica_states_its_cursor() -> None:
    assert Sender(applied([put(1, 1)])).send() is None


@pytest.mark.parametrize(("waiting", "goes"), [(1, True), (4, True), (5, False), (9, False), (10, True)])
def test_behind_a_small_batch_only_few_changes_or_a_whole_batch_go_at_once(waiting: int, goes: bool) -> None:
    sender = Sender(Table(), SourceOptions(batch_records=10, window=3, partial_window=2, few=4))
    sender.connect(Position())
    sender.table.apply(put(1, 1))
    assert parts(sender) == streamed((0, 1))
    for seq in range(2, 2 + waiting):
        sender.table.apply(put(seq, seq))
    assert parts(sender) == (streamed((1, 1 + waiting)) if goes else [])
    sender.receive(Result.STORED, Position(version(1)))
    assert parts(sender) == ([] if goes else streamed((1, 1 + waiting)))


def test_full_batches_fill_the_window_and_the_rest_waits_for_a_receipt() -> None:
    sender = Sender(applied([put(n, n) for n in range(1, 6)]))
    sender.connect(Position())
    assert parts(sender) == streamed((0, 2), (2, 4))
    sender.receive(Result.STORED, Position(version(2)))
    assert parts(sender) == [], "one change is coalesced with what comes while a batch is in flight"
    sender.receive(Result.STORED, Position(version(4)))
    assert parts(sender) == streamed((4, 5))


def test_the_stream_continues_behind_the_stated_cursor() -> None:
    sender = Sender(applied([put(1, 1), put(2, 2), put(3, 3)]))
    sender.connect(Position(version(2)))
    batch = sender.send()
    assert batch == Batch(GROUP, A, Stream(version(2), version(3)), (put(3, 3),))


def test_after_a_gap_it_sends_again_from_the_cursor_and_once_only() -> None:
    sender = Sender(applied([put(n, n) for n in range(1, 5)]))
    sender.connect(Position())
    assert parts(sender) == streamed((0, 2), (2, 4))
    sender.receive(Result.GAP, Position())
    assert parts(sender) == streamed((0, 2), (2, 4))
    sender.receive(Result.GAP, Position())
    assert parts(sender) == [], "the second gap answers a batch of before"
    sender.receive(Result.STORED, Position(version(2)))
    sender.receive(Result.STORED, Position(version(4)))
    assert sender.source.protected == version(4)


def test_a_failure_is_tried_again_after_the_pause() -> None:
    sender = Sender(applied([put(1, 1)]))
    sender.connect(Position())
    assert sender.send() is not None
    sender.receive(Result.FAILED, Position(), now=5.0)
    assert sender.source.state is SourceState.WAITING
    assert sender.source.next_deadline() == 6.0
    sender.source.handle_timer(sender.table.head, sender.table.floor, now=5.9)
    assert sender.send(5.9) is None
    sender.source.handle_timer(sender.table.head, sender.table.floor, now=6.0)
    assert sender.send(6.0) is not None


def test_a_refused_source_stays_silent_until_it_is_connected_again() -> None:
    sender = Sender(applied([put(1, 1)]))
    sender.connect(Position())
    assert sender.send() is not None
    sender.receive(Result.REFUSED, Position())
    assert sender.source.state is SourceState.REFUSED
    assert sender.send() is None
    sender.connect(Position())
    assert sender.send() is not None


def test_batch_mode_uploads_at_the_interval() -> None:
    table = applied([put(1, 1)])
    sender = Sender(table, SourceOptions(interval=1.0))
    sender.connect(Position())
    assert sender.send(10.0) is not None
    sender.receive(Result.STORED, Position(version(1)), 10.1)
    table.apply(put(2, 2))
    assert sender.send(10.2) is None
    assert sender.source.next_deadline() == 11.0
    table.apply(put(3, 3))
    batch = sender.send(11.0)
    assert batch is not None
    assert batch.changes == (put(2, 2), put(3, 3))


def test_an_idle_source_in_batch_mode_has_no_deadline() -> None:
    sender = Sender(applied([put(1, 1)]), SourceOptions(interval=1.0))
    sender.connect(Position(version(1)))
    assert sender.send(100.0) is None
    assert sender.source.next_deadline() is None


def test_a_missing_receipt_becomes_overdue() -> None:
    sender = Sender(applied([put(1, 1)]))
    sender.connect(Position())
    sender.send(1.0)
    assert sender.source.next_deadline() == 10.0
    assert not sender.source.overdue(9.9)
    assert sender.source.overdue(10.0)
    sender.source.disconnect("overdue")
    assert not sender.source.overdue(10.0)


def forgetful() -> Table:
    table = applied([put(1, 1), put(2, 2), gone(1, 3), put(3, 4)])
    table.trim_tombstones(0, table.head)
    return table


def test_a_cursor_below_the_floor_gets_a_snapshot_with_live_changes_between() -> None:
    table = forgetful()
    sender = Sender(table, SourceOptions(batch_records=1, window=3))
    sender.connect(Position(version(2)))
    first = sender.send()
    assert first is not None
    assert isinstance(first.part, SnapshotPage)
    assert (first.part.version, first.part.first) == (version(4), 0)
    table.apply(put(4, 5))
    second = sender.send()
    assert second is not None
    assert second.part == Stream(version(4), version(5))


def test_an_empty_replica_gets_a_snapshot_too_for_it_will_pass_on_what_it_holds() -> None:
    """Streamed, it would take itself for one that remembers all deletes, and tell others nothing of them."""
    sender = Sender(forgetful())
    sender.connect(Position())
    batch = sender.send()
    assert batch is not None
    assert isinstance(batch.part, SnapshotPage)


def test_a_page_that_arrives_after_the_stream_began_anew_has_its_snapshot_ended() -> None:
    sender = Sender(forgetful(), SourceOptions(batch_records=1))
    sender.connect(Position(version(2)))
    page = sender.send()
    assert page is not None
    assert isinstance(page.part, SnapshotPage)
    sender.connect(Position(version(4)))
    assert sender.send() is None
    progress = SnapshotProgress(version(4), page.part.last + 1, version(4))
    sender.receive(Result.STORED, Position(version(4), progress))
    rest = sender.send()
    assert rest is not None
    assert isinstance(rest.part, SnapshotPage)
    assert rest.part.first == page.part.last + 1


def test_a_snapshot_is_not_resumed_by_a_sender_that_holds_less() -> None:
    """Its buckets would delete what it lacks itself; nothing goes out until it holds as much."""
    table = applied([put(1, 1), put(2, 2)])
    sender = Sender(table)
    sender.connect(Position(version(1), SnapshotProgress(version(4), 700, version(5))))
    assert parts(sender) == []
    table.apply(put(3, 5))
    batch = sender.send()
    assert batch is not None
    assert isinstance(batch.part, SnapshotPage)
    assert (batch.part.version, batch.part.first) == (version(5), 0)


def test_a_snapshot_is_over_when_its_last_page_is_stored() -> None:
    sender = Sender(forgetful(), SourceOptions(batch_records=100))
    sender.connect(Position(version(2)))
    batch = sender.send()
    assert batch is not None
    assert batch.part == SnapshotPage(version(4), 0, LAST_BUCKET)
    sender.receive(Result.STORED, Position(version(4)))
    assert sender.source.state is SourceState.STREAMING
    assert sender.source.protected == version(4)


def test_a_snapshot_is_resumed_where_it_was_left() -> None:
    sender = Sender(forgetful())
    sender.connect(Position(version(2), SnapshotProgress(version(4), 700, version(4))))
    want = sender.source.want(sender.table.head, sender.table.floor, 0.0)
    assert want == WantPage(700, 2)


def test_a_snapshot_whose_deletes_are_forgotten_begins_again() -> None:
    sender = Sender(forgetful())
    sender.connect(Position(version(1), SnapshotProgress(version(2), 700, version(2))))
    assert sender.source.want(sender.table.head, sender.table.floor, 0.0) == WantPage(0, 2)


def test_a_cursor_ahead_of_the_table_is_never_answered_by_deleting() -> None:
    sender = Sender(applied([put(1, 1)]))
    sender.connect(Position(version(90)))
    assert sender.send() is None
    assert sender.source.want(Version(A, 91), ZERO, 0.0) == WantStream(version(90), 2)


def test_deletes_forgotten_before_they_were_sent_make_it_a_snapshot() -> None:
    table = applied([put(1, 1)])
    sender = Sender(table)
    sender.connect(Position(version(1)))
    for change in (gone(1, 2), put(2, 3)):
        table.apply(change)
    table.trim_tombstones(0, table.head)
    batch = sender.send()
    assert batch is not None
    assert isinstance(batch.part, SnapshotPage)
    assert batch.part.version == version(3)


def test_deletes_forgotten_beside_a_snapshot_begin_it_again() -> None:
    table = forgetful()
    sender = Sender(table, SourceOptions(batch_records=1, window=4))
    sender.connect(Position(version(2)))
    assert sender.send() is not None
    table.apply(gone(3, 5))
    table.trim_tombstones(0, table.head)
    batch = sender.send()
    assert batch is not None
    assert isinstance(batch.part, SnapshotPage)
    assert (batch.part.version, batch.part.first) == (version(5), 0)


def test_a_snapshot_that_somebody_else_has_begun_at_the_replica_is_ended() -> None:
    """An offer that was broken off on another way: who only streams would never be told that it is whole."""
    table = applied([put(1, 1), put(2, 2), put(3, 3)])
    sender = Sender(table)
    sender.connect(Position())
    sent = parts(sender)
    progress = SnapshotProgress(version(3), 100, version(3))
    for _ in sent:
        sender.receive(Result.STORED, Position(ZERO, progress, A))
    sent = parts(sender)
    assert isinstance(sent[0], SnapshotPage)
    assert (sent[0].version, sent[0].first) == (version(3), 100)
