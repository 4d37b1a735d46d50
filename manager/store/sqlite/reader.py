"""Readers: a few connections, each used by one thread at a time, each read one snapshot of the log."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from manager.store.errors import StoreClosedError
from manager.store.interface import NeedsSnapshot, TableDigest
from manager.store.sqlite.codec import PACKED, VersionReader, pack_version, unpack_rows
from manager.store.sqlite.file import StoreFile, explain
from manager.store.sqlite.transaction import HEAD_COLUMNS, read_head
from rui.backup.audit import Entry, Listing
from rui.backup.digest import MODULUS, Digest, combine, empty_buckets
from rui.backup.messages import LAST_BUCKET, Change, Position, Quarantined, bucket_of
from rui.backup.table import Page, Slice
from rui.backup.version import ZERO, Version

_R = TypeVar("_R")
# A search in each bucket: thousands of them take some ten milliseconds, all keys of a large group a second
_WITH_PREFIX = (
    "WITH RECURSIVE buckets(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM buckets WHERE n < ?) "
    "SELECT key, version, val FROM session WHERE grp = ? AND bucket IN (SELECT n FROM buckets) "
    "AND key >= ? AND key < ? AND val IS NOT NULL"
)
_LIVE = "SELECT key, version, val FROM session WHERE grp = ? AND val IS NOT NULL"
_KEYS_AT_ONCE = 200

# Halves of the hashes: the sum of signed 64-bit numbers would overflow. All buckets are one row (codec.py).
_DIGEST = (
    "SELECT group_concat(bucket || ' ' || high || ' ' || low || ' ' || records, ' ') FROM ("
    "SELECT bucket, sum(hash >> 32) AS high, sum(hash & 0xffffffff) AS low, count(*) AS records "
    "FROM session INDEXED BY session_version WHERE grp = ? AND hash IS NOT NULL GROUP BY bucket)"
)
_HELD = (
    "SELECT group_concat(CAST(key AS TEXT) || ' ' || hex(version) || ' ' || coalesce(hash, ''), ' ') "
    "FROM session WHERE grp = ?"
)
_SET_ASIDE = "SELECT count(*) FROM session WHERE grp = ? AND quarantined IS NOT NULL"


class Readers:
    """Reads beside the writer. Every method is one consistent snapshot."""

    def __init__(self, file: StoreFile, count: int) -> None:
        self._file = file
        self._versions = VersionReader()
        self._connections: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._count = count
        for _ in range(count):
            self._connections.put(file.connect(read_only=True))
        # For whoever reads in a thread of its own; closing waits for that.
        self._here = file.connect(read_only=True)
        self._here_lock = threading.Lock()
        self._threads = ThreadPoolExecutor(count, "store-reader")
        self._closed = False

    async def since(self, number: int, after: Version, limit: int, upto: Version) -> Slice | NeedsSnapshot:
        """See :meth:`manager.store.interface.Store.since`."""
        return await self._in_thread(lambda connection: self._since(connection, number, after, limit, upto))

    async def page(self, number: int, first: int, limit: int) -> Page | None:
        """See :meth:`manager.store.interface.Store.page`."""
        return await self._in_thread(lambda connection: self._page(connection, number, first, limit))

    async def digest(self, number: int, pinned: Callable[[], None]) -> TableDigest:
        """See :meth:`manager.store.interface.Store.digest`; ``pinned`` is called in the reading thread."""
        return await self._in_thread(lambda connection: _digest(connection, number, pinned))

    async def held(self, number: int, buckets: Sequence[int]) -> Listing:
        """See :meth:`manager.store.interface.Store.held`."""
        return await self._in_thread(lambda connection: self._held(connection, number, buckets))

    async def quarantined(self, number: int, limit: int) -> Sequence[Quarantined]:
        """See :meth:`manager.store.interface.Store.quarantined`."""

        def read(connection: sqlite3.Connection) -> Sequence[Quarantined]:
            rows = connection.execute(
                "SELECT key, version, quarantined FROM session WHERE grp = ? AND quarantined IS NOT NULL "
                "ORDER BY version LIMIT ?",
                (number, limit),
            ).fetchall()
            return [Quarantined(key, self._versions.unpack(version), reason) for key, version, reason in rows]

        return await self._in_thread(read)

    def users(
        self, number: int, keys: Collection[bytes] | None, prefix: bytes, slice_records: int
    ) -> Iterator[Change]:
        """See :meth:`manager.store.interface.Store.users`; reads in the caller's thread."""
        if prefix:
            return iter(self._read_here(_WITH_PREFIX, (LAST_BUCKET, number, prefix, prefix + b"\xff")))
        return self._some(number, list(keys)) if keys is not None else self._all(number, slice_records)

    def close(self) -> None:
        """End the threads and close the connections. Blocks while a read is under way."""
        with self._here_lock:
            self._closed = True
            self._here.close()
        self._threads.shutdown()
        for _ in range(self._count):
            self._connections.get().close()

    async def _in_thread(self, read: Callable[[sqlite3.Connection], _R]) -> _R:
        def run() -> _R:
            connection = self._connections.get()
            try:
                with self._snapshot(connection):
                    return read(connection)
            finally:
                self._connections.put(connection)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    @contextmanager
    def _snapshot(self, connection: sqlite3.Connection) -> Iterator[None]:
        try:
            connection.execute("BEGIN")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise explain(self._file.path, error) from error

    def _since(
        self, connection: sqlite3.Connection, number: int, after: Version, limit: int, upto: Version
    ) -> Slice | NeedsSnapshot:
        position, floor = _head(connection, number)
        end = max(position.cursor, upto)
        if position.snapshot is not None or after >= end:
            return Slice((), after, False)
        if after < floor:
            return NeedsSnapshot(floor)
        changes = self._packed(
            connection,
            "SELECT key, version, val FROM session WHERE grp = ? AND version > ? ORDER BY version LIMIT ?",
            (number, pack_version(after), limit + 1),
        )
        taken = changes[:limit]
        origins: Mapping[bytes, Version] = {}
        if taken:
            reach = (pack_version(after), pack_version(taken[-1].version))
            origins = self._origins(connection, "version > ? AND version <= ?", (number, *reach))
        if len(changes) <= limit or taken[-1].version >= end:
            return Slice(taken, end, False, origins)
        return Slice(taken, taken[-1].version, True, origins)

    def _page(self, connection: sqlite3.Connection, number: int, first: int, limit: int) -> Page | None:
        position, _ = _head(connection, number)
        if position.snapshot is not None:
            return None
        # Tombstones count here, so that the index alone answers.
        beyond = connection.execute(
            "SELECT bucket FROM session WHERE grp = ? AND bucket >= ? ORDER BY bucket LIMIT 1 OFFSET ?",
            (number, first, limit),
        ).fetchone()
        last = max(first, beyond[0] - 1) if beyond else LAST_BUCKET
        changes = self._packed(
            connection,
            "SELECT key, version, val FROM session "
            "WHERE grp = ? AND bucket BETWEEN ? AND ? AND val IS NOT NULL",
            (number, first, last),
        )
        live = "bucket BETWEEN ? AND ? AND val IS NOT NULL"
        return Page(changes, first, last, self._origins(connection, live, (number, first, last)))

    def _origins(
        self, connection: sqlite3.Connection, where: str, values: Sequence[object]
    ) -> Mapping[bytes, Version]:
        rows = connection.execute(
            f"SELECT key, origin FROM session WHERE grp = ? AND origin IS NOT NULL AND {where}",  # noqa: S608 - ours
            values,
        )
        return {key: self._versions.unpack(origin) for key, origin in rows}

    def _held(self, connection: sqlite3.Connection, number: int, buckets: Sequence[int]) -> Listing:
        position, _ = _head(connection, number)
        places = ", ".join("?" * len(buckets))
        query = f"{_HELD} AND bucket IN ({places})"
        fields = (connection.execute(query, (number, *buckets)).fetchone()[0] or "").split(" ")
        rows = zip(*[iter(fields)] * 3, strict=True) if len(fields) > 1 else ()
        entries = {
            key.encode(): Entry(
                self._versions.unpack(bytes.fromhex(version)), int(digest) % MODULUS if digest else None
            )
            for key, version, digest in rows
        }
        return Listing(position.live, entries)

    def _all(self, number: int, slice_records: int) -> Iterator[Change]:
        bucket, key = -1, b""
        while True:
            rows = self._read_here(
                "SELECT key, version, val FROM session WHERE grp = ? AND (bucket, key) > (?, ?) "
                "AND val IS NOT NULL ORDER BY bucket, key LIMIT ?",
                (number, bucket, key, slice_records),
            )
            yield from rows
            if len(rows) < slice_records:
                return
            key = rows[-1].key
            bucket = bucket_of(key)

    def _some(self, number: int, keys: Sequence[bytes]) -> Iterator[Change]:
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[start : start + _KEYS_AT_ONCE]
            rows = ", ".join(["(?, ?)"] * len(some))
            values = [value for key in some for value in (bucket_of(key), key)]
            query = f"{_LIVE} AND (bucket, key) IN (VALUES {rows})"
            yield from self._read_here(query, (number, *values))

    def _read_here(self, query: str, values: Sequence[object]) -> tuple[Change, ...]:
        with self._here_lock:
            if self._closed:
                raise StoreClosedError(f"{self._file.path}: the store is closed")
            with self._snapshot(self._here):
                return self._packed(self._here, query, values)

    def _packed(
        self, connection: sqlite3.Connection, query: str, values: Sequence[object]
    ) -> tuple[Change, ...]:
        row = connection.execute(f"SELECT {PACKED} FROM ({query})", values).fetchone()  # noqa: S608 - ours
        return unpack_rows(row[0], row[1], self._versions)


def _head(connection: sqlite3.Connection, number: int) -> tuple[Position, Version]:
    row = connection.execute(
        f"SELECT {HEAD_COLUMNS} FROM grp WHERE number = ?",  # noqa: S608 - ours
        (number,),
    ).fetchone()
    return read_head(row)[:2] if row else (Position(), ZERO)


def _digest(connection: sqlite3.Connection, number: int, pinned: Callable[[], None]) -> TableDigest:
    # The first read of a transaction settles what all of it sees.
    position, _ = _head(connection, number)
    pinned()
    buckets = empty_buckets()
    count = 0
    sums = map(int, (connection.execute(_DIGEST, (number,)).fetchone()[0] or "").split())
    for bucket, high, low, records in zip(sums, sums, sums, sums, strict=True):
        buckets[bucket] = ((high << 32) + low) % MODULUS
        count += records
    bad = connection.execute(_SET_ASIDE, (number,)).fetchone()[0]
    return TableDigest(Digest(position.live, count, bad, combine(buckets)), buckets)
