"""`rui manager`: run the cloud device."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from manager.process import StartError, run
from rui_cli import logs
from rui_cli.errors import CliError
from rui_cli.launch import announce_ready

app = typer.Typer()


@app.callback(invoke_without_command=True)
def manager(
    startup: Annotated[Path, typer.Option(help="Configuration, as XML of module rui-cloud.", metavar="FILE")],
    data_dir: Annotated[Path, typer.Option(help="Folder for the store and the host key.", metavar="DIR")],
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more.")] = False,
) -> None:
    """Run the cloud device until SIGTERM or Ctrl-C.

    When it serves it prints one line on standard output: the word ready, and where it listens as JSON.
    Events go to standard error, one a line.
    """
    logs.configure(verbose=verbose)
    try:
        asyncio.run(run(startup, data_dir, announce_ready))
    except StartError as error:
        raise CliError(str(error), remedy=error.remedy) from error
