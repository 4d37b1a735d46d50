"""One virtual router by the RFCs: what it says and becomes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from rui.vrrp import states
from rui.vrrp.fsm import VirtualRouter
from rui.vrrp.packet import Fault
from rui.vrrp.states import State
from rui.vrrp.values import (
    Announce,
    BecomeBackup,
    BecomeMaster,
    Claim,
    Send,
    Source,
    Stop,
    VrrpOptions,
)
from tests.unit.vrrp.routers import (
    DOWN,
    OPTIONS,
    OWN,
    OWNER,
    PEER,
    THIRD,
    YIELDS,
    deadline,
    following,
    heard,
    master,
    role,
    sent,
    started,
)


class TestStart:
    def test_it_listens_first(self) -> None:
        router = VirtualRouter(OPTIONS, OWN, 0.0)
        assert router.next_deadline() is None
        router.start(1.0)
        assert router.outputs() == [BecomeBackup("started")]
        assert deadline(router) == pytest.approx(1.0 + DOWN)

    def test_nobody_else_there(self) -> None:
        router = started()
        router.handle_timer(DOWN)
        first, second, third = router.outputs()
        assert first == Send(heard(100))
        assert second == BecomeMaster("no Master is heard")
        assert third == Announce()
        assert deadline(router) == pytest.approx(DOWN + 0.1)

    def test_an_owner_waits_for_nobody(self) -> None:
        router = VirtualRouter(OWNER, OWN, 0.0)
        router.start(0.0)
        assert role(router) is State.MASTER
        assert sent(router.outputs()) == [255]

    def test_an_owner_gives_way_to_nobody(self) -> None:
        router = VirtualRouter(OWNER, OWN, 0.0)
        router.start(0.0)
        router.receive(heard(255), THIRD, 0.05)
        router.set_priority(1, "tracking", 0.05)
        assert (router.state, router.priority) == (State.MASTER, 255)

    def test_before_it_nothing_counts(self) -> None:
        router = VirtualRouter(OPTIONS, OWN, 0.0)
        router.receive(heard(200), PEER, 0.0)
        router.handle_timer(9.0)
        router.bfd_down(9.0)
        router.shutdown("again", 9.0)
        assert (router.state, router.outputs(), router.counters.received) == (State.INITIALIZE, [], 0)


class TestMaster:
    def test_it_speaks_at_every_interval(self) -> None:
        router = master()
        router.handle_timer(10.1)
        router.handle_timer(10.15)
        router.handle_timer(10.2)
        assert sent(router.outputs()) == [100, 100]

    def test_it_announces_three_times(self) -> None:
        router = master()
        told = 0
        for tick in range(1, 40):
            router.handle_timer(10.0 + tick / 10)
            told += router.outputs().count(Announce())
        assert told == 2

    @pytest.mark.parametrize(
        ("priority", "source", "state"),
        [
            (101, PEER, State.BACKUP),
            (100, THIRD, State.BACKUP),
            (100, PEER, State.MASTER),
            (99, THIRD, State.MASTER),
        ],
    )
    def test_the_higher_priority_wins_and_then_the_higher_address(
        self, priority: int, source: Source, state: State
    ) -> None:
        router = master()
        router.receive(heard(priority), source, 10.05)
        assert role(router) is state

    def test_a_superior_one_is_followed(self) -> None:
        router = master()
        router.receive(heard(200), PEER, 10.05)
        assert router.outputs() == [BecomeBackup("192.0.2.1 is Master with priority 200")]
        assert deadline(router) == pytest.approx(10.05 + DOWN)

    def test_an_inferior_one_is_answered(self) -> None:
        router = master()
        router.receive(heard(50), PEER, 10.05)
        assert sent(router.outputs()) == [100]

    def test_an_answer_that_was_put_off_comes_soon(self) -> None:
        router = master()
        router.receive(heard(50), PEER, 10.001)
        assert router.outputs() == []
        assert deadline(router) == pytest.approx(10.01)

    def test_two_that_disagree_do_not_flood_the_link(self) -> None:
        router = master()
        for tick in range(100):
            now = 10.0 + tick / 1000
            router.receive(heard(50), PEER, now)
            router.handle_timer(now)
        assert 5 < len(sent(router.outputs())) <= 10

    def test_a_resignation_is_answered_before_the_others_take_over(self) -> None:
        router = master()
        router.receive(heard(0), PEER, 10.001)
        assert sent(router.outputs()) == [100]

    def test_on_shutdown_it_resigns(self) -> None:
        router = master()
        router.shutdown("the operator stops it", 10.05)
        assert router.outputs() == [Send(heard(0)), Stop("the operator stops it")]
        assert router.next_deadline() is None
        assert router.counters.resignations_sent == 1

    def test_its_own_words_come_back(self) -> None:
        router = master()
        router.receive(heard(100), OWN, 10.05)
        assert router.outputs() == []


class TestBackup:
    def test_a_silent_master_is_replaced(self) -> None:
        router = started()
        router.receive(heard(200), PEER, 1.0)
        router.handle_timer(1.0 + DOWN)
        assert router.outputs()[1] == BecomeMaster("the Master 192.0.2.1 is silent")

    def test_a_living_master_is_not(self) -> None:
        router = started()
        for tick in range(50):
            router.receive(heard(100), PEER, tick / 10)
            router.handle_timer(tick / 10)
        assert (router.state, router.outputs()) == (State.BACKUP, [])

    def test_the_master_s_interval_is_learnt(self) -> None:
        router = started()
        router.receive(heard(200, interval=100), PEER, 1.0)
        assert deadline(router) == pytest.approx(1.0 + 3 + 156 / 256)
        router.receive(heard(200, interval=1), PEER, 1.5)
        assert deadline(router) == pytest.approx(1.5 + (3 + 156 / 256) / 100)

    def test_as_master_it_has_its_own_interval_again(self) -> None:
        router = started()
        router.receive(heard(200, interval=100), PEER, 1.0)
        router.handle_timer(5.0)
        assert deadline(router) == pytest.approx(5.1)

    def test_where_it_replaces_a_master_it_claims_the_mac_for_a_while(self) -> None:
        router = started(now=0.9)
        router.receive(heard(200), PEER, 1.0)
        router.bfd_down(1.1, PEER)
        (claim,) = [output for output in router.outputs() if isinstance(output, Claim)]
        assert claim.seconds == pytest.approx(0.3)
        alone = started()
        alone.handle_timer(DOWN)
        assert role(alone) is State.MASTER
        assert not [output for output in alone.outputs() if isinstance(output, Claim)]

    def test_a_resignation_leaves_the_skew_alone(self) -> None:
        router = following(200)
        router.receive(heard(0), PEER, 10.05)
        assert deadline(router) == pytest.approx(10.05 + 156 / 256 * 0.1)
        router.handle_timer(deadline(router))
        assert router.reason == "the Master 192.0.2.1 has resigned"

    def test_the_best_backup_speaks_first(self) -> None:
        best, other = started(replace(OPTIONS, priority=250)), started()
        assert deadline(best) < deadline(other)

    def test_on_shutdown_it_says_nothing(self) -> None:
        router = started()
        router.shutdown("enough", 0.1)
        assert router.outputs() == [Stop("enough")]


class TestPreemption:
    def test_an_inferior_master_is_replaced_at_the_end_of_the_timer(self) -> None:
        router = following(50)
        router.receive(heard(50), PEER, 10.2)
        assert deadline(router) == pytest.approx(10.0 + DOWN)
        router.handle_timer(10.0 + DOWN)
        # A live Master forwards until it hears of it: so it is done first, then said
        done, said, *_ = router.outputs()
        assert done == BecomeMaster("preempts 192.0.2.1")
        assert sent([said]) == [100]

    def test_an_equal_one_is_not(self) -> None:
        router = following(100)
        router.receive(heard(100), PEER, 10.2)
        assert deadline(router) == pytest.approx(10.2 + DOWN)

    def test_not_in_non_preempt_mode(self) -> None:
        router = following(50, replace(OPTIONS, preempt=False))
        router.receive(heard(50), PEER, 10.2)
        assert deadline(router) == pytest.approx(10.2 + DOWN)

    def test_not_while_the_gate_is_shut(self) -> None:
        router = following(50)
        router.allow_preemption(False, 10.1)
        router.receive(heard(50), PEER, 10.2)
        assert deadline(router) == pytest.approx(10.2 + DOWN)
        router.allow_preemption(True, 10.25)
        router.receive(heard(50), PEER, 10.3)
        router.handle_timer(10.2 + DOWN)
        assert role(router) is State.MASTER

    def test_not_when_the_gate_shuts_before_its_time_has_come(self) -> None:
        router = following(50)
        router.allow_preemption(True, 10.1)
        router.receive(heard(50), PEER, 10.2)
        router.allow_preemption(False, 10.25)
        assert deadline(router) == pytest.approx(10.25 + DOWN)
        router.receive(heard(50), PEER, 10.3)
        router.handle_timer(10.25 + DOWN)
        assert role(router) is State.BACKUP

    @pytest.mark.parametrize("options", [OPTIONS, replace(OPTIONS, preempt=False), YIELDS])
    def test_a_silent_one_is_replaced_whatever_the_gates_say(self, options: VrrpOptions) -> None:
        router = following(50, options)
        router.allow_preemption(False, 10.0)
        router.receive(heard(1), PEER, 10.1)
        router.handle_timer(10.1 + DOWN)
        assert router.reason == "the Master 192.0.2.1 is silent"

    def test_the_delay_counts_from_the_first_inferior_advertisement(self) -> None:
        router = following(200, replace(OPTIONS, preempt_delay=2.0))
        now = 10.0
        while role(router) is State.BACKUP and now < 20:
            now += 0.1
            router.handle_timer(now)
            router.receive(heard(50), PEER, now)
        assert 12.0 + DOWN < now < 12.3 + DOWN

    def test_the_delay_starts_again_behind_a_superior_master(self) -> None:
        router = following(50, replace(OPTIONS, preempt_delay=2.0))
        for tick in range(1, 15):
            router.receive(heard(50), PEER, 10 + tick / 10)
        router.receive(heard(200), THIRD, 11.5)
        for tick in range(1, 15):
            router.receive(heard(50), PEER, 11.5 + tick / 10)
            router.handle_timer(11.5 + tick / 10)
        assert role(router) is State.BACKUP


class TestVersions:
    V2 = replace(OPTIONS, version=2, interval=100)

    def test_version_2_has_its_skew_in_seconds(self) -> None:
        router = started(self.V2)
        assert deadline(router) == pytest.approx(3 + 156 / 256)

    def test_version_2_does_not_learn_an_interval(self) -> None:
        router = started(self.V2)
        router.receive(heard(200, 200, version=2), PEER, 1.0)
        assert (router.master, router.counters.faults[Fault.INTERVAL]) == (None, 1)

    def test_one_version_does_not_hear_the_other(self) -> None:
        router = started()
        router.receive(heard(200, 100, version=2), PEER, 0.1)
        assert (router.master, router.counters.faults[Fault.VERSION]) == (None, 1)

    def test_a_compatible_one_speaks_both(self) -> None:
        router = started(replace(OPTIONS, compatible=True))
        router.handle_timer(DOWN)
        first, second = (output for output in router.outputs() if isinstance(output, Send))
        assert (first.advertisement.version, first.advertisement.interval) == (3, 10)
        assert (second.advertisement.version, second.advertisement.interval) == (2, 100)

    def test_a_compatible_one_hears_both_and_prefers_version_3(self) -> None:
        router = started(replace(OPTIONS, compatible=True))
        router.receive(heard(200, 100, version=2), PEER, 0.1)
        assert deadline(router) == pytest.approx(0.1 + 3 + 156 / 256)
        router.receive(heard(200), PEER, 0.2)
        router.receive(heard(200, 100, version=2), PEER, 0.2)
        assert deadline(router) == pytest.approx(0.2 + DOWN)


class TestCounters:
    def test_what_is_counted(self) -> None:
        router = master()
        other = replace(heard(50), addresses=(IPv4Address("192.0.2.99"),))
        router.receive(other, PEER, 10.05)
        router.receive(replace(other, vrid=9), PEER, 10.06)
        router.receive(heard(0), PEER, 10.07)
        router.refused(Fault.CHECKSUM)
        counters = router.counters
        assert (counters.received, counters.address_list_errors, counters.resignations_received) == (2, 1, 1)
        assert counters.faults == {Fault.VRID: 1, Fault.CHECKSUM: 1}
        assert (counters.master_transitions, counters.sent) == (1, 3)

    def test_the_last_change_is_known(self) -> None:
        router = master()
        router.receive(heard(200), PEER, 10.05)
        assert (router.since, router.last_event) == (10.05, states.SuperiorHeard)
