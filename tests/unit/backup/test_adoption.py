from __future__ import annotations

from dataclasses import replace

from rui.backup.adoption import Adoption, Own
from rui.backup.identity import Role
from rui.backup.lineage import Fork, Lineage
from rui.backup.member import Member
from rui.backup.messages import LAST_BUCKET, Batch, Change, Offer, Position, SnapshotPage, Stream
from rui.backup.origins import Origins
from rui.backup.table import Table
from rui.backup.version import ZERO, Epoch, Version
from tests.unit.backup.histories import GROUP, A, gone, key, put, version

MINE = Epoch(9, "bras-c")


class Primary:
    """A new primary that holds nothing, and takes over what is offered to it."""

    def __init__(self) -> None:
        self.table = Table()
        self.adoption = Adoption(GROUP, Origins())
        self.own = Own(self.table, (), self.write, lambda held: self.write(held.key, held.record))

    def write(self, key: bytes, record: bytes | None) -> Version:
        written = Version(MINE, len(self.table) + self.table.tombstones + 1)
        self.table.apply(Change(key, written, record))
        return written

    def offered(self, by: str, *changes: Change) -> None:
        last = max(change.version for change in changes)
        self.receive(Batch(GROUP, MINE, Stream(ZERO, last), changes, offer=Offer(by, ZERO, last)))

    def offered_all(
        self, by: str, shared: Version, lineage: Lineage, *changes: Change, until: Version
    ) -> None:
        """A replica that has forgotten deletes offers all that it holds."""
        page = SnapshotPage(until, 0, LAST_BUCKET)
        self.receive(Batch(GROUP, MINE, page, changes, lineage, Offer(by, shared, until)))

    def receive(self, batch: Batch) -> None:
        assert batch.offer is not None
        self.found = self.adoption.receive(batch, batch.offer, (), None, own=self.own)


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


B, C = Epoch(2, "bras-b"), Epoch(3, "bras-a")
OF_A: Lineage = (Fork(A, ZERO),)


def live(primary: Primary) -> set[bytes]:
    return {change.key for change in primary.table.live()}


def test_who_logged_off_here_is_not_brought_back_although_that_is_forgotten() -> None:
    primary = Primary()
    for change in (put(1, 5), gone(1, 6), put(2, 7)):
        primary.table.apply(change)
    primary.table.trim_tombstones(0, version(7))
    primary.own = primary.own._replace(lineage=OF_A)
    primary.offered("cloud", put(1, 5))
    assert live(primary) == {put(2, 7).key}
    assert primary.found.unsure == (), "the primary has been through that record itself"
    held = primary.table.get(put(1, 5).key)
    assert held is not None, "who offers it is told of the end"
    assert held.record is None


def test_who_may_have_logged_off_here_is_passed_over_and_reported() -> None:
    primary = Primary()
    for change in (put(1, 3, B), gone(1, 4, B), put(2, 5, B)):
        primary.table.apply(change)
    primary.table.trim_tombstones(0, version(5, B))
    primary.offered("bras-a", put(1, 9), put(3, 5, B))
    assert live(primary) == {put(2, 5).key, put(3, 5).key}, "newer than all that is forgotten"
    assert primary.found.unsure == (put(1, 9).key, put(3, 5).key)


def test_who_is_absent_where_the_record_was_known_has_logged_off() -> None:
    """The primary has got part of bras-b's snapshot, then taken over: what it brought is of that history."""
    primary = Primary()
    primary.table.apply(put(1, 31, B))
    primary.table.apply(put(2, 3))
    history = (*OF_A, Fork(B, version(2)))
    primary.offered_all("bras-b", version(2), history, put(4, 97, B), until=version(97, B))
    assert live(primary) == {put(2, 3).key, put(4, 97).key}, "what bras-b never had stays"


def test_who_stays_although_absent_there_gets_a_newer_version() -> None:
    primary = Primary()
    primary.table.apply(put(2, 3))
    primary.offered_all("bras-b", ZERO, (Fork(B, ZERO),), until=version(97, B))
    held = primary.table.get(put(2, 3).key)
    assert held is not None
    assert held.version.epoch == MINE
    assert primary.found.unsure == (held.key,)


def test_who_was_taken_over_from_another_is_absent_where_that_record_was_known() -> None:
    primary = Primary()
    primary.offered("cloud", put(1, 5), put(2, 6))
    primary.offered_all("bras-a", ZERO, OF_A, put(2, 6), until=version(9))
    assert live(primary) == {put(2, 6).key}
    assert primary.found.unsure == ()


def test_who_was_absent_at_one_replica_is_not_brought_back_by_another_that_offers_later() -> None:
    primary = Primary()
    primary.offered_all("bras-a", ZERO, OF_A, put(2, 6), until=version(9))
    primary.offered("cloud", put(1, 5), put(2, 6), put(3, 12))
    assert live(primary) == {put(2, 6).key, put(3, 12).key}, "bras-a's history ends before the third"


def test_who_logged_in_behind_an_end_that_was_taken_over_is_online() -> None:
    primary = Primary()
    primary.offered("cloud", gone(1, 5))
    primary.offered("bras-a", put(1, 4))
    assert live(primary) == set()
    primary.offered("bras-b", put(1, 31, B))
    assert live(primary) == {put(1, 31).key}


