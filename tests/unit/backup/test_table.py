from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from rui.backup.digest import combine, empty_buckets, record_digest
from rui.backup.messages import LAST_BUCKET, Change, SnapshotPage, bucket_of
from rui.backup.table import Slice, Table
from rui.backup.version import ZERO
from tests.unit.backup.histories import applied, changes, contents, gone, key, put, version


def test_a_delete_is_remembered_and_an_older_put_does_not_bring_it_back() -> None:
    table = applied([put(1, 1), gone(1, 2)])
    assert not table.apply(put(1, 1))
    assert key(1) not in table
    assert (len(table), table.tombstones) == (0, 1)


def test_a_login_after_a_delete_counts() -> None:
    table = applied([put(1, 1), gone(1, 2), put(1, 3)])
    assert contents(table) == {key(1): (version(3), put(1, 3).record)}
    assert table.tombstones == 0


def test_since_leaves_out_what_a_newer_version_replaced_and_takes_that_along() -> None:
    table = applied([put(1, 1), put(2, 2), put(1, 3), put(3, 4)])
    part = table.since(ZERO, 1, version(4))
    assert part.changes == (put(1, 3),), "the slot of 1@…/1 stands for the newer version of the same key"
    assert (part.last, part.more) == (version(1), True)
    assert table.since(part.last, 9, version(4)).changes == (put(2, 2), put(1, 3), put(3, 4))


def test_since_stops_before_a_slot_whose_newer_version_is_not_durable() -> None:
    table = applied([put(2, 1), put(1, 2), put(1, 3)])
    part = table.since(ZERO, 9, version(2))
    assert (part.changes, part.last) == ((put(2, 1),), version(1))


def test_since_names_the_head_when_it_has_given_all() -> None:
    table = applied([put(1, 1), put(1, 2)])
    assert table.since(version(2), 9, version(2)) == Slice((), version(2), False)


def test_a_bucket_with_a_version_that_is_not_durable_ends_a_page() -> None:
    table = applied([put(1, 1)])
    assert table.page(0, 10, ZERO) is not None, "empty buckets come before"
    assert table.page(bucket_of(key(1)), 10, ZERO) is None


def test_trimming_forgets_the_oldest_deletes_and_says_how_far_back_they_go() -> None:
    table = applied([put(1, 1), put(2, 2), gone(1, 3), gone(2, 4), put(3, 5)])
    assert table.trim_tombstones(1, table.head) == 1
    assert table.floor == version(3)
    assert table.get(key(2)) == gone(2, 4)
    assert table.trim_tombstones(1, table.head) == 0


def test_compaction_keeps_the_content_and_says_from_where_the_log_is_complete() -> None:
    table = Table()
    for seq in range(1, 20_000):
        table.apply(put(seq % 7, seq))
    assert len(table) == 7
    assert table.complete_from > ZERO
    assert {change.key for change in table.since(ZERO, 100_000, table.head).changes} == set(contents(table))


@given(changes(), st.randoms())
def test_the_order_of_application_does_not_matter(history: list[Change], chance: random.Random) -> None:
    expected = applied(history)
    shuffled = history + chance.choices(history, k=len(history))
    chance.shuffle(shuffled)
    table = applied(shuffled)
    assert contents(table) == contents(expected)
    assert combine(table.buckets) == combine(expected.buckets)
    assert table.head == expected.head


@given(changes(), st.integers(1, 7))
def test_the_slices_of_a_table_carry_all_of_it(history: list[Change], limit: int) -> None:
    table, copy, cursor = applied(history), Table(), ZERO
    while True:
        part = table.since(cursor, limit, table.head)
        for change in part.changes:
            copy.apply(change)
        cursor = part.last
        if not part.more:
            break
    assert cursor == table.head
    assert contents(copy) == contents(table)
    assert copy.buckets == table.buckets


