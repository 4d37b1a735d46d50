"""``rui sim``: run seeds, show what came of them, write JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path

from rich.console import Console

from rui_cli.errors import CliError, ExitCode
from rui_cli.progress import progress
from rui_cli.sim.roles import Roles
from rui_cli.sim.runner import Summary, run
from rui_cli.sim.violation import INVARIANTS

SHOWN = 20
"""More violations than this are only counted on the screen."""


def simulate(seeds: range, roles: Roles, *, events: int, processes: int, file: Path | None) -> ExitCode:
    """Tell the stories; return whether every invariant held."""
    if file is not None and not file.parent.is_dir():
        raise CliError(f"{file}: there is no such folder", remedy=f"mkdir -p {file.parent}")
    began = time.monotonic()
    with progress(Console(stderr=True), "seeds", len(seeds)) as tell:

        def told(summary: Summary) -> None:
            rate = summary.seeds / max(time.monotonic() - began, 0.001)
            tell(summary.seeds, f"{rate:.1f} a second, {len(summary.violations)} violations")

        summary = run(seeds, roles, events=events, processes=processes, told=told)
    if file is not None:
        file.write_text(json.dumps(summary.as_json(), indent=2) + "\n")
    _show(summary, roles, time.monotonic() - began)
    return ExitCode.CHECK_FAILED if summary.violations else ExitCode.OK


def _show(summary: Summary, roles: Roles, seconds: float) -> None:
    screen = Console(soft_wrap=True, highlight=False)
    screen.print(
        f"{summary.seeds} seeds, {summary.events:,} events, {summary.seeds / seconds:.1f} seeds a second, "
        f"{len(summary.violations)} violations"
    )
    for name, found in summary.coverage.report().items():
        if isinstance(found, dict) and "missing" in found:
            never = f", never: {', '.join(found['missing'])}" if found["missing"] else ""
            screen.print(f"  {name}: {found['transitions']} of {found['of']} transitions{never}")
    for violation in summary.violations[:SHOWN]:
        rule = INVARIANTS[violation["invariant"]]
        screen.print(f"seed {violation['seed']}, event {violation['event']}: {violation['what']}")
        again = f"rui sim --roles {roles.value} --seeds 1 --seed {violation['seed']}"
        screen.print(f"  breaks {violation['invariant']}: {rule}; again: {again}")
    if len(summary.violations) > SHOWN:
        screen.print(f"and {len(summary.violations) - SHOWN} more")
