"""``rui router``: one router as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Annotated

import structlog
import typer

from router.process import Router, RouterStartError
from rui_cli import logs
from rui_cli.errors import CliError
from rui_cli.launch import announce_ready
from rui_cli.trace import TraceFile

log = structlog.get_logger(__name__)

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def router(
    startup: Annotated[Path, typer.Option(help="The startup configuration (YANG module rui-device), XML.")],
    data_dir: Annotated[Path, typer.Option(help="Folder of the journal and the host key; made if missing.")],
    verbose: Annotated[bool, typer.Option("--verbose", help="Log details too.")] = False,
    trace: Annotated[Path | None, typer.Option(help="Write to FILE when each change got where.")] = None,
    yang: Annotated[
        list[Path] | None, typer.Option(help="A folder of YANG modules of your own; may be repeated.")
    ] = None,
) -> None:
    """Run one router from its startup file until SIGTERM or Ctrl-C."""
    logs.configure(verbose=verbose)
    try:
        with contextlib.ExitStack() as stack:
            traced = stack.enter_context(TraceFile(trace)) if trace is not None else None
            asyncio.run(_run(Router(startup, data_dir, trace=traced, yang=yang or ())))
    except RouterStartError as error:
        raise CliError(f"the router cannot start: {error.reason}", remedy=error.remedy) from error


async def _run(instance: Router) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    announce_ready(await instance.start())
    await stop.wait()
    log.info("router-stopping")
    await instance.stop()
    log.info("router-stopped")
