"""`rui bench`: real processes on this machine, measured beside what the machine could give at best."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)

_Users = Annotated[
    int | None, typer.Option(min=100, max=5_000_000, help="How many users; default: the row's.")
]
_Json = Annotated[Path | None, typer.Option("--json", help="Write the result to this file.")]
_Repeat = Annotated[int, typer.Option(min=1, max=20, help="How often each figure is taken.")]
_Keep = Annotated[bool, typer.Option("--keep", help="Keep the folders with startup files, logs and traces.")]


@app.callback()
def bench() -> None:
    """Measure a manager and two routers on this machine, on loopback, as processes of their own."""


@app.command("replication")
def measure_replication(
    users: _Users = None, json: _Json = None, repeat: _Repeat = 3, keep: _Keep = False
) -> None:
    """Users a second from the primary through the cloud to the secondary, durable and acknowledged."""
    _run("replication", users, json, repeat, keep)


@app.command("latency")
def measure_latency(
    users: _Users = None, json: _Json = None, repeat: _Repeat = 3, keep: _Keep = False
) -> None:
    """Time from a change to its being durable at cloud and secondary, at 2,000 changes a second."""
    _run("latency", users, json, repeat, keep)


@app.command("catchup")
def measure_catchup(
    users: _Users = None, json: _Json = None, repeat: _Repeat = 3, keep: _Keep = False
) -> None:
    """Users a second to an empty secondary that joins."""
    _run("catchup", users, json, repeat, keep)


@app.command("stages")
def measure_stages(
    users: _Users = None, json: _Json = None, repeat: _Repeat = 3, keep: _Keep = False
) -> None:
    """Processor time a user of each step from primary to secondary, in one process."""
    _run("stages", users, json, repeat, keep)


@app.command("failover")
def measure_failover(
    users: _Users = None, json: _Json = None, repeat: _Repeat = 3, keep: _Keep = False
) -> None:
    """Time from a lost cloud to local backup, age of changes on the way back, catch-up on the RBS channel."""
    _run("failover", users, json, repeat, keep)


@app.command("memory")
def measure_memory(
    users: _Users = None, json: _Json = None, repeat: _Repeat = 3, keep: _Keep = False
) -> None:
    """Memory a user at each device, and how long each takes to start with all of them."""
    _run("memory", users, json, repeat, keep)


@app.command("get")
def measure_get(users: _Users = None, json: _Json = None, repeat: _Repeat = 3, keep: _Keep = False) -> None:
    """All users in one reply, and one of them by its key, from router and cloud."""
    _run("get", users, json, repeat, keep)


@app.command("cli")
def measure_cli(users: _Users = None, json: _Json = None, repeat: _Repeat = 3, keep: _Keep = False) -> None:
    """First prompt, completion and `show users mac` over SSH, at a router with many users."""
    _run("cli", users, json, repeat, keep)


@app.command("sync")
def measure_sync(
    routers: Annotated[
        int | None, typer.Option(min=100, max=100_000, help="How many light routers; default: 1,000.")
    ] = None,
    json: _Json = None,
    repeat: _Repeat = 3,
    keep: _Keep = False,
) -> None:
    """A configuration transaction over two routers, and a look for drift at many light ones."""
    _run("sync", routers, json, repeat, keep)


@app.command("netconf")
def measure_netconf(
    entries: Annotated[
        int | None, typer.Option(min=100, max=1_000_000, help="Entries of the large edit; default: 100,000.")
    ] = None,
    json: _Json = None,
    repeat: _Repeat = 3,
    keep: _Keep = False,
) -> None:
    """Our NETCONF server beside yuma123's netconfd: rates, notifications, sessions, a large edit."""
    _run("netconf", entries, json, repeat, keep)


@app.command("outage")
def measure_outage(
    subscribers: Annotated[
        int | None, typer.Option(min=1, max=5000, help="Subscribers in the lab; default: 1,000.")
    ] = None,
    json: _Json = None,
    repeat: _Repeat = 3,
    keep: _Keep = False,
) -> None:
    """Milliseconds without an answer: link cut, router killed, role moved; beside keepalived and Kea HA.

    Needs root.
    """
    _run("outage", subscribers, json, repeat, keep)


@app.command("takeover")
def measure_takeover(
    users: _Users = None, json: _Json = None, repeat: _Repeat = 3, keep: _Keep = False
) -> None:
    """From a router's becoming primary until its kernel forwards for all users. Needs root."""
    _run("takeover", users, json, repeat, keep)


@app.command("bfd")
def measure_bfd(
    sessions: Annotated[
        int | None, typer.Option(min=1, max=5000, help="How many BFD sessions; default: 500.")
    ] = None,
    json: _Json = None,
    repeat: _Repeat = 3,
    keep: _Keep = False,
) -> None:
    """Cores that BFD sessions at 3 x 300 ms cost a router; beside BIRD and beside bare timers."""
    _run("bfd", sessions, json, repeat, keep)


@app.command("all")
def measure_all(
    out: Annotated[Path | None, typer.Option(help="Folder for a JSON file a row.")] = None,
    users: _Users = None,
    repeat: _Repeat = 3,
    keep: _Keep = False,
) -> None:
    """All rows, one after the other."""
    # Only now are the libraries behind it needed: `rui bench --help` answers at once
    from rui_cli.bench.command import run  # noqa: PLC0415
    from rui_cli.bench.rows import ROWS  # noqa: PLC0415

    files = {row.name: out / f"bench-{row.name}.json" if out is not None else None for row in ROWS}
    counted = {row.name: users if row.unit == "users" else None for row in ROWS}
    chosen = [(row, counted[row.name], files[row.name]) for row in ROWS]
    raise typer.Exit(run(chosen, repeat=repeat, keep=keep))


def _run(name: str, users: int | None, path: Path | None, repeat: int, keep: bool) -> None:
    from rui_cli.bench.command import run  # noqa: PLC0415
    from rui_cli.bench.rows import find  # noqa: PLC0415

    raise typer.Exit(run([(find(name), users, path)], repeat=repeat, keep=keep))
