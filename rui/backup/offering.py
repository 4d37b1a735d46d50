"""A replica's offer to the primary: the sending end of :mod:`rui.backup.adoption`.

It begins when a batch of the primary shows that the histories differ, goes the way that the batch came, and
ends when the primary has durably taken over everything up to ``until``. Then the replica follows the
primary's history, from where both are the same.
"""

from __future__ import annotations

from dataclasses import replace

from rui.backup.copies import next_batch
from rui.backup.messages import Batch, Offer, Position, Receipt, Result
from rui.backup.source import Source, SourceOptions, SourceState
from rui.backup.table import Table
from rui.backup.version import Version


class Offering:
    """One offer. ``via`` names the way to the primary: the cloud, or the primary itself."""

    def __init__(
        self, batch: Batch, offer: Offer, *, via: str, floor: Version, options: SourceOptions
    ) -> None:
        """``batch`` is the one that has shown the other history; ``floor`` is the table's."""
        self.offer = offer
        self.writer = batch.writer
        self.lineage = batch.lineage
        self.via = via
        self.source = Source(batch.group, options)
        self.source.connect(Position(offer.shared), batch.writer, offer.until, self._floor(floor))

    def next(self, table: Table, now: float) -> Batch | None:
        """Return the next batch for the primary, None if nothing may go out now."""
        batch = next_batch(self.source, table, self.offer.until, self._floor(table.floor), now)
        return None if batch is None else replace(batch, offer=self.offer)

    def receive(self, receipt: Receipt, table: Table, now: float) -> None:
        """Take the primary's receipt."""
        floor = self._floor(table.floor)
        self.source.receive(receipt, self.offer.until, floor, table.complete_from, now)

    def handle_timer(self, table: Table, now: float) -> None:
        """Try again what the primary could not take."""
        self.source.handle_timer(self.offer.until, self._floor(table.floor), now)

    def _floor(self, floor: Version) -> Version:
        """Deletes that are forgotten beyond the offer's end cannot be offered, and no snapshot would tell."""
        return min(floor, self.offer.until)

    @property
    def done(self) -> bool:
        """Whether the primary has durably taken over all of it."""
        position = self.source.position
        return position.snapshot is None and position.cursor >= self.offer.until

    def joined(self, position: Position) -> Position:
        """Return the position of a replica that goes over to the primary's history."""
        return Position(self.offer.shared, None, position.writer, self.lineage)

    @property
    def refused(self) -> bool:
        """Whether the primary is not the one that the offer is for, or no primary any more."""
        return self.source.state is SourceState.REFUSED


def refusal(batch: Batch, reason: str) -> Receipt:
    """Return the receipt for an offer that reaches somebody who is not its primary."""
    return Receipt(batch.group, Result.REFUSED, Position(), reason)
