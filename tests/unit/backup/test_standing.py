"""What a router makes of what it sees: the news for its standing, and who goes on of two primaries."""

from __future__ import annotations

import pytest

from rui.backup.identity import Role
from rui.backup.lease import GrantRequest, GrantResult
from rui.backup.lineage import Fork
from rui.backup.links import LinkState
from rui.backup.mastership import Demote, MasterOptions, MasterState, Promote, Stand
from rui.backup.member import Member
from rui.backup.messages import Position
from rui.backup.standing import (
    Ask,
    NotReadyError,
    Outclaim,
    Output,
    Release,
    Seen,
    Standing,
    TakeBack,
    TellFree,
    TellShared,
    TellTaken,
    TwoPrimaries,
)
from rui.backup.switchover import Taken
from rui.backup.version import ZERO, Epoch, Version

UP, DOWN, DEGRADED = LinkState.UP, LinkState.DOWN, LinkState.DEGRADED
A1, B2 = Epoch(1, "bras-a"), Epoch(2, "bras-b")
HELD = Position(Version(A1, 9), None, A1, (Fork(A1, ZERO),))
ELECTED = MasterOptions(elected=True, wait_to_restore=60.0)


def standing(
    role: Role = Role.SECONDARY, options: MasterOptions | None = None, position: Position = HELD
) -> Standing:
    """A router of bras-a's group, judged from second 3 on."""
    name = "bras-a" if role is Role.PRIMARY else "bras-b"
    member = Member("g1", name, role, position=position)
    member.start()
    return Standing(member, options or MasterOptions(), 3.0, 0.0)


def doings(core: Standing, *kinds: type[Output]) -> list[Output]:
    return [output for output in core.outputs() if isinstance(output, kinds)]


def test_nobody_is_judged_before_the_links_had_their_time() -> None:
    core = standing()
    core.look(Seen(UP, {"bras-a": DOWN}), 2.9)
    assert core.core.state is MasterState.SECONDARY
    core.look(Seen(UP, {"bras-a": DOWN}), 3.0)
    assert doings(core, Ask) == [Ask(GrantRequest("g1", "bras-b", HELD.live, number=1, writer=A1))]


def test_two_that_have_stepped_down_for_each_other_ask_the_cloud() -> None:
    core = standing()
    core.met("bras-a")
    assert doings(core, TellTaken, TellFree) == [TellFree("bras-a")]
    core.look(Seen(UP, {"bras-a": UP}), 4.0)
    assert doings(core, Ask) == []
    core.free("bras-a", 4.1)
    core.look(Seen(UP, {"bras-a": UP}), 4.2)
    assert len(doings(core, Ask)) == 1
    core.taken(Taken("g1", "bras-a", Epoch(2, "bras-a"), (), 0.1), 4.3)
    core.look(Seen(UP, {"bras-a": UP}), 8.0)
    assert doings(core, Ask) == []
    assert core.core.state is MasterState.SECONDARY


def test_an_answer_to_a_former_question_is_ignored() -> None:
    core = standing()
    for now, number in ((4.0, 1), (20.0, 2)):
        core.look(Seen(UP, {"bras-a": DOWN}), now)
        (asked,) = doings(core, Ask)
        assert isinstance(asked, Ask)
        assert asked.request.number == number
    core.grant_result(GrantResult("g1", True, 5.0, "silent", 1), 20.1)
    assert core.core.state is MasterState.ASKING
    core.grant_result(GrantResult("g1", True, 5.0, "silent", 2), 20.2)
    assert core.core.primary


def test_another_secondary_that_is_reached_does_not_hide_that_the_primary_is_lost() -> None:
    core = standing()
    core.look(Seen(UP, {"bras-a": DOWN, "bras-c": UP}), 4.0)
    assert core.core.state is MasterState.ASKING
    other = standing()
    other.look(Seen(UP, {"bras-a": UP, "bras-c": DOWN}), 5.0)
    assert other.core.state is MasterState.SECONDARY


def test_a_former_primary_looks_for_who_has_superseded_it() -> None:
    core = standing(Role.PRIMARY)
    core.superseded("bras-b", 4.0)
    (demote,) = doings(core, Demote)
    core._member.demote(str(demote))
    core.look(Seen(UP, {"bras-b": DOWN, "bras-c": UP}), 20.0)
    assert core.core.state is MasterState.ASKING


def test_without_channels_only_the_clouds_word_says_that_the_primary_is_lost() -> None:
    core = standing()
    core.look(Seen(UP), 4.0)
    assert core.core.state is MasterState.ASKING
    primary = standing(Role.PRIMARY)
    primary.look(Seen(DOWN), 4.0)
    assert not primary.yielding


def test_a_primary_that_yields_is_named_to_the_cloud() -> None:
    core = standing(options=ELECTED)
    core.look(Seen(UP, {"bras-a": DOWN}, yields=True), 4.0)
    (asked,) = doings(core, Ask)
    assert isinstance(asked, Ask)
    assert asked.request.yielding


