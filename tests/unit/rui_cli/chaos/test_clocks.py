"""A process's wall clock jumps, and its monotonic clock does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rui_cli.chaos.clocks import Clocks, find_library
from rui_cli.chaos.plan import Kind, plan

LIBRARY = find_library()
needs_library = pytest.mark.skipif(
    LIBRARY is None and "CI" not in os.environ, reason="needs libfaketime (Debian package faketime)"
)
# Says both clocks for each line that it reads.
PROGRAM = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"


@needs_library
def test_the_wall_clock_jumps_alone(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path, LIBRARY)
    environment = {**os.environ, **clocks.environment("bras-a")}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def read() -> tuple[float, float]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            wall, monotonic = process.stdout.readline().split()
            return float(wall), float(monotonic)

        (wall, monotonic) = read()
        for seconds in (3600.0, -7200.0, 0.0):
            clocks.set("bras-a", seconds)
            jumped, passed = read()
            assert jumped - wall == pytest.approx(seconds + passed - monotonic, abs=5.0)
            assert 0.0 <= passed - monotonic < 60.0


def test_where_no_clock_can_be_moved_the_story_is_the_same_without(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path, None)
    assert not clocks.movable
    assert clocks.environment("bras-a") == {}
    clocks.set("bras-a", 10.0)
    assert list(tmp_path.iterdir()) == []
    told = plan(9, 60.0)
    assert plan(9, 60.0, clocks=False) == [fault for fault in told if fault.kind is not Kind.CLOCK] != told
