"""A replica's judgement as a table: position, batch, outcome."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rui.backup.lineage import Fork
from rui.backup.messages import Batch, Position, Result, SnapshotPage, SnapshotProgress, Stream
from rui.backup.replica import Join, judge, judge_joining, supersedes
from rui.backup.version import ZERO, Epoch, Version
from tests.unit.backup.histories import GROUP, A, put, stream, version

B = Epoch(2, "bras-b")
AT_5 = Position(version(5), None, A)
PARTLY = Position(version(5), SnapshotProgress(version(20), 100, version(22)), A)


def page(at: int, first: int, last: int, writer: Epoch = A) -> Batch:
    return Batch(GROUP, writer, SnapshotPage(version(at), first, last), ())


STREAM_CASES = {
    "the next batch is applied": (
        AT_5,
        stream(5, 7, put(1, 6)),
        Result.STORED,
        replace(AT_5, cursor=version(7)),
    ),
    "a batch that overlaps is applied": (AT_5, stream(2, 7), Result.STORED, replace(AT_5, cursor=version(7))),
    "an empty replica takes the first": (
        Position(),
        stream(0, 3),
        Result.STORED,
        Position(version(3), None, A),
    ),
    "a new writer is learned": (AT_5, stream(5, 5, writer=B), Result.STORED, replace(AT_5, writer=B)),
    "live changes beside a snapshot": (
        PARTLY,
        stream(22, 25),
        Result.STORED,
        replace(PARTLY, snapshot=SnapshotProgress(version(20), 100, version(25))),
    ),
}


@pytest.mark.parametrize("case", STREAM_CASES)
def test_what_a_replica_applies(case: str) -> None:
    position, batch, result, after = STREAM_CASES[case]
    judgement = judge(position, batch)
    assert (judgement.result, judgement.position, judgement.apply) == (result, after, True)


UNCHANGED_CASES = {
    "what it holds is acknowledged again": (AT_5, stream(2, 5), Result.STORED),
    "a batch that begins above the cursor": (AT_5, stream(6, 9), Result.GAP),
    "an empty replica and a later batch": (Position(), stream(1, 9), Result.GAP),
    "a gap beside a snapshot": (PARTLY, stream(23, 25), Result.GAP),
    "an older writer": (replace(AT_5, writer=B), stream(5, 7), Result.REFUSED),
    "an older writer's snapshot": (replace(AT_5, writer=B), page(20, 0, 9), Result.REFUSED),
    "a snapshot below the cursor": (AT_5, page(4, 0, 9), Result.GAP),
    "a snapshot older than part of another": (PARTLY, page(19, 0, 9), Result.GAP),
    "a snapshot that begins in the middle": (AT_5, page(20, 10, 19), Result.GAP),
    "a page that leaves buckets out": (PARTLY, page(20, 101, 110), Result.GAP),
    "a page that it has": (PARTLY, page(20, 0, 99), Result.STORED),
}


@pytest.mark.parametrize("case", UNCHANGED_CASES)
def test_what_leaves_a_replica_as_it_was(case: str) -> None:
    position, batch, result = UNCHANGED_CASES[case]
    judgement = judge(position, batch)
    assert (judgement.result, judgement.position, judgement.apply) == (result, position, False)
    assert judgement.reason or result is Result.STORED


def test_a_snapshot_goes_page_by_page_and_ends_at_its_upper_version() -> None:
    first = judge(AT_5, page(20, 0, 1000))
    assert first.position.snapshot == SnapshotProgress(version(20), 1001, version(20))
    assert first.position.cursor == version(5)
    assert first.clear == SnapshotPage(version(20), 0, 1000)
    beside = judge(first.position, stream(20, 31))
    last = judge(beside.position, page(20, 1001, 4095))
    assert last.position == Position(version(31), None, A)


def test_a_page_that_it_has_still_tells_of_the_history() -> None:
    """The sender takes its receipt for a word that the history is known."""
    history = (Fork(A, ZERO), Fork(B, version(22)))
    held = replace(PARTLY, lineage=history[:1])
    judgement = judge(held, replace(page(20, 0, 99, B), lineage=history))
    assert (judgement.result, judgement.apply, judgement.clear) == (Result.STORED, True, None)
    assert judgement.position == replace(held, writer=B, lineage=history)


def test_what_came_early_of_another_history_leaves_it() -> None:
    ours, theirs = (Fork(A, ZERO),), (Fork(A, ZERO), Fork(B, version(7)))
    held = Position(version(5), None, A, ours)
    batch = replace(stream(5, 8, writer=B), lineage=theirs)
    assert judge(held, batch, version(7)).result is Result.STORED
    judgement = judge(held, batch, version(9))
    assert (judgement.result, judgement.shared, judgement.held) == (Result.DIVERGED, version(7), version(9))
    join = Join(B, theirs, version(7))
    assert join.position(judgement.position, batch).cursor == version(5), "it holds no more without a gap"


def test_a_newer_snapshot_replaces_one_that_was_left() -> None:
    judgement = judge(PARTLY, page(30, 0, 9))
    assert judgement.position.snapshot == SnapshotProgress(version(30), 10, version(30))


@pytest.mark.parametrize(
    ("new", "held", "expected"),
    [
        (version(2), None, True),
        (version(2), version(1), True),
        (version(2), version(2), False),
        (ZERO, version(1), False),
    ],
)
def test_only_a_newer_version_supersedes(new: Version, held: Version | None, expected: bool) -> None:
    assert supersedes(new, held) is expected


def test_another_history_is_followed_with_a_batch_that_brings_nothing() -> None:
    ours, theirs = (Fork(A, ZERO),), (Fork(A, ZERO), Fork(B, ZERO))
    held = Position(version(5), None, B, ours)
    nothing = Batch(GROUP, B, Stream(ZERO, ZERO), (), theirs)
    judgement = judge_joining(held, Join(B, theirs, ZERO), nothing, version(7))
    assert (judgement.result, judgement.apply) == (Result.STORED, True)
    assert judgement.position == Position(ZERO, None, B, theirs)
    assert not judge_joining(judgement.position, Join(B, theirs, ZERO), nothing, ZERO).apply


def test_another_history_is_followed_with_its_first_batch_and_by_its_writer_alone() -> None:
    """Until then what is held beyond the common point is still the old history's, and offered to a third."""
    ours, theirs = (Fork(A, ZERO),), (Fork(A, ZERO), Fork(B, version(3)))
    held = Position(version(5), None, B, ours)
    join = Join(B, theirs, version(3))
    batch = replace(stream(3, 5, writer=B), lineage=theirs)
    judged = judge(join.position(held, batch), batch)
    assert (judged.result, judged.position) == (Result.STORED, Position(version(5), None, B, theirs))
    assert join.position(judged.position, batch) == judged.position, "it is joined once"
    beyond = replace(stream(5, 6, writer=B), lineage=theirs)
    assert judge(join.position(held, beyond), beyond).result is Result.GAP
    third = replace(stream(3, 5, writer=Epoch(3, "bras-c")), lineage=(Fork(Epoch(3, "bras-c"), ZERO),))
    judged = judge(join.position(held, third), third)
    assert (judged.result, judged.shared) == (Result.DIVERGED, ZERO)
