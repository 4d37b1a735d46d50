"""One write transaction: everything that several jobs do between BEGIN and COMMIT."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from manager.store.sqlite.codec import COLUMNS, Value, VersionReader, pack_version
from rui.backup import lineage
from rui.backup.identity import StorageEntry
from rui.backup.messages import Batch, Position, Quarantined, SnapshotPage, SnapshotProgress, bucket_of
from rui.backup.replica import Judgement
from rui.backup.version import ZERO, Epoch, Version

# The guard is rui.backup.replica.supersedes, where the rows are; a test holds them together.
_UPSERT = (
    "INSERT INTO session (grp, bucket, key, version, hash, val) VALUES {rows} "
    "ON CONFLICT (grp, bucket, key) DO UPDATE SET version = excluded.version, hash = excluded.hash, "
    "quarantined = NULL, origin = NULL, val = excluded.val WHERE excluded.version > session.version"
)
_ROWS_A_STATEMENT = (1000, 500, 200, 100, 50, 20, 10, 5, 2, 1)
_UPSERTS = tuple(
    (rows, _UPSERT.format(rows=", ".join(["(?, ?, ?, ?, ?, ?)"] * rows))) for rows in _ROWS_A_STATEMENT
)
_CLEAR = (
    "DELETE FROM session WHERE grp = ? AND bucket BETWEEN ? AND ? AND version <= ? AND val IS NOT NULL "
    "AND hex(key) NOT IN (SELECT value FROM json_each(?))"
)
_WRITE_HEAD = (
    "INSERT INTO grp VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET "
    "cursor = excluded.cursor, writer = excluded.writer, floor = excluded.floor, "
    "snapshot_version = excluded.snapshot_version, snapshot_next = excluded.snapshot_next, "
    "snapshot_upper = excluded.snapshot_upper, lineage = excluded.lineage, newest = excluded.newest"
)
_COLLECT_AT_ONCE = 2000
_RECORDS = "SELECT key, val FROM session WHERE grp = ? AND val IS NOT NULL"
_KEYS_AT_ONCE = 200


_NOWHERE = Position()


@dataclass(frozen=True, slots=True)
class GroupState:
    """What the writer knows of a group.

    ``newest`` is the newest version that is held of the history that is followed.
    ``tombstones`` is never less than the number that is kept; above ``count_at`` they are counted again.
    """

    number: int
    position: Position = _NOWHERE
    floor: Version = ZERO
    newest: Version = ZERO
    tombstones: int = 0
    count_at: int = 0


class Transaction:
    """Collects what jobs write, and begins a transaction of SQLite's only when something is written."""

    def __init__(self, connection: sqlite3.Connection, groups: Mapping[str, GroupState], keep: int) -> None:
        self._connection = connection
        self._groups = groups
        self._keep = keep
        self.changed: dict[str, GroupState] = {}
        self._rows: dict[int, list[Value]] = {}
        self._begun = False

    def group(self, name: str) -> GroupState:
        """Return a group as the jobs before in this transaction have left it."""
        state = self.changed.get(name) or self._groups.get(name)
        if state is None:
            taken = [held.number for held in (*self._groups.values(), *self.changed.values())]
            state = GroupState(max(taken, default=0) + 1)
        return state

    def store(
        self,
        batch: Batch,
        rows: list[Value],
        deletes: int,
        quarantined: Sequence[Quarantined],
        judgement: Judgement,
        *,
        newest: Version,
    ) -> None:
        """Store a batch that was judged worth it, and move the group to the judgement's position.

        ``newest`` is the newest version that is held then.
        ``rows`` are the changes' :func:`~manager.store.sqlite.codec.row_values`, whatever the number in them.
        """
        self.begin()
        state = self.group(batch.group)
        clear = judgement.clear
        rows[::COLUMNS] = [state.number] * (len(rows) // COLUMNS)
        self._rows.setdefault(state.number, []).extend(rows)
        floor = state.floor
        if clear is not None or quarantined or batch.origins:
            self._flush(state.number)
        if clear is not None:
            self._clear(state.number, clear, batch)
            # What is cleared leaves no tombstones, so nobody behind it can be told of it by the stream.
            floor = max(floor, clear.version)
        if quarantined:
            self._mark(state.number, quarantined)
        if batch.origins:
            self._note(state.number, batch)
        self.changed[batch.group] = replace(
            state,
            position=judgement.position,
            floor=floor,
            newest=newest,
            tombstones=state.tombstones + deletes,
        )

    def replaced(
        self, group: str, keys: Sequence[bytes], clear: SnapshotPage | None
    ) -> dict[bytes, bytes | None]:
        """Return the records of the keys, and of what a page may clear, as they are before a batch."""
        number = self.group(group).number
        self._flush(number)
        found: dict[bytes, bytes | None] = dict.fromkeys(keys)
        execute = self._connection.execute
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[start : start + _KEYS_AT_ONCE]
            rows = ", ".join(["(?, ?)"] * len(some))
            query = f"{_RECORDS} AND (bucket, key) IN (VALUES {rows})"
            found.update(execute(query, [number, *(part for key in some for part in (bucket_of(key), key))]))
        if clear is not None:
            found.update(execute(f"{_RECORDS} AND bucket BETWEEN ? AND ?", (number, clear.first, clear.last)))
        return found

    def move(self, group: str, position: Position) -> None:
        """Write a group's position alone."""
        self.begin()
        self.changed[group] = replace(self.group(group), position=position)

    def put_entry(self, entry: StorageEntry) -> None:
        """Write a storage entry."""
        self.begin()
        self._connection.execute(
            "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                entry.group,
                entry.device,
                entry.address,
                entry.role.value,
                str(entry.epoch),
                entry.reason,
                entry.since,
            ),
        )

    def put_deliveries(self, deliveries: Mapping[tuple[str, str], Version]) -> None:
        """Write how far secondaries have been served."""
        self.begin()
        self._connection.executemany(
            "INSERT OR REPLACE INTO delivery VALUES (?, ?, ?)",
            [(group, device, str(cursor)) for (group, device), cursor in deliveries.items()],
        )

    def collect(self, name: str, upto: Version) -> int:
        """Delete a group's tombstones up to a version, not above its cursor; return how many."""
        state = self.group(name)
        upto = min(upto, state.position.cursor)
        self._flush(state.number)
        newest = self._connection.execute(
            "SELECT max(version) FROM session WHERE grp = ? AND version <= ? AND val IS NULL",
            (state.number, pack_version(upto)),
        ).fetchone()[0]
        if newest is None:
            return 0
        self.begin()
        deleted = self._connection.execute(
            "DELETE FROM session WHERE grp = ? AND version <= ? AND val IS NULL", (state.number, newest)
        ).rowcount
        self.changed[name] = replace(
            state,
            floor=max(state.floor, VersionReader().unpack(newest)),
            tombstones=max(0, state.tombstones - deleted),
        )
        return deleted

    def commit(self) -> None:
        """Make everything durable. Raises sqlite3.Error; then nothing of it is held."""
        if not self._begun:
            return
        for number in list(self._rows):
            self._flush(number)
        for name, state in list(self.changed.items()):
            if state.tombstones > max(self._keep, state.count_at):
                self._bound_tombstones(name, state)
        for name, state in self.changed.items():
            self._connection.execute(_WRITE_HEAD, _head_values(name, state))
        self._connection.execute("COMMIT")

    def roll_back(self) -> None:
        """Undo everything. SQLite has done so itself after some errors."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def begin(self) -> None:
        """Begin the transaction of SQLite's unless it has begun."""
        if not self._begun:
            self._connection.execute("BEGIN IMMEDIATE")
            self._begun = True

    def _flush(self, number: int) -> None:
        values = self._rows.pop(number, None)
        if not values:
            return
        start, end = 0, len(values)
        execute = self._connection.execute
        for rows, statement in _UPSERTS:
            width = rows * COLUMNS
            while end - start >= width:
                execute(statement, values[start : start + width])
                start += width

    def _clear(self, number: int, page: SnapshotPage, batch: Batch) -> None:
        present = json.dumps([change.key.hex().upper() for change in batch.changes])
        self._connection.execute(_CLEAR, (number, page.first, page.last, pack_version(page.version), present))

    def _mark(self, number: int, quarantined: Sequence[Quarantined]) -> None:
        self._connection.executemany(
            "UPDATE session SET quarantined = ? WHERE grp = ? AND bucket = ? AND key = ? AND version = ?",
            [
                (bad.reason, number, bucket_of(bad.key), bad.key, pack_version(bad.version))
                for bad in quarantined
            ],
        )

    def _note(self, number: int, batch: Batch) -> None:
        """Keep the origins of what a primary has taken over with the rows (rui.backup.origins)."""
        self._connection.executemany(
            "UPDATE session SET origin = ? WHERE grp = ? AND bucket = ? AND key = ? AND version = ?",
            [
                (pack_version(batch.origins[key]), number, bucket_of(key), key, pack_version(version))
                for key, version, _ in batch.changes
                if key in batch.origins
            ],
        )

    def _bound_tombstones(self, name: str, state: GroupState) -> None:
        """Forget the oldest deletes beyond the bound, few at once so that nobody waits long."""
        count = self._connection.execute(
            "SELECT count(*) FROM session WHERE grp = ? AND val IS NULL", (state.number,)
        ).fetchone()[0]
        self.changed[name] = replace(state, tombstones=count, count_at=0)
        excess = count - self._keep
        if excess <= 0:
            return
        # A little more than the excess, or the next delete would be here again.
        forget = min(excess + min(self._keep // 50, _COLLECT_AT_ONCE), count)
        version = self._connection.execute(
            "SELECT version FROM session WHERE grp = ? AND val IS NULL ORDER BY version LIMIT 1 OFFSET ?",
            (state.number, forget - 1),
        ).fetchone()[0]
        self.collect(name, VersionReader().unpack(version))
        left = self.changed[name]
        if left.tombstones > self._keep:
            # Those above the cursor have to stay, and are not worth a count at every commit.
            self.changed[name] = replace(left, count_at=left.tombstones + self._keep // 50)


def _head_values(name: str, state: GroupState) -> tuple[Value, ...]:
    position = state.position
    progress = position.snapshot
    snapshot: tuple[Value, ...] = (None, None, None)
    if progress is not None:
        snapshot = (str(progress.version), progress.next_bucket, str(progress.upper))
    return (
        state.number,
        name,
        str(position.cursor),
        str(position.writer),
        str(state.floor),
        *snapshot,
        json.dumps([str(fork) for fork in position.lineage]),
        str(state.newest),
    )


HEAD_COLUMNS = "cursor, writer, floor, snapshot_version, snapshot_next, snapshot_upper, lineage, newest"


def read_head(row: Sequence[Value]) -> tuple[Position, Version, Version]:
    """Return the position, the floor and the newest version held, from ``HEAD_COLUMNS``."""
    cursor, writer, floor, version, following, upper, forks, newest = row
    progress = None
    if version is not None:
        progress = SnapshotProgress(
            Version.parse(str(version)), int(str(following)), Version.parse(str(upper))
        )
    history = lineage.parse(json.loads(str(forks)))
    position = Position(Version.parse(str(cursor)), progress, Epoch.parse(str(writer)), history)
    return position, Version.parse(str(floor)), Version.parse(str(newest))
