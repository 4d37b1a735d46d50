"""What a replica does with a batch: one judgement for the cloud's store and the secondary's table.

Data and cursor commit together. The judgement looks only at the position; whether one record is newer than
the one held is then decided record by record with :func:`supersedes`, so order, duplication and
interleaving of batches cannot change the outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rui.backup.lineage import NO_ONE_HISTORY, Lineage, shared
from rui.backup.messages import (
    LAST_BUCKET,
    Batch,
    Position,
    Quarantined,
    Receipt,
    Result,
    SnapshotPage,
    SnapshotProgress,
    Stream,
)
from rui.backup.version import ZERO, Epoch, Version


@dataclass(frozen=True, slots=True)
class Judgement:
    """How to answer a batch.

    ``apply`` says that ``position`` is to be stored, together with the batch's changes where the result is
    STORED; without it ``position`` is the unchanged one. ``clear`` names the buckets of which every record
    that is absent from the page and not newer than its version is to be deleted with it.
    """

    result: Result
    position: Position
    apply: bool = False
    clear: SnapshotPage | None = None
    reason: str = ""
    shared: Version | None = None
    """Of a diverged batch: up to where both histories are the same."""
    held: Version = ZERO
    """Of a diverged batch: the newest version that is held."""
    joined: Position | None = None
    """Of a batch with which another history is joined: the position by which it was judged."""

    def receipt(self, group: str, quarantined: tuple[Quarantined, ...] = ()) -> Receipt:
        """Return the receipt that it calls for."""
        facts = (group, self.result, self.position, self.reason, quarantined)
        return Receipt(*facts, shared=self.shared, held=self.held)


@dataclass(frozen=True, slots=True)
class Join:
    """A history that a replica follows from ``shared`` on: its writer has taken over all that it lacked.

    It does so with the first batch that it stores of that history: until then what it holds beyond ``shared``
    would belong to no history at all, and a third primary would never be offered it.
    """

    writer: Epoch
    lineage: Lineage
    shared: Version

    def position(self, before: Position, batch: Batch) -> Position:
        """Return by which position a batch is judged at a replica that stands at ``before``."""
        if {before.writer, batch.writer} != {self.writer} or before.lineage == self.lineage:
            return before
        return self.behind(before)

    def behind(self, before: Position) -> Position:
        """Return where the history begins for a replica that stands at ``before``."""
        # What came early may be shared beyond what is held without a gap
        return Position(min(self.shared, before.live), None, self.writer, self.lineage)


def judge_joining(held: Position, joins: Join | None, batch: Batch, newest: Version) -> Judgement:
    """Judge a batch as :func:`judge` does, at a replica that may follow another history with it."""
    before = held if joins is None else joins.position(held, batch)
    if before is held:
        return judge(held, batch, newest)
    # What lies beyond in the history that is left has been offered
    judgement = judge(before, batch)
    # A batch that brings nothing brings the history
    return replace(judgement, apply=judgement.apply or judgement.result is Result.STORED, joined=before)


def judge(position: Position, batch: Batch, newest: Version = ZERO) -> Judgement:
    """Judge a batch at a replica that durably holds ``position``, and changes up to ``newest``.

    Changes above the position have come early (:class:`rui.backup.messages.Stream`) or with a snapshot: they
    are of the position's history, and where the sender's lacks them they are offered too.

    An older writer is refused (invariant 3); a stream that starts above the cursor is a gap; a batch wholly
    at or below the cursor is acknowledged again without being stored; a snapshot older than the
    cursor is not taken, since it would bring back what was deleted since; the sender begins anew behind the
    cursor, which local backup may have moved meanwhile. Where this replica holds what the sender's history
    lacks nothing is taken but the claim.
    """
    if batch.writer < position.writer:
        reason = f"writer {batch.writer} is superseded by {position.writer}: claim a higher epoch first"
        return Judgement(Result.REFUSED, position, reason=reason)
    claimed = Position(position.cursor, position.snapshot, batch.writer, batch.lineage or position.lineage)
    if batch.lineage:
        held = max(position.live, newest)
        common = shared(batch.lineage, position.lineage, held)
        if common < held:
            reason = f"this replica's history up to {held} leaves the sender's behind {common}"
            known = replace(position, writer=batch.writer)
            if position.snapshot:
                # Half of it is no history: it is given up, and all that is held is offered, its part as well
                common = ZERO
                known = replace(known, cursor=position.live, snapshot=None, lineage=NO_ONE_HISTORY)
            apply = known != position
            return Judgement(Result.DIVERGED, known, apply, reason=reason, shared=common, held=held)
    if isinstance(batch.part, Stream):
        return _judge_stream(position, claimed, batch.part)
    return _judge_page(position, claimed, batch.part)


def supersedes(new: Version, held: Version | None) -> bool:
    """Say whether a change of version ``new`` replaces what is held of its key (None: nothing is)."""
    return held is None or new > held


def _judge_stream(position: Position, claimed: Position, part: Stream) -> Judgement:
    if part.prev > position.live:
        reason = f"batch follows {part.prev}, this replica holds up to {str(position.live) or 'nothing'}"
        return Judgement(Result.GAP, position, reason=reason)
    if part.last <= position.live and claimed == position:
        return Judgement(Result.STORED, position)
    last = max(part.last, position.live)
    if claimed.snapshot:
        return Judgement(
            Result.STORED, replace(claimed, snapshot=claimed.snapshot._replace(upper=last)), apply=True
        )
    return Judgement(Result.STORED, Position(last, None, claimed.writer, claimed.lineage), apply=True)


def _judge_page(position: Position, claimed: Position, page: SnapshotPage) -> Judgement:
    if page.version < position.cursor:
        reason = f"snapshot at {page.version} is older than this replica, which holds up to {position.cursor}"
        return Judgement(Result.GAP, position, reason=reason)
    progress = position.snapshot
    if progress is None or progress.version != page.version:
        if page.version < position.live:
            reason = f"snapshot at {page.version} is older than part of one here, up to {position.live}"
            return Judgement(Result.GAP, position, reason=reason)
        if page.first != 0:
            return Judgement(Result.GAP, position, reason="a snapshot begins at bucket 0")
        progress = SnapshotProgress(page.version, 0, page.version)
    if page.first > progress.next_bucket:
        reason = f"page begins at bucket {page.first}, expected {progress.next_bucket}"
        return Judgement(Result.GAP, position, reason=reason)
    if page.last < progress.next_bucket:
        return Judgement(Result.STORED, claimed, claimed != position)
    if page.last == LAST_BUCKET:
        done = replace(claimed, cursor=progress.upper, snapshot=None)
        return Judgement(Result.STORED, done, apply=True, clear=page)
    advanced = progress._replace(next_bucket=page.last + 1)
    return Judgement(Result.STORED, replace(claimed, snapshot=advanced), apply=True, clear=page)
