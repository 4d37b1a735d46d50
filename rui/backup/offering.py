"""A replica's offer to the primary: the sending end of :mod:`rui.backup.adoption`.

It begins when a batch of the primary shows that the histories differ, goes the way that the batch came, and
ends when the primary has durably taken over everything up to ``until``. Then the replica follows the
primary's history, from where both are the same.
"""

from __future__ import annotations

from dataclasses import replace

from rui.backup.copies import next_batch
from rui.backup.messages import Batch, Offer, Position, Receipt, Result
from rui.backup.replica import Join
from rui.backup.source import Source, SourceOptions, SourceState
from rui.backup.table import Table
from rui.backup.version import Version


class Offering:
    """One offer. ``via`` names the way to the primary: the cloud, or the primary itself."""

    def __init__(
        self, batch: Batch, offer: Offer, *, via: str, own: Position, floor: Version, options: SourceOptions
    ) -> None:
        """``batch`` is the one that has shown the other history; ``own`` and ``floor`` are the replica's."""
        self.offer = offer
        self.writer = batch.writer
        self.lineage = batch.lineage
        # What is held beyond the cursor belongs to no history of which this replica has seen all
        self._own = own.lineage if own.live == offer.until else ()
        self.via = via
        self.source = Source(batch.group, options)
        self.source.connect(Position(offer.shared), batch.writer, offer.until, self._floor(floor))

    def next(self, table: Table, now: float) -> Batch | None:
        """Return the next batch for the primary, None if nothing may go out now."""
        batch = next_batch(self.source, table, self.offer.until, self._floor(table.floor), now)
        return None if batch is None else replace(batch, lineage=self._own, offer=self.offer)

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

    @property
    def joins(self) -> Join:
        """The primary's history, which the replica follows then."""
        return Join(self.writer, self.lineage, self.offer.shared)

    @property
    def refused(self) -> bool:
        """Whether the primary is not the one that the offer is for, or no primary any more."""
        return self.source.state is SourceState.REFUSED


class Offers:
    """The offer that a replica makes, if it makes one: one at a time, to the newest primary that it knows."""

    def __init__(self, options: SourceOptions) -> None:
        self.current: Offering | None = None
        self._options = options

    def begin(self, offer: Offer, batch: Batch, via: str, own: Position, floor: Version) -> None:
        """Offer to the writer of ``batch``, unless that is under way."""
        if self.current is None or self.current.writer < batch.writer:
            self.current = Offering(batch, offer, via=via, own=own, floor=floor, options=self._options)

    @property
    def source(self) -> Source | None:
        """What sends the offer, None while there is none."""
        return None if self.current is None else self.current.source

    def next(self, via: str, table: Table, now: float) -> Batch | None:
        """Return the next batch that goes this way, None if nothing may go out now."""
        offering = self.current
        return offering.next(table, now) if offering is not None and offering.via == via else None

    def receive(self, via: str, receipt: Receipt, table: Table, now: float) -> Join | None:
        """Take the primary's receipt; once it has all, return what the replica follows then."""
        offering = self.current
        if offering is None or offering.via != via:
            return None
        offering.receive(receipt, table, now)
        if not (offering.refused or offering.done):
            return None
        self.current = None
        return offering.joins if offering.done else None

    def end(self, via: str) -> None:
        """The way is gone; the next batch that shows another history begins the offer again."""
        if self.current is not None and self.current.via == via:
            self.current = None

    def drop(self) -> None:
        """There is nothing to offer any more, or nobody to offer it to."""
        self.current = None


def refusal(batch: Batch, reason: str) -> Receipt:
    """Return the receipt for an offer that reaches somebody who is not its primary."""
    return Receipt(batch.group, Result.REFUSED, Position(), reason)
