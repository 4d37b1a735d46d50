"""Records come into the digest beside the router's work, without anybody asking."""

from __future__ import annotations

import asyncio

import pytest

from router.journal import Counting, counted, counting
from rui.backup.table import Table
from tests.unit.router.journal.journals import put


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_PAUSE": 0.0, "_SHORT_PAUSE": 0.0, "_AT_ONCE": 10, "_BESIDE_WORK": 1}.items():
        monkeypatch.setattr(counting, name, value)


class Watched(Table):
    """Keeps how many there were to count, and how many of them were asked for, each time."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[tuple[int, int]] = []

    def count(self, most: int) -> None:
        self.turns.append((self.uncounted, most))
        super().count(most)


def filled(users: int) -> Watched:
    table = Watched()
    table.apply_all([put(number, number + 1) for number in range(users)])
    return table


async def test_all_is_counted_in_slices() -> None:
    table, done = filled(35), asyncio.Event()
    beside = Counting(table, done.set)
    beside.look()
    beside.look()
    await done.wait()
    assert table.turns == [(35, 10), (25, 10), (15, 10), (5, 10)]
    assert table.buckets == filled(35).buckets


async def test_while_changes_come_little_is_counted() -> None:
    table, done = filled(20), asyncio.Event()
    beside = Counting(table, done.set)
    beside.look()
    table.apply_all([put(number, 1000 + number) for number in range(100, 110)])
    await done.wait()
    assert table.turns == [(30, 1), (29, 10), (19, 10), (9, 10)]


async def test_who_waits_has_all_counted() -> None:
    table = filled(25)
    await counted(table)
    assert not table.uncounted


async def test_once_stopped_nothing_is_counted() -> None:
    table = filled(5)
    beside = Counting(table, lambda: None)
    beside.look()
    beside.stop()
    await asyncio.sleep(0)
    assert table.uncounted == 5
