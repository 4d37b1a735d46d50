"""What the writer thread is given to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

from manager.store.sqlite.codec import COLUMNS, VERSION, Value, VersionReader, row_values
from manager.store.sqlite.transaction import Transaction
from rui.backup.identity import StorageEntry
from rui.backup.messages import Batch, Quarantined, Receipt, Result
from rui.backup.replica import Join, judge_joining
from rui.backup.version import ZERO, Version


class Applied(NamedTuple):
    """What became of a batch; ``before`` is where the live stream stood, None if nothing was stored.

    ``joined`` says that another history is followed with it; ``replaced`` are the records until then, by
    key, where somebody wants to know.
    """

    receipt: Receipt
    batch: Batch
    before: Version | None
    replaced: Mapping[bytes, bytes | None]
    joined: bool = False


@dataclass(frozen=True, slots=True)
class ApplyJob:
    """Judge a batch and store it (S503)."""

    batch: Batch
    rows: list[Value]
    deletes: int
    newest: Version
    quarantined: tuple[Quarantined, ...]
    joins: Join | None
    watched: bool

    @classmethod
    def prepare(
        cls, batch: Batch, quarantined: tuple[Quarantined, ...], *, joins: Join | None = None, watched: bool
    ) -> ApplyJob:
        """Do what needs no disk. Raises OverflowError where a version does not fit into 64 bits.

        ``watched`` says that somebody wants to know what was held until then.
        """
        deletes = sum(change.record is None for change in batch.changes)
        rows = row_values(0, batch.changes)
        # Packed versions sort as versions do
        newest = max(cast("list[bytes]", rows[VERSION::COLUMNS]), default=None)
        held = ZERO if newest is None else VersionReader().unpack(newest)
        return cls(batch, rows, deletes, held, quarantined, joins, watched)

    @property
    def records(self) -> int:
        """How many records it writes."""
        return len(self.batch.changes)

    def run(self, transaction: Transaction) -> Applied:
        """Judge it against what this transaction leaves, and store it if that is the answer."""
        batch = self.batch
        state = transaction.group(batch.group)
        judgement = judge_joining(state.position, self.joins, batch, state.newest)
        before, newest = state.position, state.newest
        if judgement.joined is not None:
            before, newest = judgement.joined, ZERO
        stored = judgement.apply and judgement.result is Result.STORED
        replaced: Mapping[bytes, bytes | None] = {}
        if stored:
            if self.watched:
                keys = [change.key for change in batch.changes]
                replaced = transaction.replaced(batch.group, keys, judgement.clear)
            newest = max(newest, self.newest)
            transaction.store(batch, self.rows, self.deletes, self.quarantined, judgement, newest=newest)
        elif judgement.apply:
            transaction.move(batch.group, judgement.position)
        receipt = judgement.receipt(batch.group, self.quarantined)
        return Applied(
            receipt, batch, before.live if stored else None, replaced, judgement.joined is not None
        )


@dataclass(frozen=True, slots=True)
class EntryJob:
    """Keep a storage entry (S403)."""

    entry: StorageEntry

    @property
    def records(self) -> int:
        """How many records it writes."""
        return 1

    def run(self, transaction: Transaction) -> None:
        """Write it."""
        transaction.put_entry(self.entry)


@dataclass(frozen=True, slots=True)
class CollectJob:
    """Forget deletes that no replica needs any more."""

    group: str
    upto: Version

    @property
    def records(self) -> int:
        """How many records it writes; unknown, so as few as possible."""
        return 1

    def run(self, transaction: Transaction) -> int:
        """Forget them and return how many."""
        return transaction.collect(self.group, self.upto)
