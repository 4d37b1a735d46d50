from __future__ import annotations

from rui.backup.origins import Origins
from tests.unit.backup.histories import gone, put, version


def test_what_was_adopted_counts_as_it_was_offered_until_the_user_changes() -> None:
    origins = Origins()
    origins.note(put(1, 9).key, version(9), version(3))
    assert origins.of(put(1, 9)) == version(3)
    assert origins.of(put(1, 10)) == version(10)
    assert origins.of(put(1, 9)) == version(9), "what is void stays so"
    assert origins.of(put(2, 4)) == version(4)
    assert origins.of(None) is None


def test_what_is_written_again_unchanged_counts_as_it_was_offered() -> None:
    origins = Origins()
    origins.note(put(1, 9).key, version(9), version(3))
    origins.moved(put(1, 9), version(11))
    assert origins.of(put(1, 11)) == version(3)
    origins.moved(put(2, 5), version(12))
    assert origins.of(put(2, 12)) == version(5), "an offer is as old as what it is compared with was"


def test_the_oldest_is_forgotten() -> None:
    origins = Origins(kept=2)
    for user in (1, 2, 3):
        origins.note(put(user, 9).key, version(9), version(3))
    assert len(origins) == 2
    assert origins.of(put(1, 9)) == version(9)
    assert origins.of(put(3, 9)) == version(3)


def test_a_frame_brings_back_what_belongs_to_its_changes() -> None:
    origins, again = Origins(), Origins()
    origins.note(put(1, 9).key, version(9), version(3))
    origins.note(put(2, 8).key, version(8), version(4))
    changes = (put(1, 9), put(2, 10))
    again.recall(changes, origins.among(changes))
    assert again.of(put(1, 9)) == version(3)
    assert again.of(put(2, 10)) == version(10)


def test_what_the_user_has_changed_in_the_same_frame_is_the_user_s_own() -> None:
    origins, again = Origins(), Origins()
    origins.note(gone(1, 9).key, version(9), version(3))
    changes = (gone(1, 9), put(1, 10))
    again.recall(changes, origins.among(changes))
    assert again.of(put(1, 10)) == version(10)
