"""Takeovers, offers and adoption among two or three routers and the cloud, everything durable at once."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from rui.backup.identity import Role
from rui.backup.lineage import Fork, Lineage
from rui.backup.member import Member
from rui.backup.member_outputs import CLOUD, Answer
from rui.backup.messages import Batch, Change, Offer, Position, Receipt, Result, Stream
from rui.backup.version import ZERO, Epoch, Version
from tests.unit.backup.site import OPTIONS, Site, put, started, users


def test_a_new_primary_adopts_what_only_the_cloud_holds() -> None:
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1, 2)
    site.settle()
    site.disconnect("bras-b")
    put(site, "bras-a", 3)
    site.members["bras-a"].delete(b"k1")
    site.settle()
    site.disconnect("bras-a")
    site.take_over("bras-b")
    site.connect("bras-b")
    site.settle()
    assert users(site, "bras-b") == users(site, CLOUD) == {b"k2", b"k3"}


def test_who_loses_the_role_offers_what_nobody_else_had() -> None:
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1, 2)
    site.settle()
    site.disconnect("bras-a")
    put(site, "bras-a", 3, 4)
    site.members["bras-a"].delete(b"k1")
    site.settle()
    site.take_over("bras-b")
    put(site, "bras-b", 4, text=b"<user>newer</user>")
    site.settle()
    site.connect("bras-a")
    site.settle()
    assert site.members["bras-a"].role is Role.SECONDARY
    assert site.contents()["bras-b"] == {
        b"k2": b"<user/>",
        b"k3": b"<user/>",
        b"k4": b"<user>newer</user>",
    }
    assert len(site.digests()) == 1


def test_a_logoff_counts_that_is_offered_after_the_login_and_after_another_claim() -> None:
    site = started("bras-a", "bras-b")
    site.disconnect("bras-b")
    put(site, "bras-a", 1, 2)
    site.settle()
    site.disconnect("bras-a")
    site.members["bras-a"].delete(b"k1")
    site.take_over("bras-b")
    site.connect("bras-b")
    site.settle()
    assert users(site, "bras-b") == {b"k1", b"k2"}, "taken over from the cloud"
    heir = site.members["bras-b"]
    before = heir.epoch
    heir.start_local("bras-c", Position(writer=Epoch(7, "bras-c")), OPTIONS)
    heir.stop_local("bras-c")
    assert heir.epoch > before
    site.settle()
    site.connect("bras-a")
    site.settle()
    assert users(site, "bras-a") == users(site, "bras-b") == users(site, CLOUD) == {b"k2"}


def older_is_taken_over(site: Site, *changed: int) -> None:
    """Of the first user bras-c alone has bras-a's newer change; bras-b takes the cloud's older ones over."""
    for name in site.members:
        if name != "bras-a":
            site.disconnect(name)
    put(site, "bras-a", *changed, text=b"<user>older</user>")
    site.settle()
    site.disconnect("bras-a")
    put(site, "bras-a", 1, text=b"<user>newer</user>")
    site.reach("bras-a", "bras-c")
    site.settle()
    site.reach()
    site.take_over("bras-b")
    site.connect("bras-b")
    site.settle()


@pytest.mark.parametrize("compacted", [False, True])
def test_after_a_restart_a_newer_change_still_wins_that_another_replica_offers(compacted: bool) -> None:
    site = started("bras-a", "bras-b", "bras-c")
    older_is_taken_over(site, 1, 2)
    assert site.contents()["bras-b"][b"k1"] == b"<user>older</user>", "taken over from the cloud"
    put(site, "bras-b", 2, text=b"<user>here</user>")
    site.settle()
    if compacted:
        site.compact("bras-b")
    site.restart("bras-b")
    site.connect("bras-b", "bras-c")
    site.settle()
    assert site.contents()["bras-b"] == {b"k1": b"<user>newer</user>", b"k2": b"<user>here</user>"}
    assert site.contents()["bras-c"] == site.contents()["bras-b"] == site.contents()[CLOUD]


@pytest.mark.parametrize("by", [CLOUD, "bras-d", "restarted bras-d"])
def test_what_a_primary_took_over_does_not_win_against_what_is_newer_when_others_offer_it(by: str) -> None:
    """bras-b takes over a change of which bras-c has a newer one; the cloud and bras-d have bras-b's."""
    site = started("bras-a", "bras-b", "bras-c", "bras-d")
    older_is_taken_over(site, 1)
    site.connect("bras-d")
    site.settle()
    assert site.contents()["bras-b"] == site.contents()["bras-d"] == {b"k1": b"<user>older</user>"}
    for name in ("bras-b", "bras-d"):
        site.disconnect(name)
    if by == "restarted bras-d":
        site.restart("bras-d")
    site.take_over("bras-c")
    if by == CLOUD:
        site.connect("bras-c")
    else:
        site.reach("bras-c", "bras-d")
    site.settle()
    other = site.contents()[CLOUD if by == CLOUD else "bras-d"]
    assert other == site.contents()["bras-c"] == {b"k1": b"<user>newer</user>"}


