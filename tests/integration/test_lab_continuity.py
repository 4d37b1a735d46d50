"""A lab of continuity as a user runs it: a killed Master costs its subscribers a moment and no address."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rui_cli.errors import ExitCode
from rui_cli.lab import requirements

COMMAND = [sys.executable, "-m", "rui_cli", "lab"]
LONGEST = 240.0


def missing() -> str | None:
    try:
        requirements.check(programs=requirements.CONTINUITY)
    except requirements.LabUnavailableError as error:
        return str(error)
    return None


MISSING = missing()
# A CI that runs as root has installed the programs: there a missing one is a failure
EXCUSED = MISSING is not None and not ("CI" in os.environ and os.geteuid() == 0)


def test_the_list_names_every_lab() -> None:
    listed = subprocess.run([*COMMAND, "list"], capture_output=True, text=True, timeout=60, check=True).stdout
    names = [line.split()[0] for line in listed.splitlines()]
    shown = subprocess.run(
        [*COMMAND, "run", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert len(names) > 5
    assert all(name in shown.stdout for name in names)


@pytest.mark.skipif(EXCUSED, reason=str(MISSING))
def test_a_killed_master_costs_nobody_a_session(tmp_path: Path) -> None:
    file = tmp_path / "summary.json"
    command = [*COMMAND, "run", "router-killed", "--subscribers", "2", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == ExitCode.OK, done.stderr
    found = json.loads(file.read_text())
    assert found["lost_sessions"] == 0
    assert found["leases_kept"]
    assert found["converged"]
    assert found["outage_ms"]["max"] >= found["outage_ms"]["p50"] > 0, "the pings went on throughout"
    taken = [change for change in found["role_changes"] if change["role"] == "primary"]
    assert [change["device"] for change in taken] == ["bras-b"]
