"""The DHCP lab as a user runs it: real clients, a real server, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rui_cli.errors import ExitCode
from rui_cli.lab import requirements

COMMAND = [sys.executable, "-m", "rui_cli", "lab", "run", "dhcp"]
# The lab is done in half a minute; twice the minute that it promises, where other tests run beside it
LONGEST = 120.0


def missing() -> str | None:
    try:
        requirements.check()
    except requirements.LabUnavailableError as error:
        return str(error)
    return None


MISSING = missing()
# A CI that runs as root has installed the programs: there a missing one is a failure
EXCUSED = MISSING is not None and not ("CI" in os.environ and os.geteuid() == 0)
needs_lab = pytest.mark.skipif(EXCUSED, reason=str(MISSING))


def namespaces_of(pid: int) -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split() if name.startswith(f"rui-{pid}-")]


@pytest.fixture
def lab() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def start(lab: list[subprocess.Popen[bytes]], *words: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    lab.append(process)
    return process


@pytest.mark.root
@pytest.mark.peer
@needs_lab
@pytest.mark.timeout(240)
def test_real_clients_are_online_everywhere_and_gone_everywhere(
    lab: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    summary = tmp_path / "lab.json"
    began = time.monotonic()

    process = start(lab, "--json", str(summary), "--leases", "500", "--rate", "100")
    _, said = process.communicate(timeout=130)

    result = json.loads(summary.read_text())
    assert process.returncode == ExitCode.OK, (result, said.decode())
    assert time.monotonic() - began < LONGEST
    assert result["mismatches"] == []
    assert result["clients"] == 6
    # Three real clients stay to the end, besides those of perfdhcp, which counts no answer that comes late
    assert result["perfdhcp"]["acknowledged"] + 3 <= result["leases"] <= 503
    assert result["perfdhcp"]["acknowledged"] > 0
    assert set(result["records"].values()) == {result["leases"]}
    assert all(step["ok"] for step in result["steps"])
    assert namespaces_of(process.pid) == []


@pytest.mark.root
@pytest.mark.peer
@needs_lab
@pytest.mark.parametrize("moment", ["processes come up", "released addresses leave every book"])
def test_a_lab_that_is_ended_leaves_nothing_behind(lab: list[subprocess.Popen[bytes]], moment: str) -> None:
    process = start(lab)
    assert process.stderr is not None
    assert any(moment in line.decode() for line in process.stderr)
    assert namespaces_of(process.pid)

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == ExitCode.INTERRUPTED
    assert namespaces_of(process.pid) == []


def test_without_root_the_lab_says_so(tmp_path: Path) -> None:
    # The interpreter may lie where nobody else can read: the check itself runs with other rights
    code = "from rui_cli.lab import requirements\nimport os\n"
    code += "if os.geteuid() == 0: os.setuid(65534)\nrequirements.check()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert "only root may" in done.stderr
    assert done.returncode != 0
