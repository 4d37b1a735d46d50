"""The cloud's store in memory: judged, committed and read as ``manager.store`` is."""

from __future__ import annotations

from collections.abc import Coroutine
from copy import deepcopy
from dataclasses import replace
from typing import Any, TypeVar

from manager.store import NeedsSnapshot
from manager.store.interface import Head
from manager.store.recent import RecentBatches
from rui.backup.identity import StorageEntry
from rui.backup.messages import Batch, Change, Position, Quarantined, Receipt, Result, Stream
from rui.backup.origins import Origins
from rui.backup.replica import Join, judge_joining
from rui.backup.table import Page, Slice
from rui.backup.version import ZERO, Epoch, Version
from rui_cli.sim.router import GROUP
from rui_cli.sim.table import WatchedTable

T = TypeVar("T")


RECENT = 4000
"""Octets of batches in memory: some, so that both ways of reading are gone."""


class CloudStore:
    """What the cloud has on disk of the group. Every method is one transaction."""

    def __init__(self, tombstones: int) -> None:
        self.table = WatchedTable()
        self.position = Position()
        self.entries: dict[str, StorageEntry] = {}
        self.quarantined: dict[bytes, Quarantined] = {}
        self.recent = RecentBatches(RECENT)
        self.newest = ZERO
        self._origins = Origins()
        self._tombstones = tombstones

    def reopen(self) -> None:
        """A new process reads it: nothing is in memory yet."""
        self.recent = RecentBatches(RECENT)

    def copy(self) -> CloudStore:
        """Return a backup of it."""
        ledger, self.table.ledger = self.table.ledger, None
        self.table.looked_up.clear()
        made = deepcopy(self)
        self.table.ledger = ledger
        return made

    def claim(self, group: str, epoch: Epoch) -> Receipt:
        """Make ``epoch`` the writer unless a newer one is known."""
        if epoch < self.position.writer:
            return Receipt(group, Result.REFUSED, self.position, f"superseded by {self.position.writer}")
        self.position = replace(self.position, writer=epoch)
        return Receipt(group, Result.STORED, self.position)

    def keep(self, entry: StorageEntry) -> Receipt:
        """Keep a storage entry (S403)."""
        self.entries[entry.device] = entry
        return Receipt(entry.group, Result.STORED, self.position)

    def apply(self, batch: Batch, quarantined: tuple[Quarantined, ...], joins: Join | None = None) -> Receipt:
        """Judge and store a batch."""
        judgement = judge_joining(self.position, joins, batch, self.newest)
        joined, before = judgement.joined is not None, (judgement.joined or self.position).live
        if judgement.apply:
            self.position = judgement.position
        if judgement.apply and judgement.result is Result.STORED:
            if joined:
                self.recent.forget(GROUP)
            arrived = max([change.version for change in batch.changes], default=ZERO)
            self.newest = arrived if joined else max(self.newest, arrived)
            taken = self.table.apply_all(batch.changes)
            self._origins.recall(taken, batch.origins)
            if self.quarantined or quarantined:
                bad = {entry.key: entry for entry in quarantined}
                for change in taken:
                    self.quarantined.pop(change.key, None)
                    if change.key in bad:
                        self.quarantined[change.key] = bad[change.key]
            if judgement.clear:
                self.table.clear(judgement.clear, {change.key for change in batch.changes})
                for key in [key for key in self.quarantined if key not in self.table]:
                    del self.quarantined[key]
            self.table.trim_tombstones(self._tombstones, self.position.cursor)
            if isinstance(batch.part, Stream) and self.position.snapshot is None:
                self.recent.add(batch, before)
            else:
                self.recent.forget(GROUP)
        return judgement.receipt(batch.group, quarantined)

    def read(self, after: Version, limit: int, upto: Version = ZERO) -> Slice | NeedsSnapshot:
        """Return changes behind a version, from memory where that reaches back; newer ones may go along."""
        return self.recent.after(GROUP, after, limit) or self._rows(after, limit, upto)

    def _rows(self, after: Version, limit: int, upto: Version) -> Slice | NeedsSnapshot:
        table, cursor = self.table, max(self.position.cursor, upto)
        if self.position.snapshot is not None or after >= cursor:
            return Slice((), after, False)
        if after < table.floor:
            return NeedsSnapshot(table.floor)
        held = [change for key in table.held_keys() if (change := table.get(key)) is not None]
        behind = sorted((change for change in held if change.version > after), key=_version)
        changes = tuple(behind[:limit])
        origins = self._origins.among(changes)
        if len(behind) <= limit or changes[-1].version >= cursor:
            return Slice(changes, cursor, False, origins)
        return Slice(changes, changes[-1].version, True, origins)

    def buckets(self, first: int, limit: int) -> Page | None:
        """Return whole buckets."""
        page = None if self.position.snapshot else self.table.page(first, limit, self.table.head)
        return None if page is None else page._replace(origins=self._origins.among(page.changes))

    # What manager.fetch asks of a store; nothing here ever waits, and there is one group

    async def head(self, group: str) -> Head:  # noqa: ARG002
        """Return where the store stands."""
        return Head(self.position, self.table.floor)

    async def since(
        self,
        group: str,  # noqa: ARG002
        after: Version,
        limit: int,
    ) -> Slice | NeedsSnapshot:
        """See :meth:`read`."""
        return self.read(after, limit)

    async def page(self, group: str, first: int, limit: int) -> Page | None:  # noqa: ARG002
        """See :meth:`buckets`."""
        return self.buckets(first, limit)


def _version(change: Change) -> Version:
    return change.version


def answered(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine that never waits comes to."""
    try:
        work.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    raise RuntimeError("a coroutine of the simulated world has waited for something")
