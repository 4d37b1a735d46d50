"""Which endpoint of a client is called next (RFC 8071 section 4.1)."""

from __future__ import annotations

import random

import pytest

from rui.callhome import Rotation, StartWith


def rotation(start_with: StartWith, attempts: int = 2) -> Rotation[str]:
    return Rotation(("a", "b", "c"), start_with, attempts, random.Random(1))


def tries(found: Rotation[str], count: int) -> list[tuple[str, bool]]:
    """Endpoints that are tried in vain, each with whether the next try comes at once."""
    return [(found.current, found.failed()) for _ in range(count)]


def test_each_endpoint_has_its_tries_and_a_wait_comes_before_the_next_and_after_the_last() -> None:
    found = rotation(StartWith.FIRST_LISTED)
    expected = [("a", False), ("a", True), ("b", False), ("b", True), ("c", False), ("c", False)]
    assert tries(found, 8) == [*expected, *expected[:2]]


@pytest.mark.parametrize(
    ("start_with", "begins"),
    [(StartWith.FIRST_LISTED, "a"), (StartWith.LAST_CONNECTED, "b")],
)
def test_a_lost_connection_begins_where_it_is_told_to(start_with: StartWith, begins: str) -> None:
    found = rotation(start_with, 1)
    tries(found, 1)
    assert found.current == "b"
    found.lost()
    assert found.current == begins


def test_a_random_one_is_any_of_them() -> None:
    found = rotation(StartWith.RANDOM_SELECTION)
    seen = set()
    for _ in range(50):
        seen.add(found.current)
        found.lost()
    assert seen == {"a", "b", "c"}


def test_the_only_endpoint_is_never_a_reason_not_to_wait() -> None:
    found = Rotation(("a",), StartWith.FIRST_LISTED, 1, random.Random(1))
    assert tries(found, 3) == [("a", False)] * 3
    with pytest.raises(ValueError, match="endpoint"):
        Rotation((), StartWith.FIRST_LISTED, 1, random.Random(1))