def test_what_was_adopted_is_offered_with_the_version_that_it_came_with() -> None:
    """Else it would win against what bras-a, its first writer, has done since and nobody else has."""
    mine, theirs, now_primary = version(11, B), version(3), Epoch(5, "bras-a")
    table, origins = Table(), Origins()
    table.apply(Change(put(1, 3).key, mine, b"<user/>"))
    origins.note(put(1, 3).key, mine, theirs)
    held = Position(mine, None, B, (*OF_A, Fork(B, version(2))))
    member = Member(GROUP, "bras-b", Role.SECONDARY, table=table, position=held, origins=origins)
    history = (*OF_A, Fork(now_primary, version(27)))
    part = Stream(version(27), version(1, now_primary))
    member.receive(Batch(GROUP, now_primary, part, (), history), (), None, via="bras-a")
    member.stored()
    batch = member.next_local("bras-a", 0.0)
    assert batch is not None
    assert [(change.version, change.key) for change in batch.changes] == [(mine, put(1, 3).key)]
    assert batch.origins == {put(1, 3).key: theirs}


def test_what_is_newer_here_is_written_again_where_the_older_has_a_newer_version_there() -> None:
    primary = Primary()
    primary.table.apply(put(1, 27))
    part = Stream(version(10, B), version(11, B))
    offer = Offer("bras-b", version(10, B), version(24, B))
    primary.receive(Batch(GROUP, MINE, part, (put(1, 3),), offer=offer))
    (held,) = primary.table.live()
    assert held.record == put(1, 27).record
    assert held.version.epoch == MINE


def test_an_old_end_does_not_vouch_for_who_may_have_left_again_before_a_snapshot() -> None:
    primary = Primary()
    primary.table.apply(gone(1, 5))
    primary.table.clear(SnapshotPage(version(60), 0, LAST_BUCKET), ())
    primary.offered("bras-b", put(1, 7), put(2, 31, B))
    assert live(primary) == {put(2, 31, B).key}
    assert primary.found.unsure == (key(1), key(2))


def test_who_is_absent_at_a_replica_that_has_come_further_may_have_left_there() -> None:
    """In either order: the newer end, of a login that the second replica never saw, is forgotten there."""
    primary = Primary()
    primary.offered_all("bras-a", ZERO, (Fork(A, ZERO), Fork(C, version(5))), until=version(7, C))
    primary.offered("bras-b", put(1, 12, B), put(2, 9, C))
    assert live(primary) == {key(1), key(2)}
    assert primary.found.unsure == (key(1),)
    primary = Primary()
    primary.offered("bras-b", put(1, 12, B))
    primary.offered_all("bras-a", ZERO, (Fork(A, ZERO), Fork(C, version(5))), until=version(7, C))
    assert live(primary) == {key(1)}
    assert primary.found.unsure == (key(1),)


def test_a_login_is_unsure_that_may_have_come_behind_an_end_of_which_no_time_is_known() -> None:
    """Here the user is known to have left, some time before the floor; another replica saw a login."""
    primary = Primary()
    for change in (put(1, 5), gone(1, 6), gone(2, 70)):
        primary.table.apply(change)
    primary.table.trim_tombstones(0, version(70))
    primary.own = primary.own._replace(lineage=(Fork(A, ZERO), Fork(MINE, version(70))))
    primary.offered("cloud", put(1, 5))
    assert (live(primary), primary.found.unsure) == (set(), ())
    primary.offered("bras-z", put(1, 3, Epoch(1, "a-bras")))
    assert (live(primary), primary.found.unsure) == (set(), (key(1),))
    primary.offered("bras-b", put(1, 5))
    assert primary.found.unsure == (), "what is of the primary's own history came before"


def test_an_origin_of_another_history_is_not_in_the_shared_one_although_it_is_older() -> None:
    """bras-c adopted bras-b's login behind what the primary shares with it."""
    forks = (Fork(B, ZERO), Fork(Epoch(3, "bras-c"), version(2, B)))
    shared = version(5, Epoch(3, "bras-c"))
    primary = Primary()
    primary.own = primary.own._replace(lineage=(*forks, Fork(MINE, shared)))
    login = put(1, 11, B)
    part = Stream(shared, version(7, Epoch(3, "bras-c")))
    primary.receive(Batch(GROUP, MINE, part, (login,), forks, Offer("cloud", shared, part.last)))
    assert live(primary) == {key(1)}
    page = SnapshotPage(part.last, 0, LAST_BUCKET)
    primary.receive(Batch(GROUP, MINE, page, (), forks, Offer("bras-b", shared, part.last)))
    assert live(primary) == {key(1)}, "nor does bras-b know, who lacks him"


def test_who_was_adopted_behind_the_common_point_was_online_there() -> None:
    """The primary lacks him although its history has been through his login: it took over half-way."""
    shared = version(31, B)
    mine = (Fork(A, ZERO), Fork(B, version(77)), Fork(MINE, shared))
    adopted = Change(key(1), version(51, B), b"<user/>")
    offer = Offer("cloud", shared, version(55, B))
    batch = Batch(GROUP, MINE, Stream(shared, offer.until), (adopted,), mine[:2], offer)
    primary = Primary()
    primary.own = primary.own._replace(lineage=mine)
    primary.receive(replace(batch, origins={key(1): version(70)}))
    assert (live(primary), primary.found.unsure) == ({key(1)}, ())
    primary = Primary()
    primary.own = primary.own._replace(lineage=mine)
    primary.table.apply(gone(2, 4, MINE))
    primary.table.trim_tombstones(0, version(4, MINE))
    primary.receive(replace(batch, origins={key(1): version(70)}))
    found = (live(primary), primary.found.unsure)
    assert found == (set(), (key(1),)), "he may have left here, and that is forgotten"
