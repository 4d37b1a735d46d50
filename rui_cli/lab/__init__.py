"""`rui lab`: our programs among real ones, in network namespaces that the lab makes and removes itself."""

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)
run = typer.Typer(no_args_is_help=True, help="Run one lab to its end.")
app.add_typer(run, name="run")
_LINKS = "access-a, access-b, core-a, core-b, cloud-a, cloud-b, cloud, rbs"
_PROCESSES = "bras-a, bras-b, manager"


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
    from rui_cli.lab.scenarios import SCENARIOS  # noqa: PLC0415

    lines = {"dhcp": "clients, relay, Kea, cloud and secondary hold the same leases"}
    lines |= {scenario.name: scenario.what for scenario in SCENARIOS.values()}
    if as_json:
        typer.echo(dumps(lines, indent=2))
        return
    for name, what in lines.items():
        typer.echo(f"{name:24}{what}")


Summary = Annotated[Path | None, typer.Option("--json", help="Write the summary to this file.")]
Count = Annotated[
    int, typer.Option(min=1, max=4000, help="Subscribers: DHCP clients that ping and stream throughout.")
]
Every = Annotated[
    int | None,
    typer.Option(min=5, max=1000, help="Milliseconds between a subscriber's pings; 20, if they are few."),
]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the folder with all files and logs.")]


@run.command("all")
def run_all(
    summary: Summary = None,
    subscribers: Count = 4,
    only: Annotated[list[str] | None, typer.Option(help="Only this scenario; may be given again.")] = None,
    every: Every = None,
    keep: Keep = False,
) -> None:
    """Run all scenarios of continuity, one after the other in as few labs as possible."""
    from rui_cli.lab.command import run_continuity  # noqa: PLC0415
    from rui_cli.lab.scenarios import SCENARIOS  # noqa: PLC0415

    names = only or list(SCENARIOS)
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        raise typer.BadParameter(f"there is no scenario {unknown[0]}; `rui lab list` says which there are")
    raise typer.Exit(run_continuity(names, summary, subscribers=subscribers, every=every, keep=keep))


AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def up(
    subscribers: Annotated[int, typer.Option(min=1, max=4000, help="DHCP clients that ping and stream.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Start a lab and leave it running, for status, break, heal and down."""
    from rui_cli.lab import standing  # noqa: PLC0415

    raise typer.Exit(standing.up(subscribers=subscribers, as_json=as_json))


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the devices, links and subscribers of the lab that is up."""
    from rui_cli.lab import standing  # noqa: PLC0415

    raise typer.Exit(standing.status(as_json=as_json))


@app.command("break")
def break_(
    what: Annotated[str, typer.Argument(help=f"A link ({_LINKS}) or a process ({_PROCESSES}).")],
    *,
    freeze: Annotated[bool, typer.Option("--freeze", help="Let a process stand still, not die.")] = False,
    delay: Annotated[float, typer.Option(min=0, max=10_000, help="A link's milliseconds each way.")] = 0,
    loss: Annotated[float, typer.Option(min=0, max=100, help="A link's lost packets in percent.")] = 0,
    rate: Annotated[float, typer.Option(min=0, max=100_000, help="A link's megabits a second.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Cut a link, or make it slow or lossy; kill a process, or freeze it."""
    from rui_cli.lab import standing  # noqa: PLC0415
    from rui_cli.lab.wires import Shape  # noqa: PLC0415

    shape = Shape(delay, loss, rate) if delay or loss or rate else None
    raise typer.Exit(standing.break_(what, freeze=freeze, shape=shape, as_json=as_json))


@app.command()
def heal(
    what: Annotated[str, typer.Argument(help="What was broken, or all.")], as_json: AsJson = False
) -> None:
    """Undo what was broken in the lab that is up."""
    from rui_cli.lab import standing  # noqa: PLC0415

    raise typer.Exit(standing.heal(what, as_json=as_json))


@app.command()
def down(as_json: AsJson = False) -> None:
    """End the lab that is up, and remove what a killed lab has left."""
    from rui_cli.lab import standing  # noqa: PLC0415

    raise typer.Exit(standing.down(as_json=as_json))


def _scenario(name: str, about: str) -> None:
    """Add a lab of continuity to the commands."""

    def command(
        summary: Summary = None, subscribers: Count = 4, every: Every = None, keep: Keep = False
    ) -> None:
        from rui_cli.lab.command import run_continuity  # noqa: PLC0415

        code = run_continuity([name], summary, subscribers=subscribers, every=every, keep=keep)
        raise typer.Exit(code)

    run.command(name, help=f"Subscribers ping and stream while {about}.")(command)


for _name, _about in {
    "access-link-cut": "the Master's access link is cut",
    "router-killed": "the Master's process is killed",
    "router-frozen": "the Master's process stands still",
    "planned-switchover": "an operator moves the role",
    "cloud-cut": "nobody reaches the cloud",
    "cloud-cut-primary": "the primary does not reach the cloud",
    "cloud-cut-secondary": "the secondary does not reach the cloud",
    "cloud-poor": "the links to the cloud are degraded",
    "rbs-cut": "the routers do not reach each other directly",
    "only-secondary-cloud": "the primary reaches neither cloud nor secondary",
    "restore": "a killed Master comes back, waits, and takes the role again",
    "mass-login": "hundreds of others log in at once",
}.items():
    _scenario(_name, _about)
