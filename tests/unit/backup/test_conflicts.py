from __future__ import annotations

import pytest

from rui.backup import conflicts
from rui.backup.conflicts import Conflict, Search, lasts
from rui.backup.messages import Change
from rui.backup.record import UserInfo
from rui.backup.table import Table
from tests.unit.backup.histories import version


def online(number: int, **leaves: str) -> Change:
    info = UserInfo(f"02:00:00:00:00:{number:02x}", **leaves)  # type: ignore[arg-type]
    return Change(info.key, version(number), info.encode())


ONE = online(1, ipv4_address="192.0.2.1", ipv6_address="2001:db8::1")
TWO = online(2, ipv4_address="192.0.2.1")
SIX = online(3, ipv6_address="2001:db8::1")
PREFIX = online(4, ipv6_delegated_prefix="2001:db8:4::/56")
SAME_PREFIX = online(5, ipv6_delegated_prefix="2001:db8:4::/56")
ALONE = online(6, ipv4_address="192.0.2.6")
NOWHERE = online(7)


def searched(table: Table, *adopted: Change, size: int = 2) -> Search:
    search = Search(table, [change.key for change in adopted])
    for _ in search.slices(size):
        pass
    return search


def table(*changes: Change) -> Table:
    made = Table()
    made.apply_all(changes)
    return made


def test_each_address_of_an_adopted_user_that_another_holds_is_named() -> None:
    held = table(ONE, TWO, SIX, PREFIX, SAME_PREFIX, ALONE, NOWHERE)
    assert sorted(searched(held, ONE, PREFIX, NOWHERE).found) == [
        Conflict("192.0.2.1", ONE.key, TWO.key),
        Conflict("2001:db8:4::/56", PREFIX.key, SAME_PREFIX.key),
        Conflict("2001:db8::1", ONE.key, SIX.key),
    ]


def test_nobody_conflicts_with_himself_and_nobody_else_is_looked_for() -> None:
    held = table(ONE, TWO, ALONE, NOWHERE)
    assert searched(held, ALONE, NOWHERE).found == []


def test_two_who_were_adopted_together_conflict_once() -> None:
    assert searched(table(ONE, TWO), TWO, ONE).found == [Conflict("192.0.2.1", TWO.key, ONE.key)]


def test_who_is_offline_holds_nothing() -> None:
    gone = TWO._replace(version=version(9), record=None)
    assert searched(table(ONE, TWO, gone), ONE).found == []
    assert searched(table(ONE, TWO, gone), TWO).found == []


def test_a_conflict_lasts_until_one_of_both_has_the_address_no_more() -> None:
    held = table(ONE, TWO)
    (conflict,) = searched(held, ONE).found
    assert lasts(held, conflict)
    held.apply(online(2, ipv4_address="192.0.2.99")._replace(version=version(9)))
    assert not lasts(held, conflict)


def test_only_so_many_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflicts, "KEPT", 1)
    search = searched(table(ONE, TWO, SIX), ONE)
    assert (len(search.found), search.unnamed) == (1, 1)
