"""What a primary takes over of what replicas hold beyond its own history (DESIGN, adoption and offers).

A replica whose history has left the primary's offers what lies behind the point that both share: changes of
the former primary that had not reached this one when it took over, or that a lost journal had held. The
primary writes them anew under its own epoch, unless it knows something newer of the key; so they reach every
replica by the one stream that all of them follow. Several replicas may offer the same key: the newest change
counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from rui.backup.member_outputs import Answer
from rui.backup.messages import Batch, Offer, Position, Quarantined, Receipt, Result, SnapshotPage
from rui.backup.origins import Origins
from rui.backup.replica import Judgement, judge, supersedes
from rui.backup.table import Table
from rui.backup.version import ZERO, Version

Write = Callable[[bytes, bytes | None], Version]
"""Writes a change of a key under the primary's own epoch; None deletes."""


class Adoption:
    """The offers to one primary, as long as it holds the role.

    A newer epoch begins them again: an offer can be repeated.
    """

    def __init__(self, group: str, origins: Origins) -> None:
        self._group = group
        self._origins = origins
        # Receipts that wait until what was written for them is durable, in that order.
        self._waiting: deque[tuple[Version, Answer]] = deque()
        self._newest = ZERO
        self._positions: dict[str, tuple[Version, Position]] = {}

    def position(self, offer: Offer) -> Position:
        """Return how far an offer has been taken over."""
        known = self._positions.get(offer.by)
        return known[1] if known is not None and known[0] == offer.shared else Position(offer.shared)

    def receive(
        self,
        batch: Batch,
        offer: Offer,
        quarantined: tuple[Quarantined, ...],
        tag: object,
        *,
        table: Table,
        write: Write,
    ) -> Mapping[bytes, Version]:
        """Take over a batch of an offer, judged as any replica judges one.

        Return what was written anew, by key; :meth:`durable` then hands out the receipt for ``tag``.
        """
        judgement = judge(self.position(offer), replace(batch, lineage=()))
        written = self._take_over(batch, offer, judgement, table, write) if judgement.apply else {}
        self._newest = max([self._newest, *written.values()])
        receipt = Receipt(self._group, judgement.result, judgement.position, judgement.reason, quarantined)
        self._waiting.append((self._newest, Answer(tag, receipt)))
        return written

    def durable(self, upto: Version) -> list[Answer]:
        """Return the receipts for all that is durable up to a version."""
        found = []
        while self._waiting and self._waiting[0][0] <= upto:
            found.append(self._waiting.popleft()[1])
        return found

    def give_up(self, reason: str) -> list[Answer]:
        """Return the answers to all that waits: this device is primary no longer."""
        found = [answer for _, answer in self._waiting]
        self._waiting.clear()
        return [
            replace(answer, receipt=replace(answer.receipt, result=Result.REFUSED, reason=reason))
            for answer in found
        ]

    def begin_again(self) -> list[Answer]:
        """The primary has claimed a newer epoch, to which everybody offers anew; return the answers to all
        that waits.
        """
        self._positions.clear()
        return self.give_up("a newer epoch was claimed meanwhile: offer it again")

    def _take_over(
        self, batch: Batch, offer: Offer, judgement: Judgement, table: Table, write: Write
    ) -> dict[bytes, Version]:
        """Write anew what is newer than what ``table`` holds; return the new versions by key."""
        written: dict[bytes, Version] = {}
        for change in batch.changes:
            if not supersedes(change.version, self._origins.of(table.get(change.key))):
                continue
            # The end of a user that is not known here too: another replica may hold what came before it
            written[change.key] = write(change.key, change.record)
            self._origins.note(change.key, written[change.key], change.version)
        if judgement.clear is not None:
            for key in _deleted_there(judgement.clear, offer, batch, table):
                written[key] = write(key, None)
        self._positions[offer.by] = (offer.shared, judgement.position)
        return written


def _deleted_there(page: SnapshotPage, offer: Offer, batch: Batch, table: Table) -> list[bytes]:
    """Return the keys that the offering replica has seen deleted: shared once, absent from its page."""
    present = {change.key for change in batch.changes}
    return [
        held.key
        for held in table.held_in(page.first, page.last)
        if held.record is not None and held.version <= offer.shared and held.key not in present
    ]
