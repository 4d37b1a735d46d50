"""One virtual router: what it says and becomes. Time is literal; an interval is 0.1 s."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from rui.vrrp import states
from rui.vrrp.fsm import VirtualRouter
from rui.vrrp.packet import Advertisement, Fault
from rui.vrrp.states import State
from rui.vrrp.values import (
    GRANTED,
    Announce,
    BecomeBackup,
    BecomeMaster,
    OptionsError,
    Output,
    Send,
    Source,
    Stop,
    VrrpOptions,
)

VIRTUAL = (IPv4Address("192.0.2.254"),)
OWN, PEER, THIRD = (Source(IPv4Address(f"192.0.2.{last}")) for last in (2, 1, 3))
OPTIONS = VrrpOptions(51, VIRTUAL, priority=100, interval=10)
OWNER = replace(OPTIONS, priority=255)
YIELDS = replace(OPTIONS, yield_needs_grant=True)
DOWN = 0.3 + 156 / 256 * 0.1
"""Master_Down_Interval of priority 100."""


def heard(priority: int, interval: int = 10, version: int = 3) -> Advertisement:
    return Advertisement(version, 51, priority, interval, VIRTUAL)


def started(options: VrrpOptions = OPTIONS, now: float = 0.0) -> VirtualRouter:
    router = VirtualRouter(options, OWN, now)
    router.start(now)
    router.outputs()
    return router


def master(options: VrrpOptions = OPTIONS, now: float = 10.0) -> VirtualRouter:
    """Return a router that has just become Master."""
    router = started(options, now - DOWN)
    router.handle_timer(now)
    assert role(router) is State.MASTER
    router.outputs()
    return router


def following(priority: int, options: VrrpOptions = OPTIONS, now: float = 10.0) -> VirtualRouter:
    """Return a Backup that has just heard a Master of that priority, whom it may not judge yet."""
    router = started(options, now)
    router.receive(heard(200), PEER, now)
    router.receive(heard(priority), PEER, now)
    return router


def role(router: VirtualRouter) -> State:
    return router.state


def sent(outputs: list[Output]) -> list[int]:
    """Return the priorities that were advertised."""
    return [output.advertisement.priority for output in outputs if isinstance(output, Send)]


def deadline(router: VirtualRouter) -> float:
    found = router.next_deadline()
    assert found is not None
    return found


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
        assert router.outputs()[1] == BecomeMaster("preempts 192.0.2.1")

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


class TestPriority:
    def test_a_master_says_its_new_priority_at_once(self) -> None:
        router = master()
        router.set_priority(50, "the uplink is down", 10.02)
        router.set_priority(50, "the uplink is down", 10.03)
        assert sent(router.outputs()) == [50]
        assert router.priority_reason == "the uplink is down"

    def test_a_backup_says_nothing(self) -> None:
        router = following(100)
        router.set_priority(150, "the uplink is back", 10.05)
        router.receive(heard(100), PEER, 10.1)
        assert router.outputs() == []
        assert deadline(router) == pytest.approx(10.0 + DOWN)

    @pytest.mark.parametrize("priority", [0, 255])
    def test_what_tracking_cannot_say(self, priority: int) -> None:
        with pytest.raises(ValueError, match="is not in 1 to 254"):
            started().set_priority(priority, "no", 0.0)


class TestYield:
    def test_a_yielding_master_forwards_until_another_is_heard(self) -> None:
        router = master(YIELDS)
        router.set_priority(1, "cloud and peers are out of reach", 10.05)
        for tick in range(1, 50):
            router.handle_timer(10.05 + tick / 10)
        assert role(router) is State.MASTER
        assert set(sent(router.outputs())) == {1}
        router.receive(heard(100), PEER, 15.0)
        assert role(router) is State.BACKUP

    def test_it_is_replaced_only_with_a_grant(self) -> None:
        router = following(1, YIELDS)
        for tick in range(1, 20):
            router.receive(heard(1), PEER, 10 + tick / 10)
            router.handle_timer(10 + tick / 10)
        assert role(router) is State.BACKUP
        router.grant(17.0, 12.0)
        assert role(router) is State.MASTER

    def test_without_that_option_priority_1_is_like_any_other(self) -> None:
        router = following(1)
        router.handle_timer(10.0 + DOWN)
        assert role(router) is State.MASTER

    @pytest.mark.parametrize("priority", [255, 254, 1])
    def test_priorities_with_a_meaning_are_refused_in_such_a_group(self, priority: int) -> None:
        with pytest.raises(OptionsError, match="set 2 to 253"):
            replace(YIELDS, priority=priority)


class TestGrant:
    @pytest.mark.parametrize("options", [OPTIONS, replace(OPTIONS, preempt=False), YIELDS])
    def test_a_granted_backup_takes_over_from_a_superior_master_at_once(self, options: VrrpOptions) -> None:
        router = following(200, options)
        router.allow_preemption(False, 10.0)
        router.grant(15.0, 10.05)
        outputs = router.outputs()
        assert sent(outputs) == [GRANTED]
        assert BecomeMaster("the cloud has granted it") in outputs

    def test_the_one_that_is_replaced_gives_way(self) -> None:
        router = master(replace(OPTIONS, priority=253))
        router.receive(heard(GRANTED), PEER, 10.05)
        assert role(router) is State.BACKUP

    def test_when_it_lapses_the_own_priority_is_back(self) -> None:
        router = following(200)
        router.grant(10.25, 10.05)
        router.handle_timer(10.15)
        router.handle_timer(10.26)
        assert sent(router.outputs()) == [GRANTED, GRANTED, 100]

    def test_one_that_has_lapsed_is_worth_nothing(self) -> None:
        router = following(200)
        router.grant(10.0, 10.05)
        router.receive(heard(200), PEER, 10.1)
        assert role(router) is State.BACKUP

    def test_before_the_start_it_is_kept_while_it_lasts(self) -> None:
        router = VirtualRouter(OPTIONS, OWN, 0.0)
        router.grant(5.0, 0.0)
        router.start(1.0)
        assert role(router) is State.BACKUP
        router.receive(heard(200), PEER, 1.1)
        assert role(router) is State.MASTER

    def test_it_is_void_once_the_granted_one_was_replaced(self) -> None:
        router = following(200)
        router.grant(20.0, 10.05)
        router.receive(heard(255), THIRD, 10.1)
        router.receive(heard(255), THIRD, 10.2)
        assert role(router) is State.BACKUP

    def test_it_is_void_once_the_granted_one_yields(self) -> None:
        router = following(200, YIELDS)
        router.grant(20.0, 10.05)
        router.set_priority(1, "cut off", 10.06)
        router.grant(20.0, 10.07)
        assert sent(router.outputs()) == [GRANTED, 1]

    def test_a_master_says_it(self) -> None:
        router = master()
        router.grant(20.0, 10.05)
        assert sent(router.outputs()) == [GRANTED]


class TestBfd:
    def test_a_dead_master_is_replaced_at_once(self) -> None:
        router = following(200)
        router.bfd_down(10.02)
        assert router.outputs()[1] == BecomeMaster("the Master is dead by BFD")

    def test_the_death_of_somebody_else_changes_nothing(self) -> None:
        router = following(200)
        router.bfd_down(10.02, THIRD)
        assert role(router) is State.BACKUP
        router.bfd_down(10.02, PEER)
        assert role(router) is State.MASTER

    def test_a_master_stays_one(self) -> None:
        router = master()
        router.bfd_down(10.02)
        assert router.outputs() == []


class TestStandstill:
    def test_a_master_that_stood_still_is_backup_first(self) -> None:
        router = master()
        router.handle_timer(10.1 + DOWN)
        assert router.outputs() == [BecomeBackup(f"this process stood still for {0.1 + DOWN:.3g} s")]
        assert deadline(router) == pytest.approx(10.1 + 2 * DOWN)

    def test_a_master_that_is_a_little_late_stays_one(self) -> None:
        router = master()
        router.handle_timer(10.3)
        assert sent(router.outputs()) == [100]

    @pytest.mark.parametrize("hook", ["receive", "set_priority", "bfd_down", "grant", "allow_preemption"])
    def test_whatever_wakes_it(self, hook: str) -> None:
        router = master()
        match hook:
            case "receive":
                router.receive(heard(50), PEER, 12.0)
            case "set_priority":
                router.set_priority(50, "late", 12.0)
            case "bfd_down":
                router.bfd_down(12.0)
            case "grant":
                router.grant(15.0, 12.0)
            case _:
                router.allow_preemption(True, 12.0)
        assert role(router) is State.BACKUP
        assert sent(router.outputs()) == []

    def test_a_backup_listens_anew_before_it_takes_over(self) -> None:
        router = following(200)
        router.handle_timer(12.0)
        assert (router.state, router.outputs()) == (State.BACKUP, [])
        router.handle_timer(12.0 + DOWN)
        assert role(router) is State.MASTER

    def test_evidence_of_the_standstill_does_not_count(self) -> None:
        router = following(200)
        router.bfd_down(12.0)
        router.bfd_down(12.1)
        assert role(router) is State.BACKUP
        router.receive(heard(200), PEER, 12.2)
        router.bfd_down(12.0 + DOWN)
        assert role(router) is State.MASTER

    def test_a_grant_waits_until_the_others_were_heard(self) -> None:
        router = following(200)
        router.grant(17.0, 12.0)
        router.receive(heard(200), PEER, 12.1)
        assert role(router) is State.BACKUP
        router.receive(heard(200), PEER, 12.0 + DOWN)
        assert role(router) is State.MASTER


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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vrid": 0}, "virtual router id 0"),
        ({"priority": 0}, "priority 0"),
        ({"interval": 0}, "interval 0"),
        ({"interval": 4096}, "1 to 4095"),
        ({"version": 4}, "no VRRP version 4"),
        ({"version": 2}, "use version 3"),
        ({"preempt_delay": -1.0}, "negative"),
        ({"addresses": ()}, "one family"),
        ({"addresses": VIRTUAL * 2}, "stands twice"),
        ({"addresses": (*VIRTUAL, IPv6Address("fe80::1"))}, "one family"),
        ({"addresses": (IPv6Address("2001:db8::1"),)}, "must be link-local"),
        ({"addresses": (IPv6Address("fe80::1"),), "compatible": True}, "version 3 only"),
    ],
)
def test_options_that_cannot_work(change: dict[str, object], said: str) -> None:
    with pytest.raises(OptionsError, match=said):
        replace(OPTIONS, **change)  # type: ignore[arg-type]
