"""A replica in memory: what a cloud or a secondary holds once a batch is durable."""

from __future__ import annotations

from dataclasses import dataclass, field

from rui.backup.messages import Batch, Position, Receipt, Result
from rui.backup.replica import judge
from rui.backup.table import Table


@dataclass
class Replica:
    """A table with its position; every batch is judged as the product judges it, and is durable at once."""

    table: Table = field(default_factory=Table)
    position: Position = field(default_factory=Position)

    def apply(self, batch: Batch) -> Receipt:
        """Take a batch; return the receipt."""
        judgement = judge(self.position, batch)
        if judgement.apply and judgement.result is not Result.STORED:
            self.position = judgement.position
        elif judgement.apply:
            for change in batch.changes:
                self.table.apply(change)
            if judgement.clear:
                self.table.clear(judgement.clear, {change.key for change in batch.changes})
            self.position = judgement.position
        return judgement.receipt(batch.group)
