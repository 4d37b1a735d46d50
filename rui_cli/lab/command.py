"""Runs a lab from the command line: checks the machine, cleans up in every case, writes the summary."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from rui_cli.errors import ExitCode
from rui_cli.lab import requirements
from rui_cli.lab.dhcp import DhcpLab, Result, Step
from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.topology import Topology

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_dhcp(summary: Path | None, *, leases: int, rate: int, keep: bool) -> ExitCode:
    """Run the DHCP lab and return the exit code. Raises LabUnavailableError where it cannot run."""
    requirements.check()
    folder = Path(tempfile.mkdtemp(prefix="rui-lab-"))
    # Kea and the clients run as other users in some distributions
    folder.chmod(0o755)
    worth_keeping = True
    try:
        with Namespaces(str(os.getpid())) as namespaces:
            try:
                result = asyncio.run(_run(namespaces, folder, leases=leases, rate=rate))
            finally:
                # The removal that follows takes a moment, and must come to its end
                for number in _ENDING:
                    signal.signal(number, signal.SIG_IGN)
        worth_keeping = keep or bool(result.mismatches)
    except asyncio.CancelledError:
        worth_keeping = keep
        sys.stderr.write("rui: the lab was ended before its end\n")
        return ExitCode.INTERRUPTED
    finally:
        if worth_keeping:
            sys.stderr.write(f"its files and logs are in {folder}\n")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    text = json.dumps(result.summary(), indent=2)
    if summary is not None:
        summary.write_text(text + "\n")
    sys.stdout.write(text + "\n")
    return ExitCode.CHECK_FAILED if result.mismatches else ExitCode.OK


async def _run(namespaces: Namespaces, folder: Path, *, leases: int, rate: int) -> Result:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if task is not None:
        for number in _ENDING:
            loop.add_signal_handler(number, task.cancel)
    topology = Topology(namespaces, folder)
    await asyncio.to_thread(topology.build)
    # From here on this process is in the management network, as an operator
    namespaces.enter("mgmt")
    return await DhcpLab(topology, leases=leases, rate=rate, say=_say).run()


def _say(step: Step) -> None:
    sys.stderr.write(f"{'ok  ' if step.ok else 'FAIL'} {step.seconds:6.2f} s  {step.name}\n")
