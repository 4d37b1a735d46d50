"""Many seeds, on one core or several, and what came of them."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rui_cli.sim.coverage import Coverage
from rui_cli.sim.roles import Roles
from rui_cli.sim.story import EVENTS, Outcome, live_through

BLOCK = 20
"""So many seeds are run between two signs of progress, by one process."""


@dataclass
class Summary:
    """What came of some seeds."""

    seeds: int = 0
    events: int = 0
    violations: list[dict[str, Any]] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)

    def add(self, other: Summary) -> None:
        """Take what came of others."""
        self.seeds += other.seeds
        self.events += other.events
        self.violations += other.violations
        self.coverage.add(other.coverage.seen)

    def as_json(self) -> dict[str, Any]:
        """Return it in the form of ``rui sim --json``."""
        return {
            "seeds": self.seeds,
            "events": self.events,
            "violations": sorted(self.violations, key=lambda found: int(found["seed"])),
            "coverage": self.coverage.report(),
        }


def run_block(seeds: Sequence[int], roles: Roles = Roles.ANY, *, events: int = EVENTS) -> Summary:
    """Tell the stories of some seeds, one after the other."""
    summary = Summary()
    # A world is thousands of small objects, most of them gone with it; what was there before is no garbage
    gc.disable()
    gc.freeze()
    try:
        with summary.coverage.watching():
            for seed in seeds:
                outcome: Outcome = live_through(seed, roles, coverage=summary.coverage, events=events)
                summary.seeds += 1
                summary.events += outcome.events
                if outcome.violation is not None:
                    summary.violations.append(outcome.violation)
    finally:
        gc.collect()
        gc.unfreeze()
        gc.enable()
    return summary


def run(
    seeds: range, roles: Roles, *, events: int, processes: int, told: Callable[[Summary], None]
) -> Summary:
    """Tell so many stories; ``told`` is called with what is known after each block."""
    blocks = [seeds[start : start + BLOCK] for start in range(0, len(seeds), BLOCK)]
    summary = Summary()
    work = partial(run_block, roles=roles, events=events)
    for found in _each(work, blocks, processes):
        summary.add(found)
        told(summary)
    return summary


def _each(
    work: Callable[[Sequence[int]], Summary], blocks: Sequence[range], processes: int
) -> Iterator[Summary]:
    if processes == 1:
        yield from map(work, blocks)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(work, blocks)
