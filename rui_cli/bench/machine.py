"""What the machine is, and what its processes use, read from /proc (Linux)."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rui_cli.errors import CliError

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def check_platform() -> None:
    """Raise CliError where there is no /proc to measure by."""
    if not (_PROC / "self/status").exists():
        raise CliError("rui bench reads /proc, which this system lacks", remedy="run it on Linux")


def describe() -> dict[str, object]:
    """Return the kind of machine: processor, cores, memory, kernel and Python."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in _lines(_PROC / "cpuinfo")
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = next(int(line.split()[1]) for line in _lines(_PROC / "meminfo") if line.startswith("MemTotal"))
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 1024**2, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def load() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def resident(pid: int) -> int:
    """Return a process's resident memory in octets."""
    return _status(pid, "VmRSS")


def peak_resident(pid: int) -> int:
    """Return the most memory a process had resident since its start or :func:`reset_peak`, in octets."""
    return _status(pid, "VmHWM")


def own_memory(pid: int) -> int:
    """Return a process's memory in octets; of pages that several processes share it counts its part."""
    lines = _lines(_PROC / str(pid) / "smaps_rollup")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started and these in turn, as far as they run still."""
    started = (_PROC / str(pid) / "task" / str(pid) / "children").read_text().split()
    return [found for child in map(int, started) for found in (child, *descendants(child))]


def reset_peak(pid: int) -> None:
    """Let the peak of a process of ours begin anew (proc(5), clear_refs)."""
    (_PROC / str(pid) / "clear_refs").write_text("5")


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    # The command's name, in parentheses, may hold spaces
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def busy_seconds() -> float:
    """Return the processor time that the whole machine has used, all cores together."""
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(
        int, _lines(_PROC / "stat")[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS


def core_wait_seconds(pid: int) -> float:
    """Return for how long a process's first thread, its event loop, could have run but had no core."""
    return int((_PROC / str(pid) / "schedstat").read_text().split()[1]) / 1e9


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds by process name, and what everybody else on the machine used meanwhile, in cores.

    ``waited`` is the share of the time in which a process's event loop was ready and had no core.
    """

    seconds: dict[str, float]
    others: float
    waited: dict[str, float]

    def per_user(self, users: int, names: Mapping[str, str]) -> dict[str, float]:
        """Return the figures of the processes in ``names``, each under the name that it has there."""
        figures: dict[str, float] = {}
        for name, short in names.items():
            figures[f"{short}_cpu_us_per_user"] = self.seconds[name] / users * 1e6
            figures[f"{short}_waited_for_a_core"] = self.waited[name]
        return figures


class Meter:
    """Measures the processor time of processes, by name and id, from its making until :meth:`read`."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._elapsed = os.times().elapsed
        self._before = self._now()
        self._waits = self._waited()
        self._busy = busy_seconds()

    def read(self) -> Usage:
        """Return what was used since the meter was made."""
        elapsed = os.times().elapsed - self._elapsed
        used = {name: now - self._before[name] for name, now in self._now().items()}
        others = busy_seconds() - self._busy - sum(used.values())
        used.pop("")
        if not elapsed:
            return Usage(used, 0.0, dict.fromkeys(used, 0.0))
        waited = {name: (now - self._waits[name]) / elapsed for name, now in self._waited().items()}
        return Usage(used, max(0.0, others / elapsed), waited)

    def _waited(self) -> dict[str, float]:
        return {name: core_wait_seconds(pid) for name, pid in self._pids.items()}

    def _now(self) -> dict[str, float]:
        return {"": cpu_seconds(os.getpid())} | {name: cpu_seconds(pid) for name, pid in self._pids.items()}


def _status(pid: int, name: str) -> int:
    for line in _lines(_PROC / str(pid) / "status"):
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise CliError(f"/proc/{pid}/status has no {name}", remedy="did the process end?")


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
