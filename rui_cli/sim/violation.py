"""What the simulator says when something that must always hold does not."""

from __future__ import annotations

INVARIANTS = {
    0: "no step raises an error",
    1: "no acknowledged change is lost by any single failure",
    2: "after faults heal, primary, cloud and secondaries are equal in time",
    3: "a replica stores nothing written under an older epoch, or by a secondary",
    4: "one writer for each epoch, each version written once, and known before it leaves",
    5: "an acknowledged delete without a new login stays deleted",
    6: "for each user, versions only grow at every replica",
    7: "the path in use is the decision table's",
    8: "queues, journals and histories are bounded",
    9: "some router forwards whenever one is alive with its access link up",
    10: "the role moves only by an election that is due, a grant that is due, or an order",
}


class Violation(AssertionError):  # noqa: N818 - the word of the invariants' page
    """An invariant is broken; ``what`` says where and how."""

    def __init__(self, invariant: int, what: str) -> None:
        super().__init__(f"invariant {invariant} ({INVARIANTS[invariant]}): {what}")
        self.invariant = invariant
        self.what = what
