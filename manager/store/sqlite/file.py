"""The store's file: who has it open, what is in it, how it is opened."""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from pathlib import Path

from manager.store.errors import (
    StoreCorruptError,
    StoreError,
    StoreIOError,
    StoreLockedError,
    StoreVersionError,
)

APPLICATION_ID = 0x52554943
SCHEMA_VERSION = 3
BUSY_TIMEOUT = 5.0
"""Seconds to wait for a foreign program that holds SQLite's lock, such as a backup."""

_PRAGMAS = (
    "synchronous = FULL",
    "secure_delete = OFF",
    "wal_autocheckpoint = 0",
    # A statement of many rows notes how to undo itself: in memory that halves its cost.
    "temp_store = MEMORY",
)

# Values lie in insertion order and the indexes are narrow, so that a batch dirties few pages. Versions are
# packed so that octets sort as versions do (codec.py). A tombstone has neither hash nor val. The index by
# version carries what a digest needs, so that it reads no rows.
_ORIGINS = "CREATE INDEX session_origin ON session (grp, version) WHERE origin IS NOT NULL"
_MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE grp ADD COLUMN lineage TEXT NOT NULL DEFAULT '[]'",),
    2: (
        "ALTER TABLE grp ADD COLUMN newest TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE session ADD COLUMN origin BLOB",
        _ORIGINS,
    ),
}
"""By format: what makes the next one of it."""

_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE grp (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    cursor TEXT NOT NULL,
    writer TEXT NOT NULL,
    floor TEXT NOT NULL,
    snapshot_version TEXT,
    snapshot_next INTEGER,
    snapshot_upper TEXT,
    lineage TEXT NOT NULL DEFAULT '[]',
    newest TEXT NOT NULL DEFAULT ''
);
CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    grp INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    key BLOB NOT NULL,
    version BLOB NOT NULL,
    hash INTEGER,
    quarantined TEXT,
    val BLOB,
    origin BLOB
);
CREATE UNIQUE INDEX session_key ON session (grp, bucket, key);
CREATE INDEX session_version ON session (grp, version, bucket, hash);
CREATE INDEX session_deleted ON session (grp, version) WHERE val IS NULL;
CREATE INDEX session_quarantined ON session (grp, version) WHERE quarantined IS NOT NULL;
{_ORIGINS};
CREATE TABLE entry (
    grp TEXT NOT NULL,
    device TEXT NOT NULL,
    address TEXT NOT NULL,
    role TEXT NOT NULL,
    epoch TEXT NOT NULL,
    reason TEXT NOT NULL,
    since REAL NOT NULL,
    PRIMARY KEY (grp, device)
) WITHOUT ROWID;
CREATE TABLE delivery (
    grp TEXT NOT NULL,
    device TEXT NOT NULL,
    cursor TEXT NOT NULL,
    PRIMARY KEY (grp, device)
) WITHOUT ROWID;
"""


class StoreFile:
    """One store file, held by this process alone until :meth:`release`."""

    def __init__(self, path: Path, max_pages: int | None = None) -> None:
        """Take hold of the file and make it if it is missing; ``max_pages`` bounds its size.

        Raises StoreError.
        """
        self.path = path
        self._max_pages = max_pages
        self._lock = _lock(path)
        try:
            _create_private(path)
            self.store_id = self._prepare()
        except BaseException:
            self.release()
            raise

    def connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        """Open one more connection, for use by one thread at a time. Raises StoreError."""
        try:
            connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise explain(self.path, error) from error
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            if self._max_pages is not None:
                connection.execute(f"PRAGMA max_page_count = {self._max_pages}")
            if read_only:
                connection.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            connection.close()
            raise explain(self.path, error) from error
        return connection

    def wal_size(self) -> int:
        """Return the octets in the write-ahead log."""
        try:
            return os.stat(f"{self.path}-wal").st_size  # noqa: PTH116 - once a commit, so the cheap call
        except FileNotFoundError:
            return 0

    def release(self) -> None:
        """Let another process open the file."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _prepare(self) -> str:
        connection = self.connect()
        try:
            return _prepare(connection, self.path)
        except sqlite3.Error as error:
            raise explain(self.path, error) from error
        finally:
            connection.close()


def explain(path: Path, error: sqlite3.Error) -> StoreError:
    """Return the StoreError that says what an error of SQLite means and what to do about it."""
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith("SQLITE_FULL"):
        return StoreIOError(
            f"{path}: no space is left ({error}); free some, the store then goes on by itself"
        )
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreLockedError(f"{path}: another program holds its lock ({error}); end that program")
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreCorruptError(
            f"{path}: damaged, or no store of this program ({error}); stop the manager, then restore the "
            "file, or move it away together with its -wal and -shm files: the routers will fill a new one"
        )
    if code.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_READONLY", "SQLITE_AUTH")):
        return StoreIOError(
            f"{path}: cannot be opened for writing ({error}); check directory and permissions"
        )
    return StoreIOError(
        f"{path}: {error} ({code or type(error).__name__}); check the disk and its free space"
    )


def _prepare(connection: sqlite3.Connection, path: Path) -> str:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if not tables:
        _create(connection)
    elif application != APPLICATION_ID:
        raise StoreCorruptError(f"{path}: a SQLite file, but no store of this program; name another file")
    elif version in _MIGRATIONS:
        connection.execute("BEGIN IMMEDIATE")
        for step in range(version, SCHEMA_VERSION):
            for statement in _MIGRATIONS[step]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    elif version != SCHEMA_VERSION:
        raise StoreVersionError(
            f"{path}: has format {version}, this release reads {SCHEMA_VERSION}; use the release that "
            "made it, or move the file away: the routers will fill a new one"
        )
    # Kept in the file, but not in a copy that a backup program makes.
    connection.execute("PRAGMA journal_mode = WAL")
    return str(connection.execute("SELECT value FROM meta WHERE name = 'store-id'").fetchone()[0])


def _create(connection: sqlite3.Connection) -> None:
    # One transaction: a crash leaves an empty file or a whole store.
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    connection.execute("INSERT INTO meta VALUES ('store-id', ?)", (secrets.token_hex(8),))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _create_private(path: Path) -> None:
    # SQLite gives its other files the permissions of this one; subscribers' data is nobody else's.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreIOError(f"{path}: {error.strerror}; check directory and permissions") from error


def _lock(path: Path) -> int:
    # Not on the store itself: closing any descriptor of it would drop SQLite's own locks.
    lock_path = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreIOError(f"{lock_path}: {error.strerror}; check directory and permissions") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreLockedError(
            f"{path}: in use by another process; stop that one, or name another data directory"
        ) from error
    return descriptor
