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
from typing import NamedTuple

from rui.backup.member_outputs import Answer
from rui.backup.messages import Batch, Offer, Position, Quarantined, Receipt, Result, SnapshotPage
from rui.backup.origins import Origins
from rui.backup.replica import Judgement, judge, supersedes
from rui.backup.table import Table
from rui.backup.version import ZERO, Version

Write = Callable[[bytes, bytes | None], Version]
"""Writes a change of a key under the primary's own epoch; None deletes."""


class TakenOver(NamedTuple):
    """By key: the version of what was written anew, and of what is held instead, since it is newer."""

    written: Mapping[bytes, Version]
    passed_over: Mapping[bytes, Version]


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
        self._positions: dict[tuple[str, bool], tuple[Version, Position]] = {}

    def position(self, offer: Offer) -> Position:
        """Return how far an offer has been taken over."""
        known = self._positions.get((offer.by, offer.live))
        if known is not None and (offer.live or known[0] == offer.shared):
            return known[1]
        return Position(offer.shared)

    def receive(
        self,
        batch: Batch,
        offer: Offer,
        quarantined: tuple[Quarantined, ...],
        tag: object,
        *,
        table: Table,
        write: Write,
    ) -> TakenOver:
        """Take over a batch of an offer, judged as any replica judges one.

        :meth:`durable` then hands out the receipt for ``tag``.
        """
        judgement = judge(self.position(offer), replace(batch, lineage=()))
        found = TakenOver({}, {})
        if judgement.apply:
            found = self._take_over(batch, offer, judgement, table, write)
        self._newest = max([self._newest, *found.written.values(), *found.passed_over.values()])
        receipt = Receipt(
            self._group,
            judgement.result,
            judgement.position,
            judgement.reason,
            quarantined,
            written=self._newest if offer.live else None,
        )
        self._waiting.append((self._newest, Answer(tag, receipt)))
        return found

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
    ) -> TakenOver:
        """Write anew what is newer than what ``table`` holds, or is based on all of it."""
        written: dict[bytes, Version] = {}
        passed_over: dict[bytes, Version] = {}
        for change in batch.changes:
            held = table.get(change.key)
            known = self._origins.of(held)
            if offer.live and known == change.version:
                known = None
            if held is not None and not supersedes(change.version, known):
                passed_over[change.key] = held.version
                continue
            # The end of a user that is not known here too: another replica may hold what came before it
            written[change.key] = write(change.key, change.record)
            self._origins.note(change.key, written[change.key], change.version)
        if judgement.clear is not None:
            for key in _deleted_there(judgement.clear, offer, batch, table):
                written[key] = write(key, None)
        self._positions[offer.by, offer.live] = (offer.shared, judgement.position)
        return TakenOver(written, passed_over)


def _deleted_there(page: SnapshotPage, offer: Offer, batch: Batch, table: Table) -> list[bytes]:
    """Return the keys that the offering replica has seen deleted: shared once, absent from its page."""
    present = {change.key for change in batch.changes}
    return [
        held.key
        for held in table.held_in(page.first, page.last)
        if held.record is not None and held.version <= offer.shared and held.key not in present
    ]
