"""Where a standing lab says that it stands: a folder with a lock, the lab's facts, and its socket."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from rui_cli.errors import CliError

_VARIABLE = "RUI_LAB_RUNTIME"


@dataclass(frozen=True, slots=True)
class Standing:
    """The lab that stands: its keeper's process id, its folder, how many subscribers it has."""

    pid: int
    folder: str
    subscribers: int


def runtime_folder() -> Path:
    """Return the folder, made for root alone; the environment's RUI_LAB_RUNTIME names another one."""
    folder = Path(os.environ.get(_VARIABLE, "/run/rui-lab"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def control_socket() -> Path:
    """Return the path of the keeper's socket."""
    return runtime_folder() / "control"


def keeper_log() -> Path:
    """Return the file with the keeper's last words."""
    return runtime_folder() / "keeper.log"


def take_lock() -> int:
    """Return a descriptor that holds the lock, as long as any process has it open.

    Raises CliError where a lab stands: its keeper has the lock.
    """
    lock = os.open(runtime_folder() / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        standing = read()
        which = f", process {standing.pid}, in {standing.folder}" if standing else ""
        raise CliError(f"a lab is up already{which}", remedy="rui lab status, or rui lab down") from None
    return lock


def write(standing: Standing) -> None:
    """Write the lab's facts."""
    (runtime_folder() / "lab.json").write_text(json.dumps(asdict(standing)) + "\n")


def read() -> Standing | None:
    """Return the facts of the lab that stands, or of one that was killed; None where there are none."""
    try:
        found = json.loads((runtime_folder() / "lab.json").read_text())
        return Standing(int(found["pid"]), str(found["folder"]), int(found["subscribers"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def clear() -> None:
    """Remove facts and socket."""
    for name in ("lab.json", "control"):
        (runtime_folder() / name).unlink(missing_ok=True)
