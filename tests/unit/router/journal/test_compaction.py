"""A base beside the running router: bounded disk, and a crash at any step loses nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from router.journal import Compactor, GroupJournal, compaction
from rui.backup.identity import Role
from rui.backup.member import Member
from rui.backup.member_outputs import Append
from tests.unit.router.journal.journals import SmallDisk, files, gone, held, put, read_back


def octets(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


P = ParamSpec("P")
R = TypeVar("R")


class Turnstile:
    """Lets one step of the compaction pass at a time, in the loop: no folder is copied in the middle."""

    def __init__(self) -> None:
        self.passes = asyncio.Semaphore(0)

    async def to_thread(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        await self.passes.acquire()
        return function(*args, **kwargs)


class Primary:
    """A member whose appends go to a real journal; its changes are durable when ``settled`` returns."""

    def __init__(self, directory: Path, *, spare: int = 10) -> None:
        self.journal, recovered = GroupJournal.open(directory)
        self.member = Member("g", "bras-a", Role.PRIMARY, table=recovered.table, position=recovered.position)
        self.compactor = Compactor(self.journal, self.member, self.settled, spare=spare)
        self._stored = asyncio.Event()
        self.member.start()
        self._drain()

    def put(self, user: int, record: bytes = b"<user/>") -> None:
        self.member.put(put(user, 1).key, record)

    def delete(self, user: int) -> None:
        self.member.delete(gone(user, 1).key)

    async def settled(self) -> None:
        self.member.flush()
        self._drain()
        head = self.member.table.head
        while self.member.durable < head:
            self._stored.clear()
            await self._stored.wait()

    def _drain(self) -> None:
        for output in self.member.outputs():
            assert isinstance(output, Append)
            self.journal.append(output.frames, self._written)

    def _written(self, failure: str | None) -> None:
        assert failure is None
        self.member.stored()
        self._drain()
        self._stored.set()


async def test_it_is_due_when_most_of_the_disk_is_superseded(tmp_path: Path) -> None:
    primary = Primary(tmp_path)
    for _ in range(8):
        primary.put(1)
        await primary.settled()
    assert not primary.compactor.due()
    for _ in range(8):
        primary.put(1)
        await primary.settled()
    assert primary.compactor.due()
    freed = await primary.compactor.run()
    assert freed > 0
    assert not primary.compactor.due()
    assert primary.journal.octets == octets(tmp_path)
    await primary.journal.close()


async def test_a_base_holds_what_the_table_holds(tmp_path: Path) -> None:
    primary = Primary(tmp_path)
    for user in range(100):
        primary.put(user)
    for user in range(0, 100, 3):
        primary.delete(user)
    await primary.settled()
    await primary.compactor.run()
    recovered = read_back(tmp_path)
    table = primary.member.table
    assert held(recovered) == {key: table.get(key) for key in table.held_keys()}
    assert recovered.position == primary.member.position
    assert recovered.changes == 101
    assert files(tmp_path) == ["base-2", "log-2"]
    await primary.journal.close()


async def test_changes_during_a_compaction_are_kept_and_a_crash_at_any_step_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SLICE", 7)
    turnstile = Turnstile()
    monkeypatch.setattr(asyncio, "to_thread", turnstile.to_thread)
    primary = Primary(tmp_path)
    rng = random.Random(5)
    for user in range(60):
        primary.put(user)
    await primary.settled()
    # At each step of it users come and go, and what a crash would leave is looked at
    task = asyncio.ensure_future(primary.compactor.run())
    steps = 0
    while not task.done():
        user = rng.randrange(80)
        if rng.random() < 0.5:
            primary.put(user, b"<user>%d</user>" % steps)
        else:
            primary.delete(user)
        turnstile.passes.release()
        await primary.settled()
        durable = {key: primary.member.table.get(key) for key in primary.member.table.held_keys()}
        recovered = read_back(tmp_path)
        assert held(recovered) == durable
        assert recovered.position == primary.member.position
        steps += 1
    await task
    assert steps >= 60 // 7
    monkeypatch.undo()
    await primary.journal.close()


async def test_without_room_the_journal_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(SmallDisk):
        limit = 200

    primary = Primary(tmp_path)
    for user in range(50):
        primary.put(user)
    await primary.settled()
    monkeypatch.setattr(compaction, "SegmentWriter", Full)
    with pytest.raises(OSError, match="No space left"):
        await primary.compactor.run()
    assert len(held(read_back(tmp_path))) == 50
    assert files(tmp_path) == ["log-1", "log-2"]
    monkeypatch.undo()
    await primary.compactor.run()
    assert files(tmp_path) == ["base-3", "log-3"]
    assert len(held(read_back(tmp_path))) == 50
    await primary.journal.close()
