"""The embedded store: the Store interface over one SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from manager.store.errors import StoreClosedError, StoreError
from manager.store.interface import Head, NeedsSnapshot, TableDigest, Watcher
from manager.store.recent import RecentBatches
from manager.store.sqlite.checkpoint import LIMIT, START_AT, Checkpointer
from manager.store.sqlite.file import StoreFile, explain
from manager.store.sqlite.jobs import Applied, ApplyJob, CollectJob, EntryJob
from manager.store.sqlite.reader import Readers
from manager.store.sqlite.transaction import HEAD_COLUMNS, GroupState, read_head
from manager.store.sqlite.writer import Job, Writer
from rui.backup.audit import Listing
from rui.backup.identity import Role, StorageEntry
from rui.backup.messages import Batch, Change, Position, Quarantined, Receipt, Result, Stream
from rui.backup.replica import Join
from rui.backup.table import Page, Slice
from rui.backup.version import ZERO, Epoch, Version

_NO_GROUP = 0
"""A number that no group has: nothing is found of it."""


@dataclass(frozen=True, slots=True)
class SqliteOptions:
    """Bounds of the embedded store; sizes in octets."""

    tombstones: int = 100_000
    """Deletes remembered a group; beyond them the floor rises."""
    recent_bytes: int = 32 << 20
    pending: int = 128
    """Batches that may wait for the disk; further callers of ``apply`` wait their turn."""
    readers: int = 2
    checkpoint_at: int = START_AT
    wal_limit: int = LIMIT
    max_pages: int | None = None
    """Bound of the file in pages of 4,096 octets; None for the disk's own."""


