"""The simulator finds each planted bug within a few seeds, by an invariant that the bug breaks."""

from __future__ import annotations

import pytest

from rui_cli.sim.story import live_through
from tests.simulation.planted import BUGS, Bug


def test_the_bugs_are_many_and_distinct() -> None:
    assert len({bug.name for bug in BUGS}) == len({bug.plant for bug in BUGS}) == len(BUGS) >= 23


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_simulator_finds_it(bug: Bug) -> None:
    found = []
    with bug.plant():
        for seed in bug.seeds:
            violation = live_through(seed, bug.roles).violation
            if violation is not None:
                found.append(violation)
                break
    assert found, f"{bug.name} went unnoticed in the stories of {bug.seeds}"
    assert found[0]["invariant"] in bug.breaks, found[0]
