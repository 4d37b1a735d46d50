"""The story follows from its seed, and no fault undoes another."""

from __future__ import annotations

import itertools

import pytest

from rui_cli.chaos.plan import DEVICES, LINKS, Fault, Kind, links_of, plan

SEEDS = range(30)


def test_the_same_seed_tells_the_same_story() -> None:
    assert plan(7, 60.0) == plan(7, 60.0)
    assert plan(7, 60.0) != plan(8, 60.0)


def test_a_longer_story_begins_as_the_shorter_one() -> None:
    short = [fault for fault in plan(3, 60.0) if fault.at < 40.0]
    longer = [fault for fault in plan(3, 600.0) if fault.at < 40.0]
    assert short == longer


def test_every_kind_and_every_target_comes() -> None:
    faults = list(itertools.chain.from_iterable(plan(seed, 60.0) for seed in SEEDS))
    assert {fault.kind for fault in faults} == set(Kind)
    killed = {fault.target[0] for fault in faults if fault.kind is Kind.KILLED}
    assert killed == set(DEVICES)
    ways = {fault.target for fault in faults if fault.kind is Kind.ONE_WAY}
    assert ways == {*LINKS, *(link[::-1] for link in LINKS)}


@pytest.mark.parametrize("seed", SEEDS)
def test_all_is_over_in_time_and_one_thing_has_one_fault_at_a_time(seed: int) -> None:
    faults = plan(seed, 60.0)
    assert all(0.0 < fault.at <= fault.end < 60.0 for fault in faults)
    assert faults == sorted(faults, key=lambda fault: fault.at)
    for one, other in itertools.combinations(faults, 2):
        if one.at < other.end and other.at < one.end:
            assert not touched(one) & touched(other), (one, other)


def touched(fault: Fault) -> set[frozenset[str]]:
    if fault.kind is Kind.SWITCHOVER:
        return set()
    if fault.kind is Kind.ISOLATED:
        return {frozenset(link) for link in links_of(fault.target[0])}
    return {frozenset(fault.target)}


def test_a_fault_reads_as_a_line() -> None:
    assert str(Fault(1.0, Kind.ONE_WAY, ("bras-a", "cloud"), 2.0)) == "one-way bras-a -> cloud, 2.0 s"
    assert str(Fault(1.0, Kind.SLOW, ("bras-a", "cloud"), 2.0, 0.25)) == "slow 0.25 bras-a - cloud, 2.0 s"
    assert str(Fault(1.0, Kind.KILLED, ("bras-b",), 1.5)) == "killed bras-b, 1.5 s"
