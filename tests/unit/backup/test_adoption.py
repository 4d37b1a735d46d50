from __future__ import annotations

from rui.backup.adoption import Adoption
from rui.backup.messages import Batch, Change, Offer, Stream
from rui.backup.origins import Origins
from rui.backup.table import Table
from rui.backup.version import ZERO, Epoch, Version
from tests.unit.backup.histories import GROUP, A, gone, put, version

MINE = Epoch(9, "bras-c")


class Primary:
    """A new primary that holds nothing, and takes over what is offered to it."""

    def __init__(self) -> None:
        self.table = Table()
        self.adoption = Adoption(GROUP, Origins())

    def write(self, key: bytes, record: bytes | None) -> Version:
        written = Version(MINE, len(self.table) + self.table.tombstones + 1)
        self.table.apply(Change(key, written, record))
        return written

    def offered(self, by: str, *changes: Change) -> None:
        last = max(change.version for change in changes)
        batch = Batch(GROUP, MINE, Stream(ZERO, last), changes, offer=Offer(by, ZERO, last))
        assert batch.offer is not None
        self.adoption.receive(batch, batch.offer, (), None, table=self.table, write=self.write)


def test_what_one_replica_has_seen_end_another_does_not_bring_back() -> None:
    primary = Primary()
    primary.offered("bras-b", gone(1, 8))
    primary.offered("cloud", put(1, 5), put(2, 6))
    assert {change.key for change in primary.table.live()} == {put(2, 6).key}


def test_of_two_that_are_offered_the_newer_one_counts_in_either_order() -> None:
    for offers in ([put(1, 5), put(1, 8)], [put(1, 8), put(1, 5)]):
        primary = Primary()
        for by, change in zip(("bras-b", "cloud"), offers, strict=True):
            primary.offered(by, change)
        (held,) = primary.table.live()
        assert held.record == put(1, 8).record
    assert version(8).epoch == A
