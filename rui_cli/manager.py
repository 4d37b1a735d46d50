"""`rui manager`: run the cloud device."""

import asyncio
import contextlib
from pathlib import Path
from typing import Annotated

import typer

from manager.process import StartError, run
from rui_cli import logs
from rui_cli.errors import CliError
from rui_cli.launch import announce_ready
from rui_cli.trace import TraceFile

app = typer.Typer()


@app.callback(invoke_without_command=True)
def manager(
    startup: Annotated[Path, typer.Option(help="Configuration, as XML of module rui-cloud.", metavar="FILE")],
    data_dir: Annotated[Path, typer.Option(help="Folder for the store and the host key.", metavar="DIR")],
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more.")] = False,
    trace: Annotated[Path | None, typer.Option(help="Write to FILE when each change got where.")] = None,
    yang: Annotated[
        list[Path] | None, typer.Option(help="A folder of YANG modules of your own; may be repeated.")
    ] = None,
) -> None:
    """Run the cloud device until SIGTERM or Ctrl-C.

    When it serves it prints one line on standard output: the word ready, and where it listens as JSON.
    Events go to standard error, one a line.
    """
    logs.configure(verbose=verbose)
    try:
        with contextlib.ExitStack() as stack:
            traced = stack.enter_context(TraceFile(trace)) if trace is not None else None
            asyncio.run(run(startup, data_dir, announce_ready, traced, yang or ()))
    except StartError as error:
        raise CliError(str(error), remedy=error.remedy) from error
