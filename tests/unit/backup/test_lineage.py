"""Histories that part: what two copies share is found from their lineages alone."""

from __future__ import annotations

import pytest

from rui.backup.lineage import (
    MAX_FORKS,
    NO_ONE_HISTORY,
    Fork,
    Lineage,
    extend,
    holds,
    parse,
    shared,
    written_by,
)
from rui.backup.version import ZERO, Epoch, Version, VersionError

A1, B2, A3, C4 = Epoch(1, "a"), Epoch(2, "b"), Epoch(3, "a"), Epoch(4, "c")


def at(epoch: Epoch, seq: int) -> Version:
    return Version(epoch, seq)


FIRST = (Fork(A1, ZERO),)
TAKEN = extend(FIRST, B2, at(A1, 50))


def test_who_follows_shares_all() -> None:
    assert shared(FIRST, FIRST, at(A1, 40)) == at(A1, 40)
    assert shared(TAKEN, FIRST, at(A1, 40)) == at(A1, 40), "behind the takeover"
    assert shared(TAKEN, TAKEN, at(B2, 7)) == at(B2, 7)


def test_what_the_old_primary_wrote_beyond_the_takeover_is_not_shared() -> None:
    assert shared(TAKEN, FIRST, at(A1, 58)) == at(A1, 50)


def test_the_branch_of_another_takeover_parts_where_both_began() -> None:
    other = extend(FIRST, C4, at(A1, 45))
    assert shared(other, TAKEN, at(B2, 9)) == at(A1, 45)
    assert shared(TAKEN, other, at(C4, 9)) == at(A1, 45)


def test_a_lost_journal_shares_nothing() -> None:
    assert shared((Fork(A3, ZERO),), FIRST, at(A1, 50)) == ZERO
    assert shared(TAKEN, NO_ONE_HISTORY, at(A1, 50)) == ZERO


def test_an_empty_copy_or_one_of_unknown_history_shares_all_that_it_has() -> None:
    assert shared(TAKEN, (), at(A1, 58)) == at(A1, 58)
    assert shared(TAKEN, FIRST, ZERO) == ZERO


def test_of_epochs_that_wrote_nothing_the_newest_of_every_other_device_stays() -> None:
    idle = extend(TAKEN, A3, at(A1, 50))
    assert idle == (*TAKEN, Fork(A3, at(A1, 50))), "who was followed may be replaced"
    again = extend(idle, Epoch(5, "b"), at(A1, 50))
    assert again == (*FIRST, Fork(A3, at(A1, 50)), Fork(Epoch(5, "b"), at(A1, 50)))
    assert shared(again, TAKEN, at(B2, 7)) == at(A1, 50)
    assert shared(idle, TAKEN, at(B2, 7)) == at(A1, 50), "what it wrote after that is not held"


def test_an_epoch_that_began_on_more_than_is_held_leaves_no_fork() -> None:
    assert extend(TAKEN, A3, at(A1, 40)) == (*FIRST, Fork(A3, at(A1, 40)))


def test_moves_without_a_change_do_not_lengthen_a_lineage() -> None:
    lineage: Lineage = FIRST
    for counter in range(2, 100):
        lineage = extend(lineage, Epoch(counter, "ab"[counter % 2]), at(A1, 50))
    assert lineage == (*FIRST, Fork(Epoch(98, "a"), at(A1, 50)), Fork(Epoch(99, "b"), at(A1, 50)))


def test_a_lineage_is_bounded() -> None:
    lineage: Lineage = FIRST
    for counter in range(2, 100):
        epoch = Epoch(counter, "a")
        lineage = extend(lineage, epoch, at(lineage[-1].epoch, 1))
    assert len(lineage) == MAX_FORKS
    assert lineage[-1].epoch == Epoch(99, "a")


def test_a_history_is_its_writers_once_that_has_told_it() -> None:
    assert written_by(TAKEN, B2)
    assert not written_by(FIRST, B2)
    assert written_by((), B2)


@pytest.mark.parametrize("fork", [Fork(A1, ZERO), Fork(B2, at(A1, 50))])
def test_the_text_form_is_read_back(fork: Fork) -> None:
    assert parse([str(fork)]) == (fork,)


@pytest.mark.parametrize("text", ["", "1", "1@a before 1@a/3", "1@a after x", " after 1@a/3"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(VersionError):
        parse([text])


def test_two_that_gave_a_snapshot_up_share_nothing() -> None:
    one = extend(NO_ONE_HISTORY, B2, at(A1, 9))
    assert shared(one, NO_ONE_HISTORY, at(A1, 5)) == ZERO


def test_a_history_has_been_through_what_its_epochs_wrote_before_the_next_began() -> None:
    history = (Fork(A1, ZERO), Fork(B2, at(A1, 9)))
    assert holds(history, at(B2, 5), at(A1, 9))
    assert not holds(history, at(B2, 5), at(A1, 10)), "another history went on there"
    assert holds(history, at(B2, 5), at(B2, 5))
    assert not holds(history, at(B2, 5), at(B2, 6))
    assert not holds((), at(B2, 5), at(A1, 1))
