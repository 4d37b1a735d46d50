"""Two routers serve a split access network: one is primary, the other offers it live what its half does."""

from __future__ import annotations

import random

import pytest

from rui.backup.identity import Role
from rui.backup.member_outputs import CLOUD, JournalFullError, MemberOptions, NotPrimaryError
from rui.backup.sharing import Users
from tests.unit.backup.site import Site, put, started, users

A, B = "bras-a", "bras-b"


def split(*, cloud: bool = True) -> Site:
    """``bras-b`` has taken over, ``bras-a`` goes on serving its half."""
    site = started(A, B)
    put(site, A, 1, 2)
    site.settle()
    site.take_over(B)
    site.settle()
    if site.members[A].role is Role.PRIMARY:
        site.members[A].demote("bras-b has taken over")
    if not cloud:
        site.disconnect(A)
        site.disconnect(B)
        site.rbs = {A, B}
    site.members[A].share(True)
    site.settle()
    return site


def served(site: Site, name: str) -> Users:
    return site.members[name].users


@pytest.mark.parametrize("cloud", [True, False])
def test_what_its_half_does_is_written_by_the_primary_and_comes_back(cloud: bool) -> None:
    site = split(cloud=cloud)
    put(site, A, 3)
    site.members[A].delete(b"k1")
    put(site, B, 4)
    assert b"k3" in served(site, A)
    assert b"k1" not in served(site, A)
    site.settle()
    wanted = {b"k2", b"k3", b"k4"}
    assert users(site, A) == users(site, B) == wanted
    assert set(served(site, A).live_keys()) == wanted
    assert not len(site.members[A].sharing), "the primary has all of it"
    assert site.members[A].table.get(b"k3") == site.members[B].table.get(b"k3")
    if cloud:
        assert users(site, CLOUD) == wanted


def test_one_change_after_the_other_of_one_user_is_taken_over_in_order() -> None:
    site = split()
    for text in (b"<user>1</user>", b"<user>2</user>", b"<user>3</user>"):
        put(site, A, 3, text=text)
        site.step()
    site.settle()
    assert site.contents()[B][b"k3"] == b"<user>3</user>"
    put(site, A, 3, text=b"<user>4</user>")
    site.settle()
    assert site.contents()[B][b"k3"] == site.contents()[A][b"k3"] == b"<user>4</user>"


def test_a_user_who_has_moved_to_the_primarys_half_is_not_taken_back() -> None:
    site = split(cloud=False)
    site.rbs = set()
    put(site, A, 3, text=b"<user>before</user>")
    site.settle()
    put(site, B, 3, text=b"<user>moved</user>")
    site.settle()
    assert served(site, A).get(b"k3").record == b"<user>before</user>"  # type: ignore[union-attr]
    site.rbs = {A, B}
    site.settle()
    assert site.contents()[A][b"k3"] == site.contents()[B][b"k3"] == b"<user>moved</user>"
    assert served(site, A).get(b"k3").record == b"<user>moved</user>"  # type: ignore[union-attr]
    put(site, A, 3, text=b"<user>back</user>")
    site.settle()
    assert site.contents()[B][b"k3"] == b"<user>back</user>"


@pytest.mark.parametrize("compacted", [False, True])
def test_what_was_shared_outlasts_a_restart(compacted: bool) -> None:
    site = split(cloud=False)
    site.rbs = set()
    put(site, A, 3)
    site.members[A].delete(b"k1")
    site.settle()
    if compacted:
        site.compact(A)
    site.restart(A)
    assert not site.members[A].takes, "its election has not been won again"
    assert set(served(site, A).live_keys()) == {b"k2", b"k3"}
    site.rbs = {A, B}
    site.settle()
    assert users(site, A) == users(site, B) == {b"k2", b"k3"}


def test_who_becomes_primary_itself_writes_what_it_has_shared() -> None:
    site = split(cloud=False)
    site.rbs = set()
    put(site, A, 3)
    site.members[A].delete(b"k1")
    site.settle()
    site.members[B].demote("its election is lost")
    site.take_over(A)
    assert not len(site.members[A].sharing)
    site.settle()
    site.rbs = {A, B}
    site.settle()
    assert users(site, A) == users(site, B) == {b"k2", b"k3"}
    site.restart(A)
    assert users(site, A) == {b"k2", b"k3"}


def test_who_serves_no_more_still_offers_what_it_has() -> None:
    site = split(cloud=False)
    site.rbs = set()
    put(site, A, 3)
    site.members[A].share(False)
    with pytest.raises(NotPrimaryError):
        put(site, A, 4)
    site.rbs = {A, B}
    site.settle()
    assert users(site, A) == users(site, B) == {b"k1", b"k2", b"k3"}


def test_a_primary_that_restarts_gets_again_what_it_has_not_acknowledged() -> None:
    site = split(cloud=False)
    put(site, A, 3)
    site.step()
    site.step()
    site.restart(B)
    site.reach(A, B)
    put(site, A, 4)
    site.settle()
    assert users(site, A) == users(site, B) == {b"k1", b"k2", b"k3", b"k4"}
    assert not len(site.members[A].sharing)


def test_too_much_that_the_primary_does_not_take_turns_logins_away() -> None:
    site = split(cloud=False)
    site.rbs = set()
    site.members[A].options = MemberOptions(pending_bytes=100)
    with pytest.raises(JournalFullError, match="wait for the journal, or for the primary"):
        put(site, A, *range(10, 40), text=b"<user>0123456789</user>")
    site.members[A].delete(b"k2") if site.members[A].sharing.octets <= 100 else None
    site.rbs = {A, B}
    site.settle()
    put(site, A, 41)
    site.settle()
    assert users(site, A) == users(site, B)


@pytest.mark.parametrize("seed", range(60))
def test_any_story_of_a_split_ends_with_all_equal(seed: int) -> None:
    chance = random.Random(seed)
    site = split(cloud=chance.random() < 0.5)
    linked = site.rbs
    for _ in range(60):
        name = chance.choice([A, B])
        member, user = site.members[name], chance.randrange(12)
        match chance.randrange(12):
            case 0:
                site.rbs = linked if not site.rbs else set()
            case 1 if not linked:
                for one in (A, B):
                    site.disconnect(one) if one in site.in_touch else site.connect(one)
            case 2 if name == A and A not in site.in_touch:
                site.restart(A)
            case 3:
                site.members[A].share(not site.members[A].takes)
            case 4 | 5 if member.takes:
                member.delete(b"k%d" % user)
            case 6 | 7 | 8 if member.takes:
                put(site, name, user, text=b"<user>%d</user>" % chance.randrange(1000))
            case _:
                site.step()
    site.rbs = linked
    if not linked:
        site.connect(A, B)
    site.settle()
    assert site.contents()[A] == site.contents()[B]
    assert set(served(site, A).live_keys()) == users(site, B)
    assert not len(site.members[A].sharing)
