"""The wall clocks of the processes, each of which can jump: libfaketime between a process and its clock.

Nothing of the product knows of it: the library answers for the system, and reads from a file of the process
by how many seconds its clock is wrong. The monotonic clock goes on as it is, as it does when a machine's time
is set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_NAME = "faketime/libfaketimeMT.so.1"


def find_library() -> Path | None:
    """Return where libfaketime is installed, None if it is not."""
    for place in _PLACES:
        for path in (Path(place) / _NAME, *sorted(Path(place).glob(f"*/{_NAME}"))):
            if path.exists():
                return path
    return None


class Clocks:
    """The clocks of processes that are started with :meth:`environment`; right until told otherwise."""

    def __init__(self, folder: Path, library: Path | None) -> None:
        self._folder = folder
        self._library = library

    @property
    def movable(self) -> bool:
        """Whether a clock can be made to jump here."""
        return self._library is not None

    def environment(self, name: str) -> Mapping[str, str]:
        """Return what a process needs for its clock to be movable."""
        if self._library is None:
            return {}
        self.set(name, 0.0)
        before = os.environ.get("LD_PRELOAD", "")
        return {
            "LD_PRELOAD": f"{self._library} {before}".strip(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file(name)),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            # Else it makes long past times of monotonic deadlines, and threads spin for the interpreter lock
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "NO_FAKE_STAT": "1",
        }

    def set(self, name: str, seconds: float) -> None:
        """Let a process's clock be wrong by so many seconds from now on."""
        if self._library is None:
            return
        # As a whole or not at all: it is read at any moment
        new = self._file(name).with_suffix(".new")
        new.write_text(f"{seconds:+.3f}\n")
        new.replace(self._file(name))

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.clock"
