"""What labs leave on a machine: found by name, removed when the lab that made it is gone."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rui_cli.lab.namespaces import PREFIX

RUNNING = "running"
"""A file in a lab's folder while the lab runs: a folder that is kept on purpose has none."""
_COMMAND_SECONDS = 60
_GONE_SECONDS = 10.0
_NAMESPACE = re.compile(rf"^{PREFIX}(\d+)-")
_FOLDER = re.compile(rf"^{PREFIX}lab-(\d+)-")


@dataclass(frozen=True, slots=True)
class Removed:
    """How much was removed."""

    namespaces: int = 0
    processes: int = 0
    folders: int = 0

    def __bool__(self) -> bool:
        return bool(self.namespaces or self.processes or self.folders)


def make_folder() -> Path:
    """Make the folder of a lab that this process runs."""
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}lab-{os.getpid()}-"))
    # Kea and the clients run as other users in some distributions
    folder.chmod(0o755)
    (folder / RUNNING).touch()
    return folder


def sweep() -> Removed:
    """Remove namespaces, the processes in them and folders whose lab's process has ended."""
    listed = _ip("netns", "list").split("\n")
    names = [
        line.split()[0] for line in listed if (found := _NAMESPACE.match(line)) and is_gone(int(found[1]))
    ]
    processes = [int(pid) for name in names for pid in _ip("netns", "pids", name).split()]
    _kill(processes)
    for name in names:
        _ip("netns", "del", name)
    folders = [
        path
        for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}lab-*")
        if (found := _FOLDER.match(path.name)) and is_gone(int(found[1])) and (path / RUNNING).exists()
    ]
    for path in folders:
        shutil.rmtree(path, ignore_errors=True)
    return Removed(len(names), len(processes), len(folders))


def _kill(processes: Sequence[int]) -> None:
    """Kill what has no owner any more, and wait until it is gone."""
    for pid in processes:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    end = time.monotonic() + _GONE_SECONDS
    while time.monotonic() < end and not all(is_gone(pid) for pid in processes):
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet counts as such."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def _ip(*words: str) -> str:
    done = subprocess.run(  # noqa: S603 - the lab's own commands
        ["ip", *words],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    return done.stdout
