"""`rui lab`: our programs among real ones, in network namespaces that the lab makes and removes itself."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)
run = typer.Typer(no_args_is_help=True, help="Run one lab to its end.")
app.add_typer(run, name="run")


@app.callback()
def lab() -> None:
    """Real DHCP clients and a real server around our processes, in network namespaces (root on Linux)."""


@run.command()
def dhcp(
    json: Annotated[Path | None, typer.Option(help="Write the summary to this file.")] = None,
    leases: Annotated[int, typer.Option(min=1, max=20_000, help="Leases that perfdhcp puts through.")] = 3000,
    rate: Annotated[int, typer.Option(min=1, max=10_000, help="Leases a second.")] = 300,
    keep: Annotated[bool, typer.Option(help="Keep the folder with all files and logs.")] = False,
) -> None:
    """Clients (udhcpc, dhclient), primary as relay, Kea, manager and secondary; then perfdhcp.

    Ends with exit code 1 when the tables of primary, cloud and secondary differ from one another or from
    Kea's leases, with 3 when this machine cannot run it.
    """
    # Only this sub-command needs the libraries behind it: `rui lab --help` answers at once
    from rui_cli.lab.command import run_dhcp  # noqa: PLC0415

    raise typer.Exit(run_dhcp(json, leases=leases, rate=rate, keep=keep))
