"""Plays scenarios in a running lab: every subscriber pings and streams, while something breaks and heals."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from netconf_client import NetconfClientError
from rui.netconf.errors import RpcError
from rui_cli.errors import CliError
from rui_cli.lab import requirements
from rui_cli.lab.lab import Lab, Say
from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.pair import PAIR, Timing
from rui_cli.lab.probing import Felt
from rui_cli.lab.scenarios import SCENARIOS, Scenario

_WATCHED = 3.0
"""Seconds that the fault lasts beyond the change of role."""
_SETTLED = 1.5
"""Seconds after the last act, in which what was under way is answered."""


@dataclass
class Outcome:
    """What was seen; durations in milliseconds."""

    scenario: str
    subscribers: int
    felt: Felt | None = None
    leases_kept: bool = False
    renewals: int = 0
    role_changes: list[dict[str, object]] = field(default_factory=list)
    noticed: list[dict[str, str]] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    converged: bool = False
    failure: str = ""

    @property
    def outages(self) -> list[float]:
        """The longest time that each subscriber had no answer."""
        return [] if self.felt is None else [seat["outage_ms"] for seat in self.felt.seats]

    @property
    def lost(self) -> int:
        """How many subscribers are not answered any more."""
        return self.subscribers if self.felt is None else self.felt.lost

    @property
    def tcp_survived(self) -> int:
        """How many still have the TCP connection that they began with."""
        return 0 if self.felt is None else self.felt.streaming

    @property
    def good(self) -> bool:
        """Whether nobody lost anything."""
        kept = not self.lost and self.tcp_survived == self.subscribers and self.leases_kept
        return kept and self.converged and not self.failure

    def summary(self) -> dict[str, object]:
        """Return the result for the JSON file."""
        felt = self.felt or Felt(())
        found: dict[str, object] = {
            "scenario": self.scenario,
            "subscribers": self.subscribers,
            "outage_ms": felt.outages(),
            "lost_sessions": self.lost,
            "tcp_survived": self.tcp_survived,
            "tcp_pause_ms": felt.pauses(),
            "leases_kept": self.leases_kept,
            "renewals": self.renewals,
            "role_changes": self.role_changes,
            "converged": self.converged,
        }
        more = {"noticed": self.noticed, "connections_ended": felt.failures, "failure": self.failure}
        return {**found, **self.facts, **{name: value for name, value in more.items() if value}}


async def run_scenario(
    name: str,
    *,
    folder: Path,
    subscribers: int = 4,
    timing: Timing | None = None,
    every: float | None = None,
    say: Say = lambda _: None,
) -> Outcome:
    """Build the lab, run the scenario of that name, remove the lab; its files and logs stay in ``folder``.

    ``timing`` is that of the scenario unless given; ``every`` is the pause between a subscriber's pings in
    seconds, by their number unless given. Needs root and the main thread, which is in the operator's network
    meanwhile. Raises LabUnavailableError where it cannot run, LaunchError when a process of ours does not
    come up, CliError when the lab does not; what a scenario waited for in vain is in the outcome.
    """
    scenario = SCENARIOS[name]
    chosen = scenario.timing if timing is None else timing
    async with running_lab(folder, subscribers=subscribers, timing=chosen, every=every, say=say) as lab:
        return await play(lab, scenario, say)


@asynccontextmanager
async def running_lab(
    folder: Path, *, subscribers: int, timing: Timing, every: float | None, say: Say
) -> AsyncIterator[Lab]:
    """Give a lab that runs, and remove it after the block."""
    requirements.check(programs=requirements.CONTINUITY)
    with Namespaces(str(os.getpid())) as namespaces:
        lab = Lab(namespaces, folder, subscribers=subscribers, timing=timing, every=every, say=say)
        async with lab:
            yield lab


async def run_scenarios(
    names: Sequence[str], *, folder: Path, subscribers: int, every: float | None, say: Say
) -> list[Outcome]:
    """Run scenarios one after the other, in one lab those that can; raises as ``run_scenario`` does.

    A lab in which one has failed, or the role has moved, is not used for the next.
    """
    outcomes: list[Outcome] = []
    left = [SCENARIOS[name] for name in names]
    while left:
        timing = left[0].timing
        inside = folder / f"lab{len(outcomes) + 1}"
        inside.mkdir(mode=0o755)
        async with running_lab(inside, subscribers=subscribers, timing=timing, every=every, say=say) as lab:
            for scenario in [one for one in left if one.timing == timing]:
                left.remove(scenario)
                outcomes.append(await play(lab, scenario, say))
                if not outcomes[-1].good or not await lab.is_primary(PAIR[0]):
                    break
    return outcomes


async def play(lab: Lab, scenario: Scenario, say: Say) -> Outcome:
    """Run one scenario; what it waits for in vain is in the outcome."""
    outcome = Outcome(scenario.name, lab.subscribers.count)
    lab.facts.clear()
    begun = 0.0
    try:
        await _require_calm(lab)
        begun = await lab.probing.mark()
        await _break(lab, scenario, outcome, say)
        await _heal(lab, scenario, outcome, say)
        await asyncio.sleep(_SETTLED)
        outcome.felt = await lab.probing.felt()
    except (CliError, NetconfClientError, RpcError, TimeoutError) as error:
        outcome.failure = str(error)
    outcome.leases_kept = lab.subscribers.kept()
    outcome.facts = dict(lab.facts)
    outcome.role_changes = _role_changes(lab.folder, begun)
    return outcome


async def _require_calm(lab: Lab) -> None:
    """Have all level, and the first router primary. Raises CliError where it is not."""
    await lab.observer.until("all hold the same", lab.same)
    if not await lab.is_primary(PAIR[0]):
        raise CliError(
            f"{PAIR[0]} has lost its role before anything was broken: this machine is too busy for the timing"
        )


async def _break(lab: Lab, scenario: Scenario, outcome: Outcome, say: Say) -> None:
    await scenario.breaks(lab)
    say(f"{scenario.name}: {scenario.what}")
    primary = scenario.primary
    await lab.observer.until(f"{primary} is primary", lambda: lab.is_primary(primary))
    for noticed in scenario.noticed:
        await _judged(lab, noticed.router, noticed.far_end, noticed.state)
        found = {"link": f"{noticed.router} to {noticed.far_end}", "state": noticed.state}
        outcome.noticed.append(found)
        say(f"{found['link']} is {noticed.state}")
    await asyncio.sleep(_WATCHED)
    await lab.renew()
    outcome.renewals += 1


async def _heal(lab: Lab, scenario: Scenario, outcome: Outcome, say: Say) -> None:
    await scenario.heals(lab)
    say("healed")
    after = scenario.finally_primary
    await lab.observer.until(f"{after} is primary", lambda: lab.is_primary(after))
    for noticed in scenario.noticed:
        await _judged(lab, noticed.router, noticed.far_end, "up")
    await lab.observer.until("all hold the same", lab.same)
    await lab.renew()
    outcome.renewals += 1
    await lab.observer.until("all hold the same", lab.same)
    outcome.converged = True


async def _judged(lab: Lab, router: str, far_end: str, state: str) -> None:
    async def so() -> bool:
        return await lab.observer.link(router, far_end) == state

    await lab.observer.until(f"{router} takes its link to {far_end} for {state}", so)


def _role_changes(folder: Path, begun: float) -> list[dict[str, object]]:
    """Return what the routers' logs say of their roles, milliseconds after the fault."""
    found: list[tuple[float, dict[str, object]]] = []
    for name in PAIR:
        for line in (folder / f"{name}.log").read_text().splitlines():
            if '"role-changed"' not in line:
                continue
            event = json.loads(line)
            at = datetime.fromisoformat(event["timestamp"]).timestamp()
            if at >= begun:
                entry = {"device": name, "role": event["role"], "reason": event["reason"]}
                found.append((at, {"after_ms": round((at - begun) * 1000), **entry}))
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]
