"""Runs rows from the command line: shows what is measured, writes JSON, ends by itself."""

import asyncio
import io
import json
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from netconf_client import NetconfClientError
from rui.netconf.errors import RpcError
from rui_cli import logs
from rui_cli.bench import machine
from rui_cli.bench.results import Aim, Result, Run, Spread, shown
from rui_cli.bench.rows import Row
from rui_cli.errors import CliError, ExitCode
from rui_cli.progress import progress

_WIDTH = 140

Chosen = tuple[Row, int | None, Path | None]
"""A row, with how many users (None: its own number), and the file for its result."""


def run(rows: Sequence[Chosen], *, repeat: int, keep: bool) -> ExitCode:
    """Measure rows, each with so many users (None: its own number) into a JSON file, and show a table."""
    machine.check_platform()
    console = Console(soft_wrap=True, stderr=True)
    rows = _measurable(rows, console)
    for _, _, path in rows:
        if path is not None and not path.parent.is_dir():
            raise CliError(f"{path}: there is no such folder", remedy=f"mkdir -p {path.parent}")
    results: list[Result] = []
    try:
        with progress(console, "runs", len(rows) * repeat) as tell:
            for number, (row, users, path) in enumerate(rows):

                def told(runs: int, row: Row = row, before: int = number * repeat) -> None:
                    tell(before + runs, row.name)

                measured = _measure(row, users or row.users, repeat, keep=keep, console=console, told=told)
                result = asyncio.run(measured)
                results.append(result)
                if path is not None:
                    path.write_text(json.dumps(result.as_json(), indent=2) + "\n")
    except (KeyboardInterrupt, asyncio.CancelledError):
        return ExitCode.INTERRUPTED
    except (NetconfClientError, RpcError, TimeoutError) as error:
        raise CliError(f"the run broke off: {error}", exit_code=ExitCode.CHECK_FAILED) from error
    screen = Console()
    # Into a file no line is cut short.
    (screen if screen.is_terminal else Console(width=_WIDTH)).print(table(results))
    return ExitCode.OK


def _measurable(rows: Sequence[Chosen], console: Console) -> Sequence[Chosen]:
    """Return the rows that this machine can measure; of several, say which are left out and why."""
    missing = {row.name: why for row, _, _ in rows if (why := row.missing())}
    for name, why in missing.items():
        if len(rows) == 1:
            raise CliError(f"{name} cannot be measured here: {why}")
        console.print(f"left out: {name}: {why}")
    return [chosen for chosen in rows if chosen[0].name not in missing]


async def _measure(
    row: Row, users: int, repeat: int, *, keep: bool, console: Console, told: Callable[[int], None]
) -> Result:
    task = asyncio.current_task()
    if task is not None:
        for sent in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(sent, task.cancel)
    runs = []
    # What this process itself does over NETCONF is no part of the picture.
    with io.StringIO() as forgotten:
        logs.configure(stream=forgotten)
        for number in range(repeat):
            told(number)
            load = machine.load()
            console.print(f"{row.name}: run {number + 1} of {repeat}, {users:,} {row.unit}, load {load:.2f}")
            beside = await row.beside(users)
            figures, others = await row.measure(users, keep=keep)
            runs.append(Run(figures, beside, load, others))
            console.print("  " + ", ".join(f"{name} {shown(value)}" for name, value in figures.items()))
            lacking = [aim.beside for aim in row.aims if aim.beside and aim.beside not in beside]
            if lacking:
                console.print(f"  beside it ({row.beside_what}) there is no {', '.join(lacking)}")
    return Result(row.name, users, row.aims, row.beside_what, row.for_scale, machine.describe(), tuple(runs))


def table(results: Sequence[Result]) -> Table:
    """Return the results for people."""
    names = ("row", "users", "figure", "median (range)", "aim", "beside it", "ratio", "others' cores")
    view = Table(*names, box=box.SIMPLE_HEAD)
    for result in results:
        figures, beside = result.figures, result.beside
        others = Spread.of([run.others for run in result.runs])
        for aim in result.aims:
            spread, ratio = figures[aim.figure], result.ratio(aim)
            met = aim.met(spread.median, ratio)
            view.add_row(
                result.row,
                f"{result.users:,}",
                aim.figure,
                f"{shown(spread.median)} ({shown(spread.low)}-{shown(spread.high)})",
                _aim(aim, met=met, compared=ratio is not None),
                shown(beside[aim.beside].median)
                if aim.beside in beside
                else ("not measured" if aim.beside else ""),
                f"{ratio:.2g}" if ratio is not None else "",
                f"{others.median:.2f}",
                style="" if met else "yellow",
            )
    return view


def _aim(aim: Aim, *, met: bool, compared: bool) -> str:
    wanted = [] if aim.limit is None else [f"{aim.bound.value} {shown(aim.limit)}"]
    if aim.ratio is not None and compared:
        wanted.append(f"ratio {aim.bound.value} {shown(aim.ratio)}")
    return f"{', '.join(wanted)}: {'met' if met else 'missed'}" if wanted else ""


def _beside(aim: Aim, beside: Mapping[str, Spread]) -> str:
    if not aim.beside:
        return ""
    return shown(beside[aim.beside].median) if aim.beside in beside else "not measured"
