"""The demo as a user runs it: real processes, no terminal, and nothing left behind."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(240)


async def start_demo(folder: Path, *words: str) -> Process:
    """Start `rui demo`; everything that it makes, its processes' arguments too, names `folder`."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "rui_cli", "demo", *words),
        stdout=PIPE,
        stderr=STDOUT,
        env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "160"},
        start_new_session=True,
    )


def processes_naming(folder: Path) -> list[str]:
    """Return the command lines of running processes that name a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # ended meanwhile
            continue
        if str(folder) in words:
            found.append(words)
    return found


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_the_demo_loses_nobody_and_cleans_up(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    result = tmp_path / "result.json"
    demo = await start_demo(scratch, "--seconds", "6", "--users", "200", "--seed", "5", "--json", str(result))
    printed = (await demo.communicate())[0].decode()
    assert demo.returncode == 0, printed

    outcome = json.loads(result.read_text())
    assert outcome["users"] > 20
    assert (outcome["lost"], outcome["extra"], outcome["converged"]) == (0, 0, True)
    assert set(outcome["digests"]) == {"cloud", "bras-a", "bras-b"}
    assert len(set(outcome["digests"].values())) == 1
    assert all(step["ok"] and step["seconds"] >= 0 for step in outcome["steps"])
    assert any("kill -9" in step["name"] for step in outcome["steps"])

    assert f"{outcome['users']} users, 0 lost, 0 extra" in printed
    assert left_in(scratch) == []
    assert processes_naming(scratch) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_stopped_in_the_middle_it_stops_what_it_started(tmp_path: Path, how: signal.Signals) -> None:
    demo = await start_demo(tmp_path, "--seconds", "60", "--users", "50")
    assert demo.stdout is not None
    async for line in demo.stdout:
        if "start a manager and two routers" in line.decode():
            break
    assert len(processes_naming(tmp_path)) == 3
    demo.send_signal(how)
    printed = (await demo.communicate())[0].decode()
    assert demo.returncode == 130, printed
    assert "Traceback" not in printed
    assert processes_naming(tmp_path) == []
    assert left_in(tmp_path) == []
