"""``rui chaos``: three real processes under load, everything that fails, and a proof that nothing is lost."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.callback(invoke_without_command=True)
def chaos(
    seconds: Annotated[float, typer.Option(min=1, max=86_400, help="How long things go wrong.")] = 60.0,
    seed: Annotated[
        int, typer.Option(min=0, help="The same seed gives the same faults at the same times.")
    ] = 1,
    json: Annotated[Path | None, typer.Option("--json", help="Write the result to this file.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder with journals and logs.")] = False,
) -> None:
    """Run a manager and two routers through faults of links, processes and disks, then heal and compare.

    Exits with 0 when all copies became equal and the journals prove that nobody was lost or invented, else
    with 1.
    """
    # Only now is everything needed: `rui chaos --help` answers at once
    from rui_cli.chaos.command import run  # noqa: PLC0415

    raise typer.Exit(run(seconds=seconds, seed=seed, file=json, keep=keep))