class SqliteStore:
    """See :class:`manager.store.interface.Store`. Made by :func:`open_sqlite`."""

    def __init__(self, file: StoreFile, options: SqliteOptions, contents: _Contents) -> None:
        self._file = file
        self._contents = contents
        self._groups = dict(contents.groups)
        self._recent = RecentBatches(options.recent_bytes)
        self._watchers: list[Watcher] = []
        self._slots = asyncio.Semaphore(options.pending)
        self._closed = False
        self._readers = Readers(file, options.readers)
        self._checkpointer = Checkpointer(file, options.checkpoint_at, options.wal_limit)
        self._writer = Writer(
            file,
            dict(contents.groups),
            keep_tombstones=options.tombstones,
            checkpointer=self._checkpointer,
            committed=self._committed,
        )

    @property
    def store_id(self) -> str:
        """The name made at random when the store was made."""
        return self._file.store_id

    async def groups(self) -> Sequence[str]:
        """Return the groups of which anything is held."""
        return sorted(self._groups)

    async def entries(self, group: str | None = None) -> Sequence[StorageEntry]:
        """Return the storage entries of one group, or of all."""
        entries = self._contents.entries.values()
        return [entry for entry in entries if group is None or entry.group == group]

    async def put_entry(self, entry: StorageEntry) -> None:
        """Keep a storage entry (S403). Raises StoreError."""
        await self._writer.submit(EntryJob(entry))

    async def head(self, group: str) -> Head:
        """Return the group's durable position and floor."""
        state = self._groups.get(group)
        return Head(state.position, state.floor) if state else Head()

    async def position(self, group: str) -> Position:
        """Return the group's durable position."""
        return (await self.head(group)).position

    async def claim(self, group: str, epoch: Epoch) -> Receipt:
        """Make ``epoch`` the group's writer, unless a newer one is known."""
        # A batch without changes at the cursor: judge() decides on claims and uploads alike.
        live = (await self.head(group)).position.live
        return await self.apply(Batch(group, epoch, Stream(live, live), ()))

    async def apply(
        self, batch: Batch, quarantined: Sequence[Quarantined] = (), joins: Join | None = None
    ) -> Receipt:
        """Judge a batch and store it with the new position in one transaction (S503)."""
        async with self._slots:
            try:
                job = ApplyJob.prepare(batch, tuple(quarantined), joins=joins, watched=bool(self._watchers))
                applied = await self._writer.submit(job)
            except (StoreError, OverflowError) as error:
                position = await self.position(batch.group)
                return Receipt(batch.group, Result.FAILED, position, str(error))
        return applied.receipt

    async def since(
        self, group: str, after: Version, limit: int, upto: Version = ZERO
    ) -> Slice | NeedsSnapshot:
        """Return changes behind ``after`` in version order; see the interface. Raises StoreError."""
        recent = self.recent(group, after, limit)
        if recent is not None:
            return recent
        return await self._readers.since(self._number(group), after, limit, upto)

    def recent(self, group: str, after: Version, limit: int) -> Slice | None:
        """Return what :meth:`since` would, where memory reaches back that far."""
        return self._recent.after(group, after, limit)

    async def page(self, group: str, first: int, limit: int) -> Page | None:
        """Return whole buckets from ``first`` on; see the interface. Raises StoreError."""
        return await self._readers.page(self._number(group), first, limit)

    async def digest(self, group: str, pinned: Callable[[], None] | None = None) -> TableDigest:
        """Return the digest of what is held, and its cursor; see the interface. Raises StoreError."""
        loop = asyncio.get_running_loop()

        def settled() -> None:
            if pinned is not None:
                loop.call_soon_threadsafe(pinned)

        return await self._readers.digest(self._number(group), settled)

    async def held(self, group: str, buckets: Sequence[int]) -> Listing:
        """Return version and digest of what is held of some buckets. Raises StoreError."""
        return await self._readers.held(self._number(group), buckets)

    async def quarantined(self, group: str, limit: int) -> Sequence[Quarantined]:
        """Return records that are set aside, oldest first. Raises StoreError."""
        return await self._readers.quarantined(self._number(group), limit)

    def users(
        self,
        group: str,
        keys: Collection[bytes] | None = None,
        *,
        prefix: bytes = b"",
        slice_records: int = 500,
    ) -> Iterator[Change]:
        """Yield live records, slice by slice; see the interface. Raises StoreError."""
        return self._readers.users(self._number(group), keys, prefix, slice_records)

    def watch(self, told: Watcher) -> Callable[[], None]:
        """Have ``told`` called of what is stored; see the interface."""
        self._watchers.append(told)
        return lambda: self._watchers.remove(told)

    def delivered(self, group: str, device: str, cursor: Version) -> None:
        """Note what a secondary has acknowledged; durable a little later."""
        self._contents.deliveries.setdefault(group, {})[device] = cursor
        self._writer.deliver(group, device, cursor)

    async def deliveries(self, group: str) -> Mapping[str, Version]:
        """Return what each secondary has acknowledged, by device."""
        return dict(self._contents.deliveries.get(group, {}))

    async def collect_tombstones(self, group: str, upto: Version) -> int:
        """Forget deletes up to a version; return how many. Raises StoreError."""
        return await self._writer.submit(CollectJob(group, upto))

    async def close(self) -> None:
        """Finish what was handed in, and let go of the files."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        for part in (self._writer, self._checkpointer, self._readers):
            await loop.run_in_executor(None, part.close)
        self._file.release()

    def _number(self, group: str) -> int:
        if self._closed:
            raise StoreClosedError(f"{self._file.path}: the store is closed")
        state = self._groups.get(group)
        return state.number if state else _NO_GROUP

    def _committed(self, changed: dict[str, GroupState], done: Sequence[tuple[Job[object], object]]) -> None:
        """Take what has become durable into memory; in the event loop, before the callers go on."""
        self._groups.update(changed)
        for job, result in done:
            if isinstance(job, EntryJob):
                self._contents.entries[job.entry.group, job.entry.device] = job.entry
            elif isinstance(result, Applied) and result.before is not None:
                if result.joined:
                    self._recent.forget(result.batch.group)
                if result.receipt.position.snapshot is None and isinstance(result.batch.part, Stream):
                    self._recent.add(result.batch, result.before)
                else:
                    self._recent.forget(result.batch.group)
                self._tell(result)

    def _tell(self, applied: Applied) -> None:
        for key, before in applied.replaced.items():
            for told in tuple(self._watchers):
                told(applied.batch.group, key, before)


@dataclass(slots=True)
class _Contents:
    """What is kept in memory: per group and device, nothing per user."""

    groups: dict[str, GroupState]
    entries: dict[tuple[str, str], StorageEntry]
    deliveries: dict[str, dict[str, Version]]


async def open_sqlite(path: Path, options: SqliteOptions | None = None) -> SqliteStore:
    """Open the embedded store at ``path``, or make it there.

    Raises StoreLockedError, StoreCorruptError, StoreVersionError or StoreIOError; the message says what
    to do.
    """
    options = options or SqliteOptions()
    file, contents = await asyncio.get_running_loop().run_in_executor(None, _open, path, options)
    try:
        return SqliteStore(file, options, contents)
    except BaseException:
        file.release()
        raise


def _open(path: Path, options: SqliteOptions) -> tuple[StoreFile, _Contents]:
    file = StoreFile(path, options.max_pages)
    try:
        connection = file.connect(read_only=True)
        try:
            return file, _read_contents(connection)
        except sqlite3.Error as error:
            raise explain(path, error) from error
        finally:
            connection.close()
    except BaseException:
        file.release()
        raise


def _read_contents(connection: sqlite3.Connection) -> _Contents:
    groups: dict[str, GroupState] = {}
    query = f"SELECT number, name, {HEAD_COLUMNS} FROM grp"  # noqa: S608 - ours
    for number, name, *head in connection.execute(query).fetchall():
        position, floor, newest = read_head(head)
        tombstones = connection.execute(
            "SELECT count(*) FROM session WHERE grp = ? AND val IS NULL", (number,)
        ).fetchone()[0]
        groups[name] = GroupState(number, position, floor, newest, tombstones)
    entries: dict[tuple[str, str], StorageEntry] = {}
    for group, device, address, role, epoch, reason, since in connection.execute("SELECT * FROM entry"):
        entries[group, device] = StorageEntry(
            group, device, address, Role(role), Epoch.parse(epoch), reason, since
        )
    deliveries: dict[str, dict[str, Version]] = {}
    for group, device, cursor in connection.execute("SELECT * FROM delivery"):
        deliveries.setdefault(group, {})[device] = Version.parse(cursor)
    return _Contents(groups, entries, deliveries)
