"""`rui lab`: our programs among real ones, in network namespaces that the lab makes and removes itself."""

from json import dumps
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


@app.command("list")
def list_labs(
    as_json: Annotated[bool, typer.Option("--json", help="Print what each is about as JSON.")] = False,
) -> None:
    """Say which labs there are."""
    from rui_cli.lab.continuity import SCENARIOS  # noqa: PLC0415

    lines = {"dhcp": "clients, relay, Kea, cloud and secondary hold the same leases"}
    lines |= {scenario.name: scenario.what for scenario in SCENARIOS.values()}
    if as_json:
        typer.echo(dumps(lines, indent=2))
        return
    for name, what in lines.items():
        typer.echo(f"{name:20}{what}")


def _scenario(name: str, about: str) -> None:
    """Add a lab of continuity to the commands."""

    def command(
        json: Annotated[Path | None, typer.Option(help="Write the summary to this file.")] = None,
        subscribers: Annotated[int, typer.Option(min=1, max=200, help="DHCP clients that ping.")] = 4,
        keep: Annotated[bool, typer.Option(help="Keep the folder with all files and logs.")] = False,
    ) -> None:
        from rui_cli.lab.command import run_continuity  # noqa: PLC0415

        raise typer.Exit(run_continuity(name, json, subscribers=subscribers, keep=keep))

    run.command(name, help=f"Subscribers ping the server while {about}.")(command)


for _name, _about in {
    "access-link-cut": "the Master's access link is cut",
    "router-killed": "the Master's process is killed",
    "router-frozen": "the Master's process stands still",
    "planned-switchover": "an operator moves the role",
    "cloud-cut": "nobody reaches the cloud",
}.items():
    _scenario(_name, _about)
