"""The writer thread: takes what waits, does it in one transaction, then answers all of it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from manager.store.errors import StoreClosedError, StoreError
from manager.store.sqlite.checkpoint import Checkpointer
from manager.store.sqlite.file import StoreFile, explain
from manager.store.sqlite.transaction import GroupState, Transaction
from rui.backup.version import Version

_JOBS_AT_ONCE = 64
_RECORDS_AT_ONCE = 8192
_DELIVERY_DELAY = 0.2
"""Seconds that the progress of secondaries may wait for a transaction that is made anyway."""

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")


class Job(Protocol[R_co]):
    """One thing to write; ``run`` may be called again in another transaction when the first one failed."""

    @property
    def records(self) -> int:
        """How many records it writes."""

    def run(self, transaction: Transaction) -> R_co:
        """Do it in this transaction and return what the caller gets once that is durable."""


@dataclass(slots=True)
class _Entry(Generic[R]):
    job: Job[R]
    future: asyncio.Future[R]
    result: R | None = None
    error: StoreError | None = None


class Writer:
    """One thread that writes. ``committed`` is called in the event loop before the callers go on."""

    def __init__(
        self,
        file: StoreFile,
        groups: dict[str, GroupState],
        *,
        keep_tombstones: int,
        checkpointer: Checkpointer,
        committed: Callable[[dict[str, GroupState], Sequence[tuple[Job[object], object]]], None],
    ) -> None:
        self._file = file
        self._groups = groups
        self._keep = keep_tombstones
        self._checkpointer = checkpointer
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._connection = file.connect()
        self._connection.execute("PRAGMA cache_size = -65536")
        # Once the log starts over its file shrinks, so that its size tells how full it is.
        self._connection.execute(f"PRAGMA journal_size_limit = {checkpointer.start_at // 2}")
        self._wake = threading.Condition()
        self._queue: deque[_Entry[object]] = deque()
        self._deliveries: dict[tuple[str, str], Version] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def submit(self, job: Job[R]) -> R:
        """Have a job done and return its result once it is durable. Raises StoreError."""
        future: asyncio.Future[R] = self._loop.create_future()
        with self._wake:
            if self._closing:
                raise StoreClosedError(f"{self._file.path}: the store is closed")
            self._queue.append(_Entry(job, future))  # type: ignore[arg-type]
            self._wake.notify()
        return await future

    def deliver(self, group: str, device: str, cursor: Version) -> None:
        """Have a secondary's progress written with the next transaction, or soon."""
        with self._wake:
            first = not self._deliveries
            self._deliveries[group, device] = cursor
            if first:
                self._wake.notify()

    def close(self) -> None:
        """Do what was handed in, then end the thread. Blocks."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while (entries := self._next()) is not None:
                self._write(entries)
                self._checkpointer.written(self._connection)
        finally:
            self._connection.close()

    def _next(self) -> list[_Entry[object]] | None:
        """Return what waits, empty where only deliveries do, None at the end."""
        with self._wake:
            while not self._queue and not self._closing:
                # Deliveries alone are in no hurry; a job that comes meanwhile takes them along.
                woken = self._wake.wait(_DELIVERY_DELAY if self._deliveries else None)
                if not woken and self._deliveries:
                    return []
            if not self._queue:
                return [] if self._deliveries else None
            entries: list[_Entry[object]] = []
            records = 0
            while self._queue and len(entries) < _JOBS_AT_ONCE and records < _RECORDS_AT_ONCE:
                entry = self._queue.popleft()
                entries.append(entry)
                records += entry.job.records
            return entries

    def _write(self, entries: list[_Entry[object]]) -> None:
        with self._wake:
            deliveries, self._deliveries = self._deliveries, {}
        if self._attempt(entries, deliveries):
            return
        if len(entries) > 1:
            # One of them may be the culprit, or a smaller one may still fit.
            for entry in entries:
                self._attempt([entry], {})
        with self._wake:
            if not self._closing:
                self._deliveries = deliveries | self._deliveries

    def _attempt(self, entries: list[_Entry[object]], deliveries: dict[tuple[str, str], Version]) -> bool:
        transaction = Transaction(self._connection, self._groups, self._keep)
        try:
            for entry in entries:
                entry.result = entry.job.run(transaction)
                entry.error = None
            if deliveries:
                transaction.put_deliveries(deliveries)
            transaction.commit()
        except Exception as error:  # noqa: BLE001 - the thread outlives any one job; its caller gets the error
            self._fail(transaction, entries, error)
            return False
        self._groups.update(transaction.changed)
        self._answer(entries, transaction.changed)
        return True

    def _fail(self, transaction: Transaction, entries: list[_Entry[object]], error: Exception) -> None:
        try:
            transaction.roll_back()
        except sqlite3.Error as second:
            error.add_note(f"and the transaction could not be undone: {second}")
        if len(entries) > 1:
            return
        for entry in entries:
            if isinstance(error, sqlite3.Error):
                entry.error = explain(self._file.path, error)
            else:
                entry.error = StoreError(f"{self._file.path}: {type(error).__name__}: {error}")
            entry.error.__cause__ = error
        self._answer(entries, {})

    def _answer(self, entries: list[_Entry[object]], changed: dict[str, GroupState]) -> None:
        # A loop that has ended without closing the store has nobody left who waits.
        if entries and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish, entries, changed)

    def _finish(self, entries: list[_Entry[object]], changed: dict[str, GroupState]) -> None:
        self._committed(changed, [(entry.job, entry.result) for entry in entries if entry.error is None])
        for entry in entries:
            if entry.future.done():
                continue  # its caller has been cancelled
            if entry.error is not None:
                entry.future.set_exception(entry.error)
            else:
                entry.future.set_result(entry.result)
