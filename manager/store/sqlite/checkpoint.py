"""Checkpoints: what is in the write-ahead log moves into the file, so that the log is bounded.

The log starts over at the first write after everything in it has moved. Beside a busy writer a checkpoint
never gets that far, so it is done in two steps: this thread moves the bulk, then the writer the little
that came meanwhile.
"""

from __future__ import annotations

import sqlite3
import threading

import structlog

from manager.store.sqlite.file import BUSY_TIMEOUT, StoreFile, explain

log = structlog.get_logger(__name__)

START_AT = 16 << 20
"""Octets of log from which on a checkpoint runs beside the writer, and again after as many more."""
LIMIT = 64 << 20
"""Octets of log at which the writer waits for readers that keep it from starting over."""
_WAIT_FOR_READERS_MS = 250


class Checkpointer:
    """A thread that checkpoints when it is told that the log has grown."""

    def __init__(self, file: StoreFile, start_at: int = START_AT, limit: int = LIMIT) -> None:
        self._file = file
        self.start_at = start_at
        self._limit = limit
        self._next_start = start_at
        self._next_limit = limit
        # SQLite lets one checkpoint run, and turns a second one away instead of having it wait.
        self._running = threading.Lock()
        self._connection = file.connect()
        self._wanted = threading.Event()
        self._moved = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="store-checkpoint", daemon=True)
        self._thread.start()

    def written(self, writer: sqlite3.Connection) -> None:
        """Look at the log's size after a transaction; called by the writer, with its connection."""
        size = self._file.wal_size()
        if size < self.start_at:
            self._next_start, self._next_limit = self.start_at, self._limit
        elif size >= self._next_limit:
            # A reader may keep the log from starting over; then the writer goes on for another quarter.
            self._next_limit = size + self._limit // 4
            self._start_over(writer)
        elif self._moved:
            self._moved = False
            self._checkpoint(writer, "PASSIVE")
        elif size >= self._next_start:
            self._next_start = size + self.start_at
            self._wanted.set()

    def close(self) -> None:
        """End the thread. Blocks while a checkpoint runs."""
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def _start_over(self, writer: sqlite3.Connection) -> None:
        writer.execute(f"PRAGMA busy_timeout = {_WAIT_FOR_READERS_MS}")
        self._checkpoint(writer, "RESTART")
        writer.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")

    def _checkpoint(self, connection: sqlite3.Connection, mode: str) -> None:
        try:
            with self._running:
                connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        except sqlite3.Error as error:
            # The log keeps what is durable; the next one is tried when it has grown further.
            log.warning("store-checkpoint-failed", reason=str(explain(self._file.path, error)))

    def _run(self) -> None:
        try:
            while True:
                self._wanted.wait()
                self._wanted.clear()
                if self._closing:
                    return
                self._checkpoint(self._connection, "PASSIVE")
                self._moved = True
        finally:
            self._connection.close()