def test_a_lease_is_released_again_and_again_while_the_link_is_poor() -> None:
    core = standing(Role.PRIMARY)
    for now in (4.0, 5.0, 7.0, 8.0):
        core.look(Seen(DEGRADED, {"bras-b": UP}), now)
    assert [type(output) for output in doings(core, Release)] == [Release, Release]
    core.look(Seen(DOWN, {"bras-b": UP}), 10.0)
    assert doings(core, Release, TakeBack) == []
    core.look(Seen(UP, {"bras-b": UP}), 20.0)
    assert doings(core, Release, TakeBack) == [TakeBack(core._member.epoch)]
    core.look(Seen(UP, {"bras-b": UP}), 24.0)
    assert doings(core, Release, TakeBack) == []


def test_who_asks_says_that_its_own_link_is_poor() -> None:
    core = standing()
    core.look(Seen(DEGRADED, {"bras-a": DOWN}), 4.0)
    assert doings(core, Ask) == [Ask(GrantRequest("g1", "bras-b", HELD.live, poor=True, number=1, writer=A1))]


def test_a_new_primary_tells_everybody_and_whoever_comes_up() -> None:
    core = standing()
    core.look(Seen(UP, {"bras-a": DOWN}), 4.0)
    core.grant_result(GrantResult("g1", True, 5.0, "silent", 1), 4.1)
    assert [type(output) for output in doings(core, Promote, TellTaken)] == [Promote, TellTaken]
    core.met("bras-a")
    assert doings(core, TellTaken) == [TellTaken("bras-a")]
    assert core.claim(6.1).seconds == pytest.approx(2.0)


def test_of_two_primaries_one_steps_down_and_the_other_says_so_again() -> None:
    lineage = (Fork(A1, ZERO), Fork(B2, Version(A1, 9)))
    for epoch, steps_down in ((B2, True), (Epoch(9, "bras-c"), False)):
        core = standing(Role.PRIMARY, position=Position())
        core.look(Seen(UP, {"bras-b": UP}), 100.0)
        core.outputs()
        other = Taken("g1", epoch.device, epoch, lineage if steps_down else (Fork(epoch, ZERO),), 1.0)
        core.taken(other, 101.0)
        found = doings(core, Demote, TellTaken, TwoPrimaries)
        assert found[0] == TwoPrimaries(epoch.device)
        assert isinstance(found[1], Demote if steps_down else TellTaken)


def test_only_who_is_in_sync_obeys_an_operator_unless_forced() -> None:
    core = standing()
    with pytest.raises(NotReadyError, match="ask with force"):
        core.switch(force=False, by="operator", now=4.0)
    core.switch(force=True, by="operator", now=4.0)
    assert doings(core, Promote) == [Promote("asked by operator")]


def test_who_was_primary_preempts_only_after_the_time_to_restore() -> None:
    core = standing(Role.PRIMARY, ELECTED)
    core.elected(True, "first", 0.0)
    for now in (10.0, 80.0):
        core.look(Seen(UP, {"bras-b": UP}), now)
    core.outputs()
    core.elected(False, "a higher priority", 90.0)
    assert Stand(False, True) not in core.outputs()
    core.look(Seen(UP, {"bras-b": UP}), 100.0)
    assert Stand(False, True) not in core.outputs()


def master(now: float = 4.0) -> Standing:
    """The Master bras-a that has learnt at ``now`` that bras-b is primary: it serves beside it."""
    core = standing(Role.PRIMARY, ELECTED)
    core.elected(True, "no Master is heard", 1.0)
    core.superseded("bras-b", now)
    core._member.demote("bras-b is primary")
    core._member.share(True)
    assert core.core.state is MasterState.SHARING
    core.outputs()
    return core


def test_who_could_serve_nobody_is_not_made_primary_unless_by_force() -> None:
    core = standing(Role.SECONDARY, ELECTED)
    core._member.target = HELD.live
    assert core._member.in_sync
    core.look(Seen(UP, {"bras-a": UP}, stands=False), 1.0)
    with pytest.raises(NotReadyError, match="bring its access link up"):
        core.switch(force=False, by="operator", now=1.1)
    core.look(Seen(UP, {"bras-a": UP}), 1.2)
    core.switch(force=False, by="operator", now=1.3)
    assert core.core.primary


def test_who_was_made_primary_and_does_not_become_master_gives_the_role_back() -> None:
    core = standing(Role.SECONDARY, ELECTED)
    core.switch(force=True, by="operator", now=1.0)
    assert doings(core, Promote)
    core.look(Seen(UP, {"bras-a": UP}), 6.9)
    assert core.core.primary
    core.look(Seen(UP, {"bras-a": UP}), 7.0)
    assert [type(one) for one in doings(core, Demote)] == [Demote]


def test_who_was_made_primary_and_becomes_master_keeps_the_role() -> None:
    core = standing(Role.SECONDARY, ELECTED)
    core.switch(force=True, by="operator", now=1.0)
    core.elected(True, "granted", 1.1)
    core.look(Seen(UP, {"bras-a": UP}), 30.0)
    assert core.core.primary


