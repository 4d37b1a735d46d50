"""What the writer thread is given to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from manager.store.sqlite.codec import Value, row_values
from manager.store.sqlite.transaction import Transaction
from rui.backup.cloud_outputs import Join
from rui.backup.identity import StorageEntry
from rui.backup.messages import Batch, Position, Quarantined, Receipt, Result
from rui.backup.replica import judge
from rui.backup.version import Version


class Applied(NamedTuple):
    """What became of a batch; ``before`` is where the live stream stood, None if nothing was stored."""

    receipt: Receipt
    batch: Batch
    before: Version | None


@dataclass(frozen=True, slots=True)
class ApplyJob:
    """Judge a batch and store it (S503)."""

    batch: Batch
    rows: list[Value]
    deletes: int
    quarantined: tuple[Quarantined, ...]

    @classmethod
    def prepare(cls, batch: Batch, quarantined: tuple[Quarantined, ...]) -> ApplyJob:
        """Do what needs no disk. Raises OverflowError where a version does not fit into 64 bits."""
        deletes = sum(change.record is None for change in batch.changes)
        return cls(batch, row_values(0, batch.changes), deletes, quarantined)

    @property
    def records(self) -> int:
        """How many records it writes."""
        return len(self.batch.changes)

    def run(self, transaction: Transaction) -> Applied:
        """Judge it against what this transaction leaves, and store it if that is the answer."""
        batch = self.batch
        before = transaction.group(batch.group).position
        judgement = judge(before, batch)
        stored = judgement.apply and judgement.result is Result.STORED
        if stored:
            transaction.store(batch, self.rows, self.deletes, self.quarantined, judgement)
        elif judgement.apply:
            transaction.move(batch.group, judgement.position)
        receipt = judgement.receipt(batch.group, self.quarantined)
        return Applied(receipt, batch, before.live if stored else None)


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
class JoinJob:
    """Follow the history of a writer that has taken over all that it lacked of what is held."""

    group: str
    join: Join

    @property
    def records(self) -> int:
        """How many records it writes."""
        return 1

    def run(self, transaction: Transaction) -> bool:
        """Write it, unless a newer writer is known; say whether it was written."""
        writer = self.join.writer
        if writer != transaction.group(self.group).position.writer:
            return False
        transaction.move(self.group, Position(self.join.shared, None, writer, self.join.lineage))
        return True


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
