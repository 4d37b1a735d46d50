"""What a primary takes over of what replicas hold beyond its own history (DESIGN, adoption and offers).

A replica whose history has left the primary's offers what lies behind the point that both share: changes of
the former primary that had not reached this one when it took over, or that a lost journal had held. The
primary writes them anew under its own epoch, unless it knows something newer of the key; so they reach every
replica by the one stream that all of them follow. Several replicas may offer the same key: the newest change
counts.

A delete whose tombstone is forgotten can be compared with nothing. So nobody is brought back of whom the
primary's own history has been through the record, or who may have logged off here under a newer version that
is forgotten; and who is absent at an offering replica has logged off where that replica's history has been
through the record, whichever replica's offer comes first. Who is neither is reported (:class:`TakenOver`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from rui.backup.lineage import MAX_FORKS, Lineage, holds
from rui.backup.member_outputs import Answer
from rui.backup.messages import (
    Batch,
    Change,
    Offer,
    Position,
    Quarantined,
    Receipt,
    Result,
    SnapshotPage,
    bucket_of,
)
from rui.backup.origins import Origins
from rui.backup.replica import Judgement, judge, supersedes
from rui.backup.table import Table
from rui.backup.version import ZERO, Version

Write = Callable[[bytes, bytes | None], Version]
"""Writes a change of a key under the primary's own epoch; None deletes."""


class Own(NamedTuple):
    """What the primary compares an offer with, its history, and how it writes."""

    table: Table
    lineage: Lineage
    write: Write
    again: Callable[[Change], Version]
    """Writes what is held once more, under a new version."""


class TakenOver(NamedTuple):
    """By key: the version of what was written anew, and of what is held instead, since it is newer.

    Of ``unsure`` users it is not known whether they have logged off: who is only offered is ended here unless
    the version is newer than all that is forgotten, who is only held here stays.
    """

    written: Mapping[bytes, Version]
    passed_over: Mapping[bytes, Version]
    unsure: tuple[bytes, ...] = ()


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
        self._seen: dict[str, _Seen] = {}

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
        own: Own,
    ) -> TakenOver:
        """Take over a batch of an offer, judged as any replica judges one.

        :meth:`durable` then hands out the receipt for ``tag``.
        """
        judgement = judge(self.position(offer), replace(batch, lineage=()))
        found = TakenOver({}, {})
        if judgement.apply:
            found = self._take_over(batch, offer, judgement, own)
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
        self._seen.clear()
        return self.give_up("a newer epoch was claimed meanwhile: offer it again")

    def _take_over(self, batch: Batch, offer: Offer, judgement: Judgement, own: Own) -> TakenOver:
        """Write anew what is newer than what is held here, or is based on all of it."""
        written: dict[bytes, Version] = {}
        passed_over: dict[bytes, Version] = {}
        unsure: list[bytes] = []
        for key, written_as, record in batch.changes:
            # What another primary has adopted counts as what it was before
            version = batch.origins.get(key, written_as)
            held = own.table.get(key)
            known = self._origins.of(held)
            if offer.live and known == version:
                known = None
            if held is not None and not supersedes(version, known):
                login = record is not None and not offer.live and not holds(own.lineage, version, version)
                if login and self._origins.bounds(held):
                    unsure.append(key)  # The end may have come before it
                if not offer.live and held.version <= offer.until:
                    # What it has adopted itself the other replica holds under a newer version than it offers
                    written[key] = own.again(held)
                passed_over[key] = written.get(key, held.version)
                continue
            # What is offered live carries the version that it is based on, none of its own.
            unknown = (held is None or self._vague(held, own.table.floor)) and not offer.live
            end = None
            if unknown and record is not None:
                end, sure = self._end_of(Change(key, written_as, record), version, offer, own)
                if not sure:
                    unsure.append(key)
            # The end of a user that is not known here too: another replica may hold what came before it
            written[key] = own.write(key, record if end is None else None)
            self._origins.note(key, written[key], end or version, bound=end is not None)
        if judgement.clear is not None:
            unsure += self._clear(judgement.clear, batch, offer, own, written)
            self._seen[offer.by] = _Seen(batch.lineage, offer.until, judgement.clear.last)
        self._positions[offer.by, offer.live] = (offer.shared, judgement.position)
        return TakenOver(written, passed_over, tuple(unsure))

    def _vague(self, held: Change, floor: Version) -> bool:
        """Say whether a held end does not tell what came of the user since.

        Of one that was taken over itself no more is known than that it came before what is offered; behind
        one below the floor, which a snapshot leaves, a newer login and its end may be forgotten.
        """
        return held.record is None and (self._origins.of(held) != held.version or held.version < floor)

    def _end_of(
        self, change: Change, version: Version, offer: Offer, own: Own
    ) -> tuple[Version | None, bool]:
        """Return up to where a user who is not held has logged off, None if not, and whether that is sure.

        ``version`` is what the change counts as.
        """
        floor = own.table.floor
        others = [seen for by, seen in self._seen.items() if by != offer.by and seen.reaches(change.key)]
        ends = [seen.until for seen in others if seen.ends(version)]
        sure = bool(ends)
        if _through(own.lineage, version, offer.shared):
            # Who was adopted behind the common point was online there: he has left here since, or who took
            # over in the middle of what a replica sent lacks him
            adopted = version != change.version and change.version > offer.shared
            if not adopted or floor > offer.shared:
                ends.append(max(version, floor))
                sure |= not adopted
        if ends:
            return max(ends), sure
        # Who came under a newer version than all that is forgotten here stays, though maybe one left before
        sure = floor <= offer.shared and all(seen.until < version for seen in others)
        return floor if version <= floor else None, sure

    def _clear(
        self, page: SnapshotPage, batch: Batch, offer: Offer, own: Own, written: dict[bytes, Version]
    ) -> list[bytes]:
        """Write the end of who is absent from a page of which the offering replica had the record.

        Who was changed only here since stays, under a version that is newer than the end that the
        replica may have seen; return those keys.
        """
        present = {change.key for change in batch.changes}
        kept = []
        for held in own.table.held_in(page.first, page.last):
            if held.record is None or held.key in present:
                continue
            # Who was taken over from another replica may have been known there too
            known = self._origins.of(held) or held.version
            shared = held.version <= offer.shared or (
                known <= offer.shared and _through(own.lineage, known, offer.shared)
            )
            if shared or holds(batch.lineage, offer.until, known):
                written[held.key] = own.write(held.key, None)
                # When that was nobody knows; who has logged in behind the page is online
                self._origins.note(held.key, written[held.key], offer.until, bound=True)
            elif known <= offer.until:
                kept.append(held.key)
                if held.version <= offer.until:
                    written[held.key] = own.again(held)
        return kept


def _through(lineage: Lineage, version: Version, shared: Version) -> bool:
    """Say whether a history that is shared up to ``shared`` is known to have been through a version.

    An origin may be of another history although it is the older version.
    """
    if not lineage or (len(lineage) == MAX_FORKS and version.epoch < lineage[0].epoch):
        return version <= shared
    return holds(lineage, version, version)


class _Seen(NamedTuple):
    """What has come of a replica that offers whole buckets: who is not held by now is absent there."""

    lineage: Lineage
    until: Version
    bucket: int
    """The last that has come."""

    def reaches(self, key: bytes) -> bool:
        """Say whether the key's bucket has come: who is not held is absent there."""
        return bucket_of(key) <= self.bucket

    def ends(self, version: Version) -> bool:
        """Say whether a change of one who is absent was known there, so that its end has followed."""
        return holds(self.lineage, self.until, version)
