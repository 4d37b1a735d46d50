"""Which writers a history consists of, so that two copies know up to where they are the same.

A cursor alone says how far a replica has come on one writer's stream. After a takeover it may hold what the
new primary never had: the old one wrote it and failed before handing it on. A lineage names, for each
epoch that wrote, the version on which that epoch began; from two lineages follows the newest version that
both histories share. It also names the primaries that were followed last and wrote nothing: who has followed
a primary may take its place. What a replica holds beyond what is shared is offered to the primary before the
primary's stream goes on (DESIGN, adoption and offers).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from rui.backup.version import ZERO, Epoch, Version, VersionError

MAX_FORKS = 32
"""Older ones are forgotten: who is behind all of them is compared from the beginning."""

_AFTER = " after "


class Fork(NamedTuple):
    """An epoch that wrote, and the newest version that its history held when it began."""

    epoch: Epoch
    after: Version

    def __str__(self) -> str:
        return f"{self.epoch}{_AFTER}{self.after}" if self.after != ZERO else str(self.epoch)

    @classmethod
    def parse(cls, text: str) -> Fork:
        """Read ``EPOCH after VERSION``, or ``EPOCH`` for one that began on nothing; raises VersionError."""
        epoch, _, after = text.partition(_AFTER)
        fork = cls(Epoch.parse(epoch), Version.parse(after))
        if not fork.epoch.counter:
            raise VersionError(f"{text!r} names no epoch: write EPOCH{_AFTER}VERSION")
        return fork


Lineage = tuple[Fork, ...]
"""Oldest first."""


NO_ONE_HISTORY: Lineage = (Fork(Epoch(1, "part-of-a-snapshot"), ZERO),)
"""Of a replica that gave a snapshot up half-way: it shares nothing with anybody, nor with another such."""


def extend(lineage: Lineage, epoch: Epoch, after: Version) -> Lineage:
    """Return the lineage of a history that ``epoch`` continues behind ``after``.

    Left out are epochs whose part in it is not held up to there. Of those that wrote nothing the newest of
    every other device stays: it says that its primary was followed, and so may be replaced.
    """
    kept = [Fork(epoch, after)]
    for fork in reversed(lineage):
        held = fork.epoch <= after.epoch or fork.after == after
        wrote = kept[-1].after.epoch == fork.epoch
        if held and (wrote or all(one.epoch.device != fork.epoch.device for one in kept)):
            kept.append(fork)
    return tuple(reversed(kept))[-MAX_FORKS:]


def shared(source: Lineage, replica: Lineage, cursor: Version) -> Version:
    """Return the newest version up to which a replica's history is also the source's.

    ``cursor`` is how far the replica has come; the source's own last epoch has no end. A replica that
    holds nothing, or whose lineage is not known, shares all that it has.
    """
    if cursor == ZERO or not replica or source == replica:
        return cursor
    ends: dict[Epoch, Version | None] = {fork.epoch: None for fork in source}
    ends.update({fork.epoch: then.after for fork, then in pairwise(source)})
    ends.pop(NO_ONE_HISTORY[0].epoch, None)
    end = cursor
    for fork in reversed(replica):
        if fork.epoch in ends:
            other = ends[fork.epoch]
            return end if other is None else min(end, other)
        end = min(end, fork.after)
    return ZERO


def holds(lineage: Lineage, upto: Version, version: Version) -> bool:
    """Say whether a history that has come up to ``upto`` is known to have been through a version."""
    if version > upto:
        return False
    for fork, then in pairwise(lineage):
        if fork.epoch == version.epoch:
            return version <= then.after
    return bool(lineage) and lineage[-1].epoch == version.epoch


def written_by(lineage: Lineage, writer: Epoch) -> bool:
    """Say whether a history is the writer's: not so between its claim and its first batch at a replica.

    A history of which nothing is known passes.
    """
    return not lineage or lineage[-1].epoch == writer


def parse(texts: Iterable[str]) -> Lineage:
    """Read the text forms; raises VersionError, also where there are too many."""
    forks = tuple(Fork.parse(text) for text in texts)
    if len(forks) > MAX_FORKS:
        raise VersionError(f"a lineage of {len(forks)} forks is longer than {MAX_FORKS}")
    return forks
