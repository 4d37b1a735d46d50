"""`rui chaos`: tell one story, show it, write what came of it."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rui_cli import logs
from rui_cli.chaos.outcome import Outcome
from rui_cli.chaos.plan import plan
from rui_cli.chaos.story import Story
from rui_cli.errors import CliError, ExitCode


def run(*, seconds: float, seed: int, file: Path | None, keep: bool) -> ExitCode:
    """Run the processes through a story's faults; return whether everything was as it must be.

    The folder with startup files, journals, traces and logs stays where something was wrong, or with `keep`.
    """
    if file is not None and not file.parent.is_dir():
        raise CliError(f"--json {file}: there is no such folder", remedy=f"mkdir -p {file.parent}")
    console = Console(soft_wrap=True, highlight=False, markup=False)
    folder = Path(tempfile.mkdtemp(prefix="rui-chaos-"))
    stays = True
    try:
        outcome = asyncio.run(_tell(seed, seconds, folder, console))
        stays = keep or not outcome.good
        _show(console, outcome)
        if file is not None:
            file.write_text(json.dumps(outcome.as_json(), indent=2) + "\n")
        return ExitCode.OK if outcome.good else ExitCode.CHECK_FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        stays = keep
        return ExitCode.INTERRUPTED
    finally:
        if stays:
            console.print(f"startup files, journals, traces and logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _tell(seed: int, seconds: float, folder: Path, console: Console) -> Outcome:
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with (folder / "chaos.log").open("w") as log:
        logs.configure(stream=log)
        return await Story(seed, seconds, folder, console.print).tell()


def _show(console: Console, outcome: Outcome) -> None:
    planned = plan(outcome.seed, outcome.seconds, clocks=outcome.clocks)
    table = Table("fault", "times", "seconds")
    for kind in dict.fromkeys(sorted(fault.kind for fault in planned)):
        these = [fault for fault in planned if fault.kind is kind]
        table.add_row(kind.value, str(len(these)), f"{sum(fault.lasts for fault in these):.1f}")
    console.print(table)
    if not outcome.clocks:
        console.print("no clock has jumped: that needs libfaketime (Debian package faketime)")
    for violation in outcome.violations:
        console.print(violation, style="red")
    if outcome.passed_over:
        console.print(
            f"{outcome.passed_over} users: a change that no other device had stored yet did not prevail"
        )
    verdict = "all copies are equal" if outcome.converged else "the copies have NOT become equal"
    console.print(
        f"{outcome.faults} faults, {outcome.lost} users lost, {outcome.extra} extra, "
        f"{len(outcome.violations)} violations: {verdict}",
        style="green" if outcome.good else "bold red",
    )
