"""`rui demo`: the command line of the demo."""

import asyncio
import contextlib
import json
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rui_cli import logs
from rui_cli.demo.picture import conclude, show
from rui_cli.demo.story import Options, Outcome, Story, demo_group
from rui_cli.demo.watch import Watcher
from rui_cli.errors import CliError, ExitCode
from rui_cli.launch import Fleet
from rui_cli.site import Site

# What starting, catching up and comparing may take beside the time that users come and go.
_MARGIN_SECONDS = 35.0

app = typer.Typer()


@app.callback(invoke_without_command=True)
def demo(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result to this file.")] = None,
    seconds: Annotated[float, typer.Option(min=4, max=600, help="How long users come and go.")] = 20.0,
    users: Annotated[int, typer.Option(min=10, max=5000, help="At most so many users at once.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same users.")] = 1,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the folder with startup files and logs.")
    ] = False,
) -> None:
    """Run a manager and two routers on this machine, kill the manager, and compare their three tables.

    Users come and go at the primary; in the middle the manager is killed with SIGKILL and started again. At
    the end digests and records of cloud, primary and secondary are compared over NETCONF. Exits with 0 when
    nothing was lost and all agree, else with 1.
    """
    if json_file is not None and not json_file.parent.is_dir():
        raise CliError(f"--json {json_file}: there is no such folder", remedy=f"mkdir -p {json_file.parent}")
    console = Console(soft_wrap=True)
    folder = Path(tempfile.mkdtemp(prefix="rui-demo-"))
    good = False
    try:
        outcome = asyncio.run(_run(Options(users, seconds, seed), folder, console))
        good = outcome.good
        conclude(console, outcome)
        if json_file is not None:
            json_file.write_text(json.dumps(outcome.as_json(), indent=2) + "\n")
    except (KeyboardInterrupt, asyncio.CancelledError):
        good = True  # nothing to look into
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    finally:
        if keep or not good:
            console.print(f"startup files, data and logs: {folder}", highlight=False)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    raise typer.Exit(ExitCode.OK if good else ExitCode.CHECK_FAILED)


async def _run(options: Options, folder: Path, console: Console) -> Outcome:
    _stop_on_signals()
    site = Site(folder, [demo_group(options)])
    site.write()
    async with contextlib.AsyncExitStack() as stack:
        # What this process itself does over NETCONF is no part of the picture.
        logs.configure(stream=stack.enter_context((folder / "demo.log").open("w")))
        fleet = await stack.enter_async_context(Fleet(folder))
        for name in site.devices:
            fleet.add(name, site.words(name))
        files = {name: member.log for name, member in fleet.members.items()}
        targets = {name: site.target(name) for name in site.devices}
        watcher = await stack.enter_async_context(Watcher(site.groups[0].id, targets, files))
        story = Story(options, site, fleet, watcher)
        showing = asyncio.create_task(show(console, story, watcher))
        stack.push_async_callback(_finish, showing)
        try:
            async with asyncio.timeout(options.seconds + _MARGIN_SECONDS):
                return await story.tell()
        except TimeoutError:
            story.outcome.error = (
                f"not done after {options.seconds + _MARGIN_SECONDS:g} s, while: {story.current}"
            )
            return story.outcome


def _stop_on_signals() -> None:
    """Let SIGTERM, and a terminal that is closed, end the demo as Ctrl-C does: nothing is left behind."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def _finish(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError):  # the terminal may be gone
        await task