@pytest.mark.parametrize("behind", [False, True])
def test_what_came_early_to_the_cloud_is_taken_over_with_the_rest(behind: bool) -> None:
    """The cloud has come to the sixth change; of five users it holds what they did after that."""
    site = started("bras-a", "bras-b")
    writer = site.members["bras-a"].epoch
    first = [f"<user>{n}</user>".encode() for n in range(1, 7)]
    for user, text in enumerate(first, 1):
        put(site, "bras-a", user, text=text)
    if not behind:
        site.settle()
    site.disconnect("bras-b")
    if not behind:
        put(site, "bras-a", *range(1, 7))
    put(site, "bras-a", *range(1, 6), text=b"<user>again</user>")
    upto = Version(writer, 6 if behind else 12)
    while site.store.position.cursor < upto:
        site.step()
    assert site.store.position.cursor == upto
    assert site.store.newest > upto
    site.disconnect("bras-a")
    held = site.contents()[CLOUD]
    site.store.reopen()
    site.take_over("bras-b")
    site.connect("bras-b")
    site.settle()
    assert list(held.values()).count(b"<user>again</user>") == 5
    assert site.contents()["bras-b"] == site.contents()[CLOUD] == held


def test_what_came_early_to_a_router_is_offered_to_who_has_come_as_far() -> None:
    site = started("bras-a", "bras-b", "bras-c")
    put(site, "bras-a", *range(1, 4))
    site.settle()
    for name in ("bras-a", "bras-b", "bras-c"):
        site.disconnect(name)
    shared = site.members["bras-c"].position.live
    put(site, "bras-a", *range(1, 5))
    for name in ("bras-c", "bras-b"):
        site.reach("bras-a", name)
        while site.members[name].position.live == shared:
            site.step()
        put(site, "bras-a", 1, text=b"<user>again</user>")
    early, other = site.members["bras-b"], site.members["bras-c"]
    assert early.position.live == other.position.live == other.table.head
    assert early.table.head > early.position.live
    site.reach("bras-b", "bras-c")
    site.take_over("bras-c")
    site.settle()
    assert site.contents()["bras-b"] == site.contents()["bras-c"]
    assert site.contents()["bras-c"][b"k1"] == b"<user>again</user>"


def test_who_downloads_asks_behind_what_it_holds_although_more_of_it_is_shared() -> None:
    member = Member("g1", "bras-c", Role.SECONDARY)
    writer, now_primary = Epoch(1, "bras-a"), Epoch(2, "bras-b")
    early = Change(b"k1", Version(writer, 13), b"<user/>")
    first = Batch("g1", writer, Stream(ZERO, Version(writer, 9)), (early,), (Fork(writer, ZERO),))
    history = (Fork(writer, ZERO), Fork(now_primary, Version(writer, 11)))
    part = Stream(Version(writer, 11), Version(writer, 11))
    for batch in (first, Batch("g1", now_primary, part, (), history)):
        member.receive(batch, (), None)
        member.stored()
    assert member.offering is not None
    source = member.offering.source
    member.next_upload(0.0)
    taken = Receipt("g1", Result.STORED, Position(early.version))
    member.acknowledge(taken, 0.0)
    assert source.position.cursor == early.version
    assert member.wanted == Position(Version(writer, 9), None, now_primary, history)


def test_an_offer_goes_over_the_channel_where_the_cloud_is_away() -> None:
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1)
    site.settle()
    for name in ("bras-a", "bras-b"):
        site.disconnect(name)
    put(site, "bras-a", 2)
    site.settle()
    site.take_over("bras-b")
    put(site, "bras-b", 3)
    site.members["bras-a"].demote("told by an operator")
    site.rbs = {"bras-a", "bras-b"}
    site.settle()
    assert users(site, "bras-a") == users(site, "bras-b") == {b"k1", b"k2", b"k3"}


def test_a_lost_journal_is_filled_from_the_cloud() -> None:
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1, 2, 3, 4, 5)
    site.settle()
    site.lose_journal("bras-a")
    site.connect("bras-a")
    put(site, "bras-a", 9)
    site.settle()
    assert users(site, "bras-a") == {b"k1", b"k2", b"k3", b"k4", b"k5", b"k9"}
    assert len(site.digests()) == 1


def test_who_comes_back_does_not_take_the_role_from_a_primary_that_serves() -> None:
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1)
    site.settle()
    site.disconnect("bras-a")
    site.take_over("bras-b")
    site.settle()
    stale = site.members["bras-a"]
    stale.demote("restarted")
    stale.position = replace(stale.position, writer=Epoch(7, "bras-a"))
    stale.promote()
    site.connect("bras-a")
    site.settle()
    assert stale.role is Role.SECONDARY
    assert site.members["bras-b"].role is Role.PRIMARY