@given(changes(keys=30), changes(keys=30), st.integers(1, 20))
def test_the_pages_of_a_snapshot_make_any_older_replica_equal(
    history: list[Change], later: list[Change], limit: int
) -> None:
    table = applied(history)
    replica = applied(history[: len(history) // 2])
    # More history that the replica never heard of, its deletes forgotten at once.
    for change in later:
        last = table.head
        table.apply(change._replace(version=last._replace(seq=last.seq + 1)))
    table.trim_tombstones(0, table.head)
    first, at = 0, table.head
    while first <= LAST_BUCKET:
        page = table.page(first, limit, at)
        assert page is not None
        for change in page.changes:
            replica.apply(change)
        replica.clear(SnapshotPage(at, page.first, page.last), {change.key for change in page.changes})
        first = page.last + 1
    assert contents(replica) == contents(table)
    assert replica.buckets == table.buckets
    assert replica.floor >= at


def test_a_snapshot_spares_what_is_newer_than_it() -> None:
    replica = applied([put(1, 5)])
    assert replica.clear(SnapshotPage(version(4), 0, LAST_BUCKET), ()) == 0
    assert replica.clear(SnapshotPage(version(5), 0, LAST_BUCKET), ()) == 1


@given(changes(), st.randoms())
def test_the_running_digest_is_that_of_the_content(history: list[Change], chance: random.Random) -> None:
    """However much of it is counted while changes come and deletes are forgotten."""
    table = Table()
    for change in history:
        table.apply(change)
        if chance.random() < 0.2:
            table.clear(SnapshotPage(table.head, 0, chance.randrange(LAST_BUCKET)), ())
        left = table.uncounted
        table.count(most := chance.randrange(4))
        assert table.uncounted == max(0, left - most)
    buckets = empty_buckets()
    for change in table.live():
        assert change.record is not None
        bucket = bucket_of(change.key)
        buckets[bucket] = (buckets[bucket] + record_digest(*change)) % (1 << 64)  # type: ignore[arg-type]
    assert table.buckets == buckets
    assert not table.uncounted


def test_a_digest_tells_key_version_and_bytes_apart() -> None:
    digests = {
        record_digest(b"a", version(1), b"x"),
        record_digest(b"b", version(1), b"x"),
        record_digest(b"a", version(2), b"x"),
        record_digest(b"a", version(1), b"y"),
    }
    assert len(digests) == 4


def test_the_bucket_of_a_key_is_the_same_in_every_release() -> None:
    assert bucket_of(b"02:00:00:00:00:01/0/0") == 1411


def test_the_keys_of_a_mac_address_are_found_whatever_their_vlans() -> None:
    mac, other = b"02:00:00:00:00:01", b"02:00:00:00:00:10"
    held = [mac + b"/100/0", mac + b"/0/0", other + b"/100/7"]
    table = applied([Change(name, version(seq), b"r") for seq, name in enumerate(held, 1)])
    assert table.with_mac(mac) == [mac + b"/0/0", mac + b"/100/0"]
    assert table.with_mac(other) == [other + b"/100/7"]
    table.apply(Change(held[0], version(9), None))
    assert table.with_mac(mac) == [mac + b"/0/0", mac + b"/100/0"], "a delete is held too"
    table.trim_tombstones(0, version(9))
    assert table.with_mac(mac) == [mac + b"/0/0"], "a delete that is forgotten is not"


def test_who_comes_again_while_pages_are_read_is_on_a_page_once() -> None:
    table = Table()
    table.apply(put(1, 1))
    assert table.page(0, 10, version(1)) is not None
    table.apply(gone(1, 2))
    table.trim_tombstones(0, version(2))
    table.apply(put(1, 3))
    page = table.page(0, 10, version(3))
    assert page is not None
    assert page.changes == (put(1, 3),)


def test_what_a_page_has_ended_is_forgotten_at_once() -> None:
    """Who takes over in the middle of the snapshot must not tell others by the stream what it holds."""
    table = applied([put(1, 1), put(2, 2)])
    bucket = bucket_of(key(1))
    assert table.clear(SnapshotPage(version(9), bucket, bucket), ()) == 1
    assert table.floor == version(9)
