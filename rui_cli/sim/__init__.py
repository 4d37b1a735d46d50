"""``rui sim``: the real cores of routers and cloud in one deterministic world, with everything that fails."""

from pathlib import Path
from typing import Annotated

import typer

from rui_cli.sim.roles import Roles

app = typer.Typer()


@app.callback(invoke_without_command=True)
def sim(  # noqa: PLR0917 - options, never positional on the command line
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to run.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    events: Annotated[int, typer.Option(min=1, help="Events a seed, before all heals.")] = 1000,
    roles: Annotated[Roles, typer.Option(help="Who says which router is primary.")] = Roles.CONFIGURED,
    processes: Annotated[int, typer.Option(min=1, max=256, help="Run on so many cores.")] = 1,
    json: Annotated[Path | None, typer.Option("--json", help="Write the result to this file.")] = None,
) -> None:
    """Simulate routers and cloud under faults drawn from each seed; invariants are checked at every event."""
    # Only now are the cores needed: `rui sim --help` answers at once
    from rui_cli.sim.command import simulate  # noqa: PLC0415

    wanted = range(seed, seed + seeds)
    raise typer.Exit(simulate(wanted, roles, events=events, processes=processes, file=json))
