"""Every small world: all states of three links, both initiators, all policies, every order of detection.

In each the links are up, then come into their states one after the other, and the path that comes of it is
the table's; then they heal one after the other, and the path is the cloud again.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from rui.backup.decision import Links, Path, Policy, decide
from rui.backup.failover import FailoverOptions
from rui.backup.identity import Role
from rui.backup.links import LinkOptions, LinkState
from tests.simulation.failover import OTHER, RBS, FailoverWorld, Setting
from tests.simulation.world import PRIMARY, SECONDARY

UP, DOWN, DEGRADED = LinkState.UP, LinkState.DOWN, LinkState.DEGRADED
LINKS = (PRIMARY, SECONDARY, RBS)
TIMEOUT, HOLD, MAX_WAIT = 0.5, 0.5, 2.0
POLICIES = [(fault, degraded) for fault in Policy for degraded in Policy]
STATES = list(itertools.product([UP, DOWN, DEGRADED], repeat=3))


def world(initiator: Role, policies: tuple[Policy, Policy]) -> FailoverWorld:
    """A world without faults of its own, all links up."""
    link = LinkOptions(timeout=TIMEOUT, hold=HOLD, window=HOLD)
    options = FailoverOptions(*policies, max_wait=MAX_WAIT, hold=HOLD, query_timeout=0.2, start_pause=0.2)
    made = FailoverWorld(0, Setting(initiator, link, options))
    let_pass(made, 2.0)
    assert made.decider.links == (UP, UP, UP)
    return made


def let_pass(world: FailoverWorld, seconds: float) -> None:
    end = world.clock.now + seconds
    while world.clock.now < end:
        world.clock.step()


def bring(world: FailoverWorld, name: str, state: LinkState) -> None:
    """Bring a link into a state, from any other."""
    world.restore(name)
    if state is DOWN:
        world.isolate(name)
    elif state is DEGRADED:
        world.links[name].delay = 0.12 if name == RBS else 0.16


def expected(world: FailoverWorld, states: dict[str, LinkState], options: FailoverOptions) -> Path:
    """Return the table's path; while c is not good the initiator goes by what it was told last."""
    seen = dict(states)
    if states[RBS] is not UP:
        seen[OTHER[world.dialler]] = world.decider.theirs
    return decide(Links(*(seen[name] for name in LINKS)), options.fault_policy, waited=True)


def live_through(
    initiator: Role, policies: tuple[Policy, Policy], states: dict[str, LinkState], order: Sequence[str]
) -> None:
    told = f"{initiator}, {policies}, {states}, in the order {order}"
    made = world(initiator, policies)
    for name in order:
        bring(made, name, states[name])
        let_pass(made, TIMEOUT / 5)
    let_pass(made, 3 * TIMEOUT + MAX_WAIT + 2.0)
    want = expected(made, states, made.setting.options)
    assert made.decider.path is want, f"{told}: {made.state()}"
    assert made.decider.local is want.local, f"{told}: {made.state()}"
    if states[RBS] is UP and want.local:
        assert made.sides[OTHER[made.dialler]].told is want, f"{told}: {made.state()}"
    for name in order:
        made.restore(name)
        let_pass(made, TIMEOUT / 5)
    end = made.clock.now + 30.0
    while not made.converged():
        assert made.clock.now < end, f"{told}: not back on the cloud path: {made.state()}"
        made.clock.step()


@pytest.mark.parametrize("initiator", Role)
@pytest.mark.parametrize("states", STATES, ids=lambda states: "-".join(state.value for state in states))
def test_whatever_happens_in_whatever_order_the_path_is_the_table_s(
    initiator: Role, states: tuple[LinkState, ...]
) -> None:
    by_name = dict(zip(LINKS, states, strict=True))
    changed = [name for name in LINKS if by_name[name] is not UP]
    for policies, order in itertools.product(POLICIES, itertools.permutations(changed)):
        live_through(initiator, policies, by_name, order)
