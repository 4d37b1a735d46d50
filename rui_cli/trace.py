"""`--trace FILE`: when each change got where, by the machine's monotonic clock; for the benchmarks.

One line a milestone: its name (`rui.backup.trace.Milestone`), the group, the version, and nanoseconds. Linux
has one monotonic clock for all processes, so the lines of several of them on one machine compare.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from rui.backup.trace import Milestone
from rui.backup.version import Version
from rui_cli.errors import CliError

_WORDS = {milestone: milestone.value for milestone in Milestone}


class TraceFile:
    """A `rui.backup.trace.Trace` that writes to a file; used as a context manager."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("w", buffering=1 << 16)
        except OSError as error:
            raise CliError(
                f"--trace {path}: {error.strerror}", remedy="name a file that can be written"
            ) from error

    def __call__(self, group: str, milestone: Milestone, version: Version) -> None:
        """Write one line; those of single changes reach the file with the next of another kind."""
        # Once for every change while thousands a second are measured, so without calls for texts.
        (counter, device), seq = version
        place = f"{counter}@{device}/{seq}" if counter else ""
        self._file.write(f"{_WORDS[milestone]} {group} {place} {time.monotonic_ns()}\n")
        if milestone is not Milestone.TAKEN:
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class Mark(NamedTuple):
    """One line of a trace; `at` is in nanoseconds."""

    milestone: Milestone
    group: str
    version: Version
    at: int


class TraceReader:
    """Reads what was added to a trace since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> Iterator[Mark]:
        """Yield the marks whose lines are complete; nothing while there is no file."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.decode().splitlines():
            milestone, group, version, at = line.split(" ")
            yield Mark(Milestone(milestone), group, Version.parse(version), int(at))
