"""Every small world: all states of three links, both initiators, all policies, every order of detection.

In each the links are up, then come into their states one after the other, and the path that comes of it is
the table's; then they heal one after the other, and the path is the cloud again.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from rui.backup.decision import Links, Path, Policy, decide
from rui.backup.identity import Role
from rui.backup.links import LinkState
from tests.simulation.small import HOLD, MAX_WAIT, TIMEOUT, A, B, SmallWorld, odds

UP, DOWN, DEGRADED = LinkState.UP, LinkState.DOWN, LinkState.DEGRADED
LETTERS = "abc"
POLICIES = [(fault, degraded) for fault in Policy for degraded in Policy]
STATES = list(itertools.product([UP, DOWN, DEGRADED], repeat=3))


def world(initiator: Role, policies: tuple[Policy, Policy]) -> SmallWorld:
    made = SmallWorld(odds(initiator, *policies))
    assert made.run_until(lambda: made.decider.links == (UP, UP, UP), 2.0)
    return made


def expected(made: SmallWorld, states: dict[str, LinkState]) -> Path:
    """Return the table's path; while c is not good the initiator goes by what it was told last."""
    seen = dict(states)
    if states["c"] is not UP:
        seen["b" if made.odds.initiator is Role.PRIMARY else "a"] = made.decider.theirs
    return decide(Links(*(seen[letter] for letter in LETTERS)), made.odds.failover.fault_policy, waited=True)


def live_through(
    initiator: Role, policies: tuple[Policy, Policy], states: dict[str, LinkState], order: Sequence[str]
) -> None:
    told = f"{initiator}, {policies}, {states}, in the order {order}"
    made = world(initiator, policies)
    for letter in order:
        made.bring(letter, states[letter])
        made.run_for(TIMEOUT / 5)
    made.run_for(3 * TIMEOUT + MAX_WAIT + HOLD + 1.0)
    want = expected(made, states)
    decider = made.decider
    assert decider.path is want, f"{told}: {decider.path}, {decider.reason}"
    assert decider.local is want.local, told
    if states["c"] is UP and want.local:
        assert {made.routers[A].peers[B].path, made.routers[B].peers[A].path} == {want}, told
    for letter in order:
        made.wire(letter).mend()
        made.run_for(TIMEOUT / 5)
    assert made.run_until(lambda: decider.path is Path.CLOUD and not decider.local, 20.0), told
    made.end()


@pytest.mark.parametrize("initiator", Role)
@pytest.mark.parametrize("states", STATES, ids=lambda states: "-".join(state.value for state in states))
def test_whatever_happens_in_whatever_order_the_path_is_the_table_s(
    initiator: Role, states: tuple[LinkState, ...]
) -> None:
    by_letter = dict(zip(LETTERS, states, strict=True))
    changed = [letter for letter in LETTERS if by_letter[letter] is not UP]
    for policies, order in itertools.product(POLICIES, itertools.permutations(changed)):
        live_through(initiator, policies, by_letter, order)
