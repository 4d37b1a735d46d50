"""Appending: durable when it says so, nothing left of what failed, and on when there is room again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from router.journal import GroupJournal
from router.journal import writer as writing
from router.journal.segment import log_path
from tests.unit.router.journal.journals import SmallDisk, append, files, frame, held, put, read_back


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> type[SmallDisk]:
    """Every segment that is opened from here on is on this disk."""

    class Disk(SmallDisk):
        pass

    monkeypatch.setattr("router.journal.recovery.SegmentWriter", Disk)
    monkeypatch.setattr(writing, "SegmentWriter", Disk)
    return Disk


async def test_what_was_reported_durable_is_there_after_a_crash(tmp_path: Path) -> None:
    journal, _ = GroupJournal.open(tmp_path)
    assert await append(journal, frame(put(1, 1)), frame(put(2, 2))) is None
    assert {change.version.seq for change in held(read_back(tmp_path)).values()} == {1, 2}
    assert (journal.counters.appends, journal.changes) == (1, 2)
    assert journal.octets == log_path(tmp_path, 1).stat().st_size
    await journal.close()


async def test_appends_keep_their_order(tmp_path: Path) -> None:
    journal, _ = GroupJournal.open(tmp_path)
    await asyncio.gather(*(append(journal, frame(put(1, seq))) for seq in range(1, 30)))
    assert read_back(tmp_path).position.cursor.seq == 29
    await journal.close()


async def test_a_full_disk_leaves_nothing_behind_and_later_it_goes_on(
    tmp_path: Path, small_disk: type[SmallDisk]
) -> None:
    journal, _ = GroupJournal.open(tmp_path)
    assert await append(journal, frame(put(1, 1))) is None
    size = log_path(tmp_path, 1).stat().st_size
    small_disk.limit = size + 10
    failure = await append(journal, frame(put(2, 2)))
    assert failure == f"{log_path(tmp_path, 1)}: No space left on device"
    assert log_path(tmp_path, 1).stat().st_size == size
    small_disk.limit = 1 << 60
    assert await append(journal, frame(put(2, 2))) is None
    recovered = read_back(tmp_path)
    assert ({change.version.seq for change in held(recovered).values()}, recovered.cuts) == ({1, 2}, ())
    assert (journal.counters.appends, journal.counters.failures) == (2, 1)
    await journal.close()


async def test_a_failed_sync_is_a_failed_append(tmp_path: Path, small_disk: type[SmallDisk]) -> None:
    journal, _ = GroupJournal.open(tmp_path)
    small_disk.sync_fails = True
    assert await append(journal, frame(put(1, 1))) == f"{log_path(tmp_path, 1)}: Input/output error"
    small_disk.sync_fails = False
    assert await append(journal, frame(put(1, 2))) is None
    assert {change.version.seq for change in held(read_back(tmp_path)).values()} == {2}
    await journal.close()


async def test_after_a_rotation_the_next_log_is_written(tmp_path: Path) -> None:
    journal, _ = GroupJournal.open(tmp_path)
    await append(journal, frame(put(1, 1)))
    assert await journal.rotate() == 2
    await append(journal, frame(put(2, 2)))
    await journal.close()
    assert {change.version.seq for change in held(read_back(tmp_path)).values()} == {1, 2}
    journal, recovered = GroupJournal.open(tmp_path)
    assert recovered.log == 2
    await journal.close()


async def test_a_rotation_without_room_leaves_the_journal_as_it_was(
    tmp_path: Path, small_disk: type[SmallDisk]
) -> None:
    journal, _ = GroupJournal.open(tmp_path)
    await append(journal, frame(put(1, 1)))
    small_disk.limit = 0
    with pytest.raises(OSError, match="No space left"):
        await journal.rotate()
    assert files(tmp_path) == ["log-1"]
    small_disk.limit = 1 << 60
    assert await append(journal, frame(put(2, 2))) is None
    await journal.close()
