"""A router's standing: what makes it take the role, ask for it, yield it and give it up."""

from __future__ import annotations

from rui.backup.mastership import (
    IGNORED,
    TRANSITIONS,
    AskGrant,
    Changed,
    Demote,
    Event,
    MasterOptions,
    Mastership,
    MasterState,
    Output,
    Promote,
    Share,
    Stand,
    UseGrant,
)

ELECTED = MasterOptions(elected=True, wait_to_restore=60.0)


def doings(core: Mastership) -> list[Output]:
    return [output for output in core.outputs() if not isinstance(output, Changed)]


def test_every_pair_of_state_and_event_is_a_transition_or_ignored() -> None:
    pairs = {(state, event) for state in MasterState for event in Event}
    assert set(TRANSITIONS) | IGNORED == pairs
    assert not set(TRANSITIONS) & IGNORED


def test_a_secondary_that_reaches_only_the_cloud_asks_until_it_is_granted() -> None:
    core = Mastership(MasterOptions(), primary=False)
    core.evidence(cloud=True, peer=True, synced=True, now=0.0)
    assert doings(core) == []
    core.evidence(cloud=True, peer=False, synced=True, now=10.0)
    assert core.state is MasterState.ASKING
    assert core.next_deadline() == 10.0
    core.handle_timer(10.0)
    core.handle_timer(10.5)
    core.handle_timer(11.0)
    assert doings(core) == [AskGrant(), AskGrant()]
    core.grant_result(False, 0.0, "bras-a holds its lease", 11.2)
    assert core.state is MasterState.ASKING
    core.grant_result(True, 5.0, "the primary is not heard of", 12.0)
    (promote,) = doings(core)
    assert isinstance(promote, Promote)
    assert core.primary
    assert core.next_deadline() is None


def test_it_stops_asking_when_the_primary_is_reached_again_or_the_cloud_is_not() -> None:
    for cloud, peer in ((True, True), (False, False)):
        core = Mastership(MasterOptions(), primary=False)
        core.evidence(cloud=True, peer=False, synced=True, now=0.0)
        core.evidence(cloud=cloud, peer=peer, synced=True, now=1.0)
        assert core.state is MasterState.SECONDARY
        core.grant_result(True, 5.0, "late", 2.0)
        assert not core.primary, "a grant that came too late changes nothing"


def test_only_an_operator_moves_a_group_that_is_not_automatic() -> None:
    core = Mastership(MasterOptions(automatic=False), primary=False)
    core.evidence(cloud=True, peer=False, synced=True, now=0.0)
    assert core.state is MasterState.SECONDARY
    core.ordered("asked by operator", 1.0)
    assert doings(core) == [Promote("asked by operator")]


def test_a_primary_that_reaches_nobody_yields_and_serves_on() -> None:
    core = Mastership(ELECTED, primary=True)
    core.evidence(cloud=True, peer=True, synced=True, now=0.0)
    assert doings(core) == [Stand(yields=False, preempts=False)]
    core.evidence(cloud=False, peer=False, synced=True, now=1.0)
    assert doings(core) == [Stand(yields=True, preempts=False)]
    assert core.primary
    core.evidence(cloud=False, peer=True, synced=True, now=2.0)
    assert doings(core) == [Stand(yields=False, preempts=False)]
    assert core.state is MasterState.PRIMARY


def test_who_is_superseded_steps_down_whatever_its_standing() -> None:
    for alone in (False, True):
        core = Mastership(MasterOptions(), primary=True)
        core.evidence(cloud=not alone, peer=not alone, synced=True, now=0.0)
        core.superseded("bras-b", 1.0)
        assert doings(core) == [Demote("bras-b is primary under a newer epoch")]


def test_an_election_may_preempt_only_in_sync_for_the_time_to_restore() -> None:
    core = Mastership(ELECTED, primary=False)
    core.evidence(cloud=True, peer=True, synced=True, now=0.0)
    assert doings(core) == [Stand(yields=False, preempts=False)]
    assert core.next_deadline() == 60.0
    core.evidence(cloud=True, peer=True, synced=False, now=30.0)
    core.evidence(cloud=True, peer=True, synced=True, now=40.0)
    core.handle_timer(60.0)
    assert doings(core) == []
    core.handle_timer(100.0)
    assert doings(core) == [Stand(yields=False, preempts=True)]
    assert core.next_deadline() is None


def test_with_an_election_a_grant_lets_it_preempt_and_the_election_decides() -> None:
    core = Mastership(ELECTED, primary=False)
    core.evidence(cloud=True, peer=False, synced=True, now=0.0)
    core.grant_result(True, 5.0, "the primary is not heard of", 1.0)
    assert UseGrant(6.0) in doings(core)
    assert not core.primary
    core.elected(True, "VRRP: the Master is silent", 2.0)
    assert doings(core) == [Promote("VRRP: the Master is silent")]
    core.elected(False, "VRRP: a higher priority", 3.0)
    assert doings(core) == [Demote("VRRP: a higher priority")]


def sharing() -> Mastership:
    """A Master that has learnt that another is primary."""
    core = Mastership(ELECTED, primary=False)
    core.elected(True, "VRRP: no Master is heard", 0.0)
    core.superseded("bras-b", 1.0)
    assert core.state is MasterState.SHARING
    core.outputs()
    return core


def test_a_master_that_is_superseded_serves_on_beside_the_primary() -> None:
    core = Mastership(ELECTED, primary=False)
    core.elected(True, "VRRP: no Master is heard", 0.0)
    core.superseded("bras-b", 1.0)
    kinds = [type(output) for output in core.outputs() if isinstance(output, Promote | Demote | Share)]
    assert kinds == [Promote, Demote, Share]
    assert not core.primary
    core.elected(False, "VRRP: bras-b is heard", 2.0)
    assert core.state is MasterState.SECONDARY
    assert doings(core) == [Share(False)]


def test_who_is_no_master_serves_nobody_when_it_is_superseded() -> None:
    core = Mastership(MasterOptions(), primary=True)
    core.superseded("bras-b", 1.0)
    assert core.state is MasterState.SECONDARY


def test_who_serves_beside_a_primary_that_is_gone_becomes_primary() -> None:
    core = sharing()
    core.unled("bras-b is primary no more", 2.0)
    assert [type(output) for output in doings(core)] == [Share, Promote]
    core = sharing()
    core.evidence(cloud=False, peer=False, synced=False, now=2.0)
    assert core.state is MasterState.PRIMARY


def test_who_serves_beside_a_primary_asks_the_cloud_while_it_does_not_reach_it() -> None:
    core = sharing()
    core.evidence(cloud=True, peer=True, synced=True, now=2.0)
    core.handle_timer(2.0)
    assert AskGrant() not in core.outputs()
    core.evidence(cloud=True, peer=False, synced=True, now=3.0)
    core.handle_timer(3.0)
    assert AskGrant() in core.outputs()
    core.grant_result(False, 0.0, "bras-b holds its lease", 3.1)
    assert not core.primary
    core.grant_result(True, 5.0, "the primary is not heard of", 4.0)
    assert core.primary


def test_who_is_out_of_sync_may_not_preempt_any_more_at_once() -> None:
    mine = Mastership(MasterOptions(elected=True, wait_to_restore=60.0), primary=False)
    mine.evidence(cloud=True, peer=True, synced=True, now=0.0)
    mine.handle_timer(60.0)
    assert Stand(False, True) in mine.outputs()
    mine.out_of_sync(61.0)
    assert mine.outputs() == [Stand(False, False)]
