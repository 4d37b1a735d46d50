"""Leases run out at their second, however often they were renewed or came anew."""

import math

from hypothesis import given
from hypothesis import strategies as st

from router.dhcp.expiry import ExpiryBuckets

NO_LIMIT = 1_000_000


def test_a_key_is_due_at_its_second_and_no_earlier() -> None:
    buckets = ExpiryBuckets()
    buckets.add(b"a", 10.2)

    assert buckets.next_second() == 11
    assert buckets.take_due(10.9, {b"a": 10.2}.get, NO_LIMIT) == []
    assert buckets.take_due(11.0, {b"a": 10.2}.get, NO_LIMIT) == [b"a"]
    assert (len(buckets), buckets.next_second()) == (0, None)


def test_a_renewed_key_moves_on_when_its_first_second_comes() -> None:
    buckets = ExpiryBuckets()
    buckets.add(b"a", 10.0)

    assert buckets.take_due(10.0, {b"a": 20.0}.get, NO_LIMIT) == []
    assert buckets.next_second() == 20


def test_a_key_that_went_is_forgotten() -> None:
    buckets = ExpiryBuckets()
    buckets.add(b"a", 10.0)

    assert buckets.take_due(10.0, lambda _: None, NO_LIMIT) == []
    assert len(buckets) == 0


def test_a_key_that_came_again_is_due_once() -> None:
    buckets = ExpiryBuckets()
    buckets.add(b"a", 10.0)
    buckets.add(b"a", 10.0)

    assert buckets.take_due(10.0, {b"a": 10.0}.get, NO_LIMIT) == [b"a"]


def test_an_endless_lease_takes_no_place() -> None:
    buckets = ExpiryBuckets()
    buckets.add(b"a", math.inf)

    assert len(buckets) == 0


def test_many_at_once_are_taken_a_turn_at_a_time() -> None:
    buckets = ExpiryBuckets()
    keys = [b"%d" % number for number in range(25)]
    for key in keys:
        buckets.add(key, 10.0)

    turns = [buckets.take_due(10.0, lambda _: 10.0, 10) for _ in range(4)]

    assert [len(turn) for turn in turns] == [10, 10, 5, 0]
    assert sorted(key for turn in turns for key in turn) == sorted(keys)


def test_users_who_come_and_go_pile_up_nothing() -> None:
    buckets = ExpiryBuckets()
    for number in range(20_000):
        buckets.rebuild_if_bloated(1, {b"stays": 99_999.0}.get)
        buckets.add(b"%d" % number, 50_000.0 + number)
    buckets.add(b"stays", 99_999.0)

    buckets.rebuild_if_bloated(1, {b"stays": 99_999.0}.get)

    assert len(buckets) <= 4098
    assert buckets.take_due(99_999.0, {b"stays": 99_999.0}.get, NO_LIMIT) == [b"stays"]


@given(
    st.dictionaries(st.binary(min_size=1, max_size=2), st.floats(1, 50), max_size=30),
    st.lists(st.floats(0, 60), max_size=10),
    st.integers(1, 7),
)
def test_every_key_expires_once_and_only_after_its_time(
    expiries: dict[bytes, float], moments: list[float], limit: int
) -> None:
    buckets = ExpiryBuckets()
    held = dict(expiries)
    for key, expiry in expiries.items():
        buckets.add(key, expiry)
    expired: list[bytes] = []
    for now in [*sorted(moments), *[60.0] * 40]:
        for key in buckets.take_due(now, held.get, limit):
            assert held.pop(key) <= now
            expired.append(key)

    assert sorted(expired) == sorted(expiries)
