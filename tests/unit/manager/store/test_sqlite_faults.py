"""What the embedded store does when its file is damaged, foreign, locked or out of space."""

# ruff: noqa: ASYNC240 - the test's own small files

from __future__ import annotations

import asyncio
import gc
import resource
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from manager.store import (
    SqliteOptions,
    StoreCorruptError,
    StoreError,
    StoreIOError,
    StoreLockedError,
    StoreVersionError,
    open_sqlite,
)
from manager.store.sqlite import file
from rui.backup.identity import Role, StorageEntry
from rui.backup.messages import Change, Result
from rui.backup.table import Slice
from rui.backup.version import ZERO
from tests.unit.backup.histories import GROUP, A, applied, key, put, stream, version
from tests.unit.manager.store.contract import agrees, all_since, held
from tests.unit.manager.store.sqlite_engine import opened

ENTRY = StorageEntry(GROUP, "bras-a", "192.0.2.1", Role.PRIMARY, A, "primary", 1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cloud.db"


def large(number: int, seq: int) -> Change:
    return Change(key(number), version(seq), b"x" * 20_000)


async def fill(path: Path, count: int) -> None:
    async with opened(path) as store:
        await store.apply(stream(0, count, *(put(n, n) for n in range(1, count + 1))))


async def read_all(path: Path) -> None:
    async with opened(path) as store:
        await all_since(store, ZERO, 500)


@contextmanager
def no_file_beyond(octets: int) -> Iterator[None]:
    """A file system on which no file can grow beyond so many octets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_file_that_can_hold_no_more_takes_nothing_of_a_batch_and_goes_on_later(path: Path) -> None:
    kept = [put(n, n) for n in range(1, 51)]
    async with opened(path) as store:
        await store.apply(stream(0, 50, *kept))
        too_large = stream(50, 90, *(large(n, n) for n in range(51, 91)))
        with no_file_beyond(300_000):
            receipt = await store.apply(too_large)
            assert (receipt.result, receipt.position.cursor) == (Result.FAILED, version(50))
            assert str(path) in receipt.reason
            await agrees(store, applied(kept))
            with pytest.raises(StoreIOError, match=r"cloud\.db"):
                await store.put_entry(replace(ENTRY, reason="x" * 300_000))
            assert (await store.apply(too_large)).result is Result.FAILED
        receipt = await store.apply(too_large)
        assert (receipt.result, receipt.position.cursor) == (Result.STORED, version(90))
    async with opened(path) as store:
        await agrees(store, applied([*kept, *too_large.changes]))


async def test_a_store_that_is_full_says_so_and_takes_what_still_fits(path: Path) -> None:
    async with opened(path, SqliteOptions(max_pages=60)) as store:
        await store.apply(stream(0, 1, put(1, 1)))
        big = stream(1, 20, *(large(n, n) for n in range(2, 21)))
        small = stream(1, 2, put(2, 2))
        receipts = await asyncio.gather(store.apply(big), store.apply(small))
        assert [receipt.result for receipt in receipts] == [Result.FAILED, Result.STORED]
        assert "space" in receipts[0].reason
        await agrees(store, applied([put(1, 1), put(2, 2)]))
    async with opened(path) as store:
        assert (await store.apply(big)).result is Result.STORED


async def test_only_one_process_has_it(path: Path) -> None:
    async with opened(path) as store:
        with pytest.raises(StoreLockedError, match=r"cloud\.db: in use by another process"):
            await open_sqlite(path)
        assert (await store.apply(stream(0, 1, put(1, 1)))).result is Result.STORED
    async with opened(path) as store:
        assert len(await held(store)) == 1


async def test_a_foreign_programs_lock_fails_the_batch_until_it_is_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "BUSY_TIMEOUT", 0.05)
    async with opened(path) as store:
        foreign = sqlite3.connect(path, isolation_level=None)
        foreign.execute("BEGIN IMMEDIATE")
        receipt = await store.apply(stream(0, 1, put(1, 1)))
        assert receipt.result is Result.FAILED
        assert "another program holds its lock" in receipt.reason
        with pytest.raises(StoreLockedError, match="end that program"):
            await store.put_entry(ENTRY)
        foreign.execute("ROLLBACK")
        foreign.close()
        assert (await store.apply(stream(0, 1, put(1, 1)))).result is Result.STORED


async def test_what_secondaries_acknowledged_is_kept_though_a_write_failed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "BUSY_TIMEOUT", 0.05)
    async with opened(path) as store:
        foreign = sqlite3.connect(path, isolation_level=None)
        foreign.execute("BEGIN IMMEDIATE")
        store.delivered(GROUP, "bras-b", version(7))
        assert (await store.apply(stream(0, 1, put(1, 1)))).result is Result.FAILED
        foreign.execute("ROLLBACK")
        foreign.close()
        await store.put_entry(ENTRY)
    async with opened(path) as store:
        assert await store.deliveries(GROUP) == {"bras-b": version(7)}


async def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(StoreIOError, match=r"missing/cloud\.db.*check directory"):
        await open_sqlite(tmp_path / "missing" / "cloud.db")


async def test_a_directory_in_its_place(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreIOError, match=r"cloud\.db"):
        await open_sqlite(path)


async def test_no_database_at_all(path: Path) -> None:
    path.write_bytes(b"<config>this is no database</config>" * 1000)
    with pytest.raises(StoreCorruptError, match=r"cloud\.db: damaged, or no store .*move it|restore"):
        await open_sqlite(path)


async def test_another_programs_database(path: Path) -> None:
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE mine (x)")
    foreign.close()
    with pytest.raises(StoreCorruptError, match="no store of this program"):
        await open_sqlite(path)


async def test_a_store_of_a_newer_release(path: Path) -> None:
    await fill(path, 1)
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {file.SCHEMA_VERSION + 1}")
    newer.close()
    with pytest.raises(StoreVersionError, match=rf"has format {file.SCHEMA_VERSION + 1}, this release reads"):
        await open_sqlite(path)


@pytest.mark.parametrize("made", [1, 2])
async def test_a_store_of_an_older_release_is_brought_up(path: Path, made: int) -> None:
    await fill(path, 3)
    older = sqlite3.connect(path)
    older.executescript("DROP INDEX session_origin; ALTER TABLE session DROP COLUMN origin")
    older.execute("ALTER TABLE grp DROP COLUMN newest")
    if made == 1:
        older.execute("ALTER TABLE grp DROP COLUMN lineage")
    older.execute(f"PRAGMA user_version = {made}")
    older.close()
    async with opened(path) as store:
        adopted = replace(stream(3, 4, put(4, 4)), origins={key(4): version(1)})
        assert (await store.apply(adopted)).result is Result.STORED
        assert await store.since(GROUP, version(3), 9) == Slice(
            (put(4, 4),), version(4), False, adopted.origins
        )
        assert len(await all_since(store, ZERO, 9)) == 4


async def test_a_refused_file_is_not_left_locked(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreCorruptError):
        await open_sqlite(path)
    path.unlink()
    await fill(path, 1)


async def test_damage_in_the_middle_is_named_and_the_process_lives(path: Path) -> None:
    await fill(path, 3000)
    octets = bytearray(path.read_bytes())
    start = len(octets) // 10 // 4096 * 4096
    octets[start:-4096] = b"\xa5" * (len(octets) - start - 4096)
    path.write_bytes(octets)
    async with opened(path) as store:
        with pytest.raises(StoreCorruptError, match=r"cloud\.db: damaged"):
            await all_since(store, ZERO, 500)
        with pytest.raises(StoreCorruptError, match=r"cloud\.db: damaged"):
            await held(store)
        receipt = await store.apply(stream(3000, 3001, put(1, 3001)))
        assert receipt.result is Result.FAILED
        assert "restore the file" in receipt.reason


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
async def test_a_file_cut_short(path: Path, keep: float) -> None:
    await fill(path, 3000)
    octets = path.read_bytes()
    path.write_bytes(octets[: int(len(octets) * keep)])
    with pytest.raises(StoreError, match=r"cloud\.db"):
        await read_all(path)


async def test_an_empty_file_is_a_new_store(path: Path) -> None:
    path.touch()
    await fill(path, 1)
    async with opened(path) as store:
        assert len(await held(store)) == 1


async def test_a_copy_made_while_it_runs_is_a_store(path: Path, tmp_path: Path) -> None:
    async with opened(path) as store:
        await store.apply(stream(0, 1, put(1, 1)))
        reader = sqlite3.connect(path)
        reader.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
        reader.close()
        await store.apply(stream(1, 2, put(2, 2)))
    async with opened(tmp_path / "copy.db") as copy:
        assert copy.store_id == store.store_id
        assert (await copy.position(GROUP)).cursor == version(1)
        await copy.apply(stream(1, 2, put(2, 2)))
        assert (tmp_path / "copy.db-wal").stat().st_size > 0
        await agrees(copy, applied([put(1, 1), put(2, 2)]))


async def test_nobody_else_may_read_it(path: Path) -> None:
    async with opened(path) as store:
        await store.apply(stream(0, 1, put(1, 1)))
        for name in ("cloud.db", "cloud.db-wal"):
            assert path.with_name(name).stat().st_mode & 0o077 == 0, name


async def test_users_stay_on_disk(path: Path) -> None:
    count = 10_000
    async with opened(path, SqliteOptions(recent_bytes=100_000)) as store:
        await store.apply(stream(0, 1, put(0, 1)))
        gc.collect()
        tracemalloc.start()
        for start in range(1, count, 500):
            changes = (Change(key(n), version(n), b"x" * 800) for n in range(start, start + 500))
            await store.apply(stream(start - 1 or 1, start + 499, *changes))
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert grown < 60 * count


async def test_the_log_stays_bounded(path: Path) -> None:
    limit = 400_000
    async with opened(path, SqliteOptions(checkpoint_at=100_000, wal_limit=limit)) as store:
        largest = 0
        for seq in range(1, 200):
            await store.apply(stream(seq - 1, seq, large(seq % 7, seq)))
            largest = max(largest, Path(f"{path}-wal").stat().st_size)
        assert limit / 4 < largest < 1.5 * limit
    assert not Path(f"{path}-wal").exists(), "closing leaves one whole file"
