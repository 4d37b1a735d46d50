"""Runs a lab from the command line: checks the machine, cleans up in every case, writes the summary."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import NamedTuple

from rui_cli import logs
from rui_cli.errors import ExitCode
from rui_cli.lab import remains, requirements
from rui_cli.lab.continuity import run_scenarios
from rui_cli.lab.dhcp import DhcpLab, Step
from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.topology import Topology

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Finding(NamedTuple):
    """What a lab has found, and whether that is as it must be."""

    good: bool
    summary: dict[str, object]


Work = Callable[[Path], Coroutine[None, None, Finding]]


def run_dhcp(summary: Path | None, *, leases: int, rate: int, keep: bool) -> ExitCode:
    """Run the DHCP lab and return the exit code. Raises LabUnavailableError where it cannot run."""
    requirements.check()

    async def work(folder: Path) -> Finding:
        with Namespaces(str(os.getpid())) as namespaces:
            topology = Topology(namespaces, folder)
            # On the loop: what a thread goes on to make could not be removed
            topology.build()
            # From here on this process is in the management network, as an operator
            namespaces.enter("mgmt")
            result = await DhcpLab(topology, leases=leases, rate=rate, say=_say).run()
        return Finding(not result.mismatches, result.summary())

    return _run(work, summary, keep=keep)


def run_continuity(
    names: Sequence[str], summary: Path | None, *, subscribers: int, every: int | None, keep: bool
) -> ExitCode:
    """Run scenarios and return the exit code; of one the summary is its own, of several a list.

    Raises LabUnavailableError where they cannot run.
    """
    pause = None if every is None else every / 1000

    async def work(folder: Path) -> Finding:
        outcomes = await run_scenarios(
            names, folder=folder, subscribers=subscribers, every=pause, say=_progress
        )
        found = [outcome.summary() for outcome in outcomes]
        good = all(outcome.good for outcome in outcomes)
        return Finding(good, found[0] if len(found) == 1 else {"good": good, "scenarios": found})

    return _run(work, summary, keep=keep)


def _run(work: Work, summary: Path | None, *, keep: bool) -> ExitCode:
    """Do the work in a folder of its own; only that of a failure is left behind.

    Signals only cancel the work: what it removes at its end it removes to the last piece.
    """
    logs.configure(quiet=True)
    folder = remains.make_folder()
    worth_keeping = True
    try:
        finding = asyncio.run(_ended_by_signals(work(folder)))
        worth_keeping = keep or not finding.good
    except asyncio.CancelledError:
        worth_keeping = keep
        sys.stderr.write("rui: the lab was ended before its end\n")
        return ExitCode.INTERRUPTED
    finally:
        (folder / remains.RUNNING).unlink(missing_ok=True)
        if worth_keeping:
            sys.stderr.write(f"its files and logs are in {folder}\n")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    text = json.dumps(finding.summary, indent=2)
    if summary is not None:
        summary.write_text(text + "\n")
    sys.stdout.write(text + "\n")
    return ExitCode.OK if finding.good else ExitCode.CHECK_FAILED


async def _ended_by_signals(work: Coroutine[None, None, Finding]) -> Finding:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if task is not None:
        for number in _ENDING:
            loop.add_signal_handler(number, task.cancel)
    return await work


def _say(step: Step) -> None:
    sys.stderr.write(f"{'ok  ' if step.ok else 'FAIL'} {step.seconds:6.2f} s  {step.name}\n")


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")
