"""What the failover core does to a virtual router, beyond the RFCs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rui.vrrp.fsm import VirtualRouter
from rui.vrrp.states import State
from rui.vrrp.values import (
    GRANTED,
    BecomeBackup,
    BecomeMaster,
    OptionsError,
    VrrpOptions,
)
from tests.unit.vrrp.routers import (
    DOWN,
    OPTIONS,
    OWN,
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

    def test_a_newer_one_counts_more_than_one_that_has_done_its_work(self) -> None:
        router = following(200)
        router.grant(20.0, 10.05)
        for now in (10.15, 10.25, 10.35, 10.45):
            router.handle_timer(now)
        router.receive(heard(GRANTED), PEER, 10.5)
        assert role(router) is State.BACKUP, "the role was moved back while the first grant lasted"

    def test_a_newer_one_counts_more_than_the_one_that_it_replaces(self) -> None:
        router = following(200)
        router.receive(heard(GRANTED), THIRD, 10.0)
        router.grant(15.0, 10.05)
        router.receive(heard(GRANTED), THIRD, 10.06)
        assert role(router) is State.MASTER, "said before it had heard of the newer grant"
        for now in (10.15, 10.25, 10.35, 10.45):
            router.handle_timer(now)
        router.receive(heard(GRANTED), THIRD, 10.5)
        assert role(router) is State.BACKUP, "it has given way by then, and was granted it anew"

    def test_of_two_at_once_the_higher_address_counts(self) -> None:
        router = following(200)
        router.grant(20.0, 10.05)
        router.receive(heard(GRANTED), PEER, 10.1)
        assert role(router) is State.MASTER
        router.receive(heard(GRANTED), THIRD, 10.1)
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
