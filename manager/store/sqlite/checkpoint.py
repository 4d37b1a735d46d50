"""Checkpoints: what is in the write-ahead log moves into the file, so that the log is bounded."""

from __future__ import annotations

import sqlite3
import threading

import structlog

from manager.store.sqlite.file import BUSY_TIMEOUT, StoreFile, explain

log = structlog.get_logger(__name__)

START_AT = 16 << 20
"""Octets of log from which on a checkpoint runs beside the writer."""
LIMIT = 64 << 20
"""Octets of log at which the writer waits for one."""
_WAIT_FOR_READERS_MS = 250


class Checkpointer:
    """A thread that checkpoints when it is told that the log has grown."""

    def __init__(self, file: StoreFile, start_at: int = START_AT, limit: int = LIMIT) -> None:
        self._file = file
        self.start_at = start_at
        self._limit = limit
        self._next_limit = limit
        # SQLite lets one checkpoint run, and turns a second one away instead of having it wait.
        self._running = threading.Lock()
        self._connection = file.connect()
        self._wanted = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="store-checkpoint", daemon=True)
        self._thread.start()

    def written(self, writer: sqlite3.Connection) -> None:
        """Look at the log's size after a transaction; called by the writer, with its connection."""
        size = self._file.wal_size()
        if size > self.start_at:
            self._wanted.set()
        if size < self._limit:
            self._next_limit = self._limit
        elif size >= self._next_limit:
            # A reader may keep the log from starting over; then the writer goes on for another quarter.
            self._next_limit = size + self._limit // 4
            self._restart(writer)

    def close(self) -> None:
        """End the thread. Blocks while a checkpoint runs."""
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def _restart(self, writer: sqlite3.Connection) -> None:
        try:
            writer.execute(f"PRAGMA busy_timeout = {_WAIT_FOR_READERS_MS}")
            with self._running:
                writer.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        except sqlite3.Error as error:
            log.warning("store-checkpoint-failed", reason=str(explain(self._file.path, error)))
        finally:
            writer.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")

    def _run(self) -> None:
        try:
            while True:
                self._wanted.wait()
                self._wanted.clear()
                if self._closing:
                    return
                try:
                    with self._running:
                        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                except sqlite3.Error as error:
                    # The log keeps what is durable; the next commit asks again.
                    log.warning("store-checkpoint-failed", reason=str(explain(self._file.path, error)))
        finally:
            self._connection.close()