def test_who_serves_beside_the_primary_tells_it_and_hears_that_it_is_one() -> None:
    core = master()
    told = 0
    for tenth in range(41, 300):
        now = tenth / 10
        core.look(Seen(UP, {"bras-b": UP}), now)
        if doings(core, TellShared):
            told += 1
            core.taken(Taken("g1", "bras-b", B2, (), now), now)
    assert not core.core.primary
    assert 5 <= told <= 10, "once in a link timeout"


def test_a_primary_that_says_nothing_is_none_any_more() -> None:
    core = master()
    core.look(Seen(UP, {"bras-b": UP}), 15.0)
    assert not core.core.primary
    core.look(Seen(UP, {"bras-b": UP}), 16.0)
    assert core.core.primary


def test_the_cloud_is_asked_where_the_primary_is_not_reached() -> None:
    core = master()
    core.look(Seen(UP, {"bras-b": DOWN}), 30.0)
    assert not core.core.primary
    assert len(doings(core, Ask)) == 1
    core.grant_result(GrantResult("g1", True, 5.0, "the primary is not heard of", 1), 30.2)
    assert core.core.primary


def test_the_cloud_is_asked_at_once_until_the_primary_says_itself_that_it_is_one() -> None:
    core = master()
    core.look(Seen(UP, {"bras-b": UP}), 4.2)
    assert len(doings(core, Ask)) == 1, "it has lost the election again, and there is no channel yet"
    core.grant_result(GrantResult("g1", True, 5.0, "the primary is not heard of", 1), 4.3)
    assert core.core.primary
    core = master()
    for said, asks in ((4.1, 1), (5.1, 0)):
        core.taken(Taken("g1", "bras-b", B2, (), said - 4.0), said)
        core.look(Seen(UP, {"bras-b": UP}), said + 0.1)
        assert len(doings(core, Ask)) == asks, "what it says at once may not be true any more"
    core.look(Seen(UP, {"bras-b": UP}), 10.5)
    assert doings(core, Ask) == []


def test_who_says_itself_that_it_is_primary_has_a_second_to_say_it_again() -> None:
    core = standing(Role.PRIMARY, ELECTED)
    core.elected(True, "no Master is heard", 1.0)
    core.taken(Taken("g1", "bras-b", B2, (*core._member.lineage, Fork(B2, Version(A1, 9))), 0.1), 4.0)
    assert core.core.state is MasterState.SHARING
    core.look(Seen(UP, {"bras-b": UP}), 4.2)
    assert doings(core, Ask) == []
    core.look(Seen(UP, {"bras-b": UP}), 5.0)
    assert len(doings(core, Ask)) == 1


def test_without_the_cloud_a_primary_has_time_to_say_that_it_is_one() -> None:
    core = master()
    for now in (4.2, 11.0):
        core.look(Seen(DOWN, {"bras-b": UP}), now)
    assert core.core.state is MasterState.SHARING


def test_a_primary_that_steps_down_tells_who_serves_beside_it_first() -> None:
    core = standing(Role.PRIMARY, ELECTED)
    core.elected(True, "no Master is heard", 1.0)
    core.shared("bras-b", 2.0)
    assert doings(core, TellTaken) == [TellTaken("bras-b")]
    core.look(Seen(UP, {"bras-b": UP}), 4.0)
    assert doings(core, TwoPrimaries) == [TwoPrimaries("bras-b")]
    core.elected(False, "bras-b is heard", 5.0)
    first, then = doings(core, TellFree, Demote)
    assert first == TellFree("bras-b")
    assert isinstance(then, Demote)
    core.shared("bras-b", 6.0)
    assert doings(core, TellTaken, TellFree) == [TellFree("bras-b")]


def test_who_is_told_that_the_primary_is_none_takes_over() -> None:
    core = master()
    core.free("bras-c", 5.0)
    assert not core.core.primary, "it is not the primary"
    core.free("bras-b", 5.0)
    assert core.core.primary


def test_the_alarm_ends_when_nothing_is_heard_of_the_other_half() -> None:
    core = standing(Role.PRIMARY)
    core.shared("bras-b", 2.0)
    core.look(Seen(UP, {"bras-b": UP}), 13.0)
    core.look(Seen(UP, {"bras-b": UP}), 14.0)
    assert doings(core, TwoPrimaries) == [TwoPrimaries("bras-b"), TwoPrimaries("", "bras-b")]


def test_who_goes_on_claims_above_the_other() -> None:
    core = standing(Role.PRIMARY)
    younger = Taken("g1", "bras-b", Epoch(9, "bras-b"), (Fork(Epoch(9, "bras-b"), ZERO),), 0.5)
    core.taken(younger, 30.0)
    assert doings(core, Outclaim, TellTaken) == [Outclaim(younger.epoch), TellTaken("bras-b")]
    core._member.outclaim(younger.epoch)
    assert core._member.epoch > younger.epoch