def test_a_role_that_was_moved_and_wrote_nothing_is_taken_over_at_once() -> None:
    """The cloud takes the dead primary for alive until its link timeout: who has followed need not wait."""
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1)
    site.settle()
    for name, other in (("bras-b", "bras-a"), ("bras-a", "bras-b")) * 3:
        site.take_over(name)
        site.settle()
        assert site.members[name].role is Role.PRIMARY
        assert site.members[other].role is Role.SECONDARY


def test_a_second_takeover_keeps_what_the_third_router_had_before_the_first() -> None:
    """bras-c holds a change of bras-a's that bras-b, first to take over, never had."""
    site = started("bras-a", "bras-b", "bras-c")
    put(site, "bras-a", 1)
    site.settle()
    site.disconnect("bras-b")
    site.disconnect("bras-c")
    site.disconnect("bras-a")
    site.rbs = {"bras-a", "bras-c"}
    put(site, "bras-a", 2)
    site.settle()
    assert users(site, "bras-c") == {b"k1", b"k2"}
    site.rbs = set()
    site.take_over("bras-b")
    site.connect("bras-b")
    put(site, "bras-b", 3)
    site.settle()
    site.disconnect("bras-b")
    site.take_over("bras-c")
    site.connect("bras-c")
    site.settle()
    assert users(site, "bras-c") == users(site, CLOUD) == {b"k1", b"k2", b"k3"}


@pytest.mark.parametrize("seed", range(60))
def test_any_story_of_takeovers_ends_with_all_equal(seed: int) -> None:
    site = story(random.Random(seed))
    primaries = [name for name, member in site.members.items() if member.role is Role.PRIMARY]
    assert len(primaries) == 1
    contents = site.contents()
    assert all(held == contents[CLOUD] for held in contents.values())
    assert len(site.digests()) == 1


def story(chance: random.Random) -> Site:
    """Tell of logins, cuts and takeovers; then heal and let all come to rest."""
    names = ["bras-a", "bras-b", "bras-c"][: chance.choice([2, 3])]
    site = started(*names, tombstones=chance.choice([0, 2, 1000]))
    for _ in range(60):
        act, name = chance.random(), chance.choice(names)
        if act < 0.5:
            log_in_or_off(site.members[name], chance)
        elif act < 0.6:
            site.disconnect(name)
        elif act < 0.75:
            site.connect(name)
        elif act < 0.8:
            site.reach(*(chance.sample(names, 2) if chance.random() < 0.5 else ()))
        elif act < 0.88:
            site.take_over(name)
        else:
            site.settle()
    site.reach()
    for name in names:
        site.disconnect(name)
    site.connect(*names)
    site.settle()
    if not any(member.serving for member in site.members.values()):
        # Each has given way to another: somebody must begin again
        site.take_over(names[0])
        site.settle()
    return site


def log_in_or_off(member: Member, chance: random.Random) -> None:
    key = b"k%d" % chance.randrange(12)
    if member.serving and chance.random() < 0.3:
        member.delete(key)
    elif member.serving:
        member.put(key, b"<user>%d</user>" % chance.randrange(1000))


def lineage_of(site: Site, name: str) -> Lineage:
    return site.members[name].position.lineage


def test_a_history_that_left_the_primarys_is_the_primarys_once_it_was_offered() -> None:
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1)
    site.settle()
    site.disconnect("bras-a")
    put(site, "bras-a", 2)
    site.settle()
    site.take_over("bras-b")
    site.settle()
    assert lineage_of(site, "bras-a") != lineage_of(site, "bras-b")
    site.connect("bras-a")
    site.settle()
    assert lineage_of(site, "bras-a") == lineage_of(site, "bras-b")


def test_an_offer_to_a_superseded_primary_is_refused() -> None:
    site = started("bras-a", "bras-b")
    old = site.members["bras-a"]
    writer = old.epoch
    old.demote("told by an operator")
    site.settle()
    offer = Offer("bras-c", ZERO, Version(writer, 5))
    old.receive(Batch("g1", writer, Stream(ZERO, offer.until), (), offer=offer), (), "tag")
    (answer,) = old.outputs()
    assert isinstance(answer, Answer)
    assert answer.receipt.result is Result.REFUSED


def test_an_empty_primary_is_offered_what_others_hold_though_the_cloud_has_forgotten_deletes() -> None:
    site = Site("bras-a", "bras-b", tombstones=0)
    site.take_over("bras-b")
    site.connect("bras-b")
    put(site, "bras-b", 1)
    site.members["bras-b"].delete(b"k1")
    site.settle()
    assert site.store.table.floor > ZERO
    site.disconnect("bras-b")
    put(site, "bras-b", 2)
    site.settle()
    site.take_over("bras-a")
    site.connect("bras-a")
    site.settle()
    assert site.store.position.cursor == ZERO, "its history is empty"
    site.connect("bras-b")
    site.settle()
    assert users(site, "bras-a") == users(site, "bras-b") == users(site, CLOUD) == {b"k2"}
