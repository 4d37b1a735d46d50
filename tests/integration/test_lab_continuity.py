"""Labs of continuity as a user runs them: whatever breaks costs its subscribers a moment and nothing else."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rui_cli.errors import ExitCode
from rui_cli.lab import requirements
from rui_cli.lab.kernel import look_at_kernel
from rui_cli.lab.namespaces import Link, Namespaces
from rui_cli.lab.wires import Shape, Wires

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
needs_lab = pytest.mark.skipif(EXCUSED, reason=str(MISSING))


def lab(*words: str, runtime: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"RUI_LAB_RUNTIME": str(runtime)} if runtime else {})}
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, timeout=LONGEST, check=False, env=environment
    )


def namespaces_of(pid: int) -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split() if name.startswith(f"rui-{pid}-")]


def test_the_list_names_every_lab() -> None:
    names = [line.split()[0] for line in lab("list").stdout.splitlines()]
    shown = lab("run", "--help").stdout
    assert len(names) > 12
    assert all(name in shown for name in names)


@pytest.mark.root
@pytest.mark.peer
@needs_lab
@pytest.mark.timeout(LONGEST)
def test_a_killed_master_costs_nobody_of_a_crowd_a_session(tmp_path: Path) -> None:
    file = tmp_path / "summary.json"
    # So many that they are a crowd
    done = lab("run", "router-killed", "--subscribers", "40", "--json", str(file))

    assert done.returncode == ExitCode.OK, (done.stderr, done.stdout)
    found = json.loads(file.read_text())
    assert found["lost_sessions"] == 0
    assert found["tcp_survived"] == found["subscribers"] == 40
    assert found["leases_kept"]
    assert found["renewals"] == 2
    assert found["converged"]
    assert found["outage_ms"]["max"] >= found["outage_ms"]["p50"] >= 0
    taken = [change for change in found["role_changes"] if change["role"] == "primary"]
    assert taken[-1]["device"] == "bras-b"


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "run"
    yield folder
    lab("down", runtime=folder)


@pytest.mark.root
@pytest.mark.peer
@needs_lab
@pytest.mark.timeout(LONGEST)
def test_a_lab_stays_up_is_broken_and_healed_and_leaves_nothing_behind(runtime: Path) -> None:
    up = lab("up", "--subscribers", "2", runtime=runtime)
    assert up.returncode == ExitCode.OK, up.stderr
    keeper = json.loads((runtime / "lab.json").read_text())["pid"]
    second = lab("up", runtime=runtime)
    assert second.returncode == ExitCode.REFUSED
    assert f"a lab is up already, process {keeper}" in second.stderr

    assert lab("break", "bras-a", "--freeze", runtime=runtime).returncode == ExitCode.OK
    assert lab("break", "cloud-b", "--loss", "1", runtime=runtime).returncode == ExitCode.OK
    found = wait_for_primary("bras-b", runtime)
    assert {device["name"]: device["process"] for device in found["devices"]}["bras-a"] == "frozen"
    assert {link["name"]: link["loss_percent"] for link in found["links"]}["cloud-b"] == 1
    assert found["subscribers"]["reached"] == found["subscribers"]["streaming"] == 2
    healed = lab("heal", "all", "--json", runtime=runtime)
    assert set(json.loads(healed.stdout)["processes"].values()) == {"running"}
    found = json.loads(lab("status", "--json", runtime=runtime).stdout)
    assert {device["process"] for device in found["devices"]} == {"running"}
    assert {link["loss_percent"] for link in found["links"]} == {0}

    folder = Path(json.loads((runtime / "lab.json").read_text())["folder"])
    os.kill(keeper, signal.SIGKILL)
    down = lab("down", "--json", runtime=runtime)
    assert down.returncode == ExitCode.OK
    assert json.loads(down.stdout)["removed"]["namespaces"] > 10
    assert "removed what a killed lab had left" in down.stderr
    assert namespaces_of(keeper) == []
    assert not folder.exists()
    assert lab("status", runtime=runtime).returncode == ExitCode.REFUSED


def wait_for_primary(name: str, runtime: Path) -> Any:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = json.loads(lab("status", "--json", runtime=runtime).stdout)
        served = found["subscribers"]["reached"] == found["subscribers"]["count"]
        if served and {one["name"]: one["role"] for one in found["devices"]}[name] == "primary":
            return found
    raise AssertionError(f"{name} is not primary")


def ping(spaces: Namespaces, count: int) -> tuple[int, float]:
    """Return how many of the pings were answered, and the shortest round trip in milliseconds."""
    words = ["ping", "-c", str(count), "-i", "0.01", "-W", "1", "10.255.0.12"]
    said = spaces.run("bras-a", words).stdout.decode()
    times = [float(part.split("=")[1]) for part in said.split() if part.startswith("time=")]
    return len(times), min(times, default=0.0)


@pytest.mark.root
@needs_lab
def test_a_link_is_slow_lossy_or_gone_as_it_was_asked(tmp_path: Path) -> None:
    with Namespaces(f"wire{os.getpid()}") as spaces:
        abilities = look_at_kernel(spaces)
        spaces.add("access", "bras-a", "bras-b")
        spaces.bridge("access")
        spaces.plug(Link("bras-a", "access", ("10.255.0.11/24",)), "access")
        spaces.plug(Link("bras-b", "access", ("10.255.0.12/24",)), "access")
        wires = Wires(spaces, tmp_path, abilities)
        assert ping(spaces, 3)[0] == 3

        if abilities.delay or abilities.netem:
            wires.shape("access-a", Shape(delay_ms=40))
            answered, shortest = ping(spaces, 3)
            assert (answered, shortest >= 80) == (3, True)
        if (abilities.delay and abilities.loss) or abilities.netem:
            wires.shape("access-a", Shape(delay_ms=1, loss_percent=50))
            assert 0 < ping(spaces, 60)[0] < 60
        if abilities.rate or abilities.netem:
            wires.shape("access-b", Shape(rate_mbit=1))
            shown = spaces.run("bras-b", ["tc", "qdisc", "show", "dev", "access"]).stdout.decode()
            assert "rate 1Mbit" in shown
        wires.cut("access-b")
        assert ping(spaces, 1)[0] == 0
        assert {wire["name"]: wire["state"] for wire in wires.state()}["access-b"] == "cut"

        wires.mend("access-a")
        wires.mend("access-b")
        assert ping(spaces, 20)[0] == 20
        assert b"d-bras-a" not in spaces.run("access", ["ip", "link"]).stdout
