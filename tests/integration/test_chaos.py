"""`rui chaos` as a user runs it: a short story with a fixed seed, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process, create_subprocess_exec
from pathlib import Path

import pytest

from rui_cli.chaos.clocks import find_library
from rui_cli.chaos.plan import plan
from tests.integration.test_demo import left_in, processes_naming

pytestmark = pytest.mark.timeout(240)

SECONDS, SEED = 20, 9


async def start_chaos(folder: Path, *words: str) -> Process:
    return await create_subprocess_exec(
        sys.executable,
        *("-m", "rui_cli", "chaos", "--seconds", str(SECONDS), "--seed", str(SEED), *words),
        stdout=PIPE,
        stderr=STDOUT,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
    )


async def test_nothing_is_lost_in_a_short_story(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    result = tmp_path / "chaos.json"
    chaos = await start_chaos(scratch, "--json", str(result))
    said = (await chaos.communicate())[0].decode()
    assert chaos.returncode == 0, said
    faults = plan(SEED, SECONDS, clocks=find_library() is not None)
    assert json.loads(result.read_text()) == {
        "lost": 0,
        "extra": 0,
        "converged": True,
        "faults": len(faults),
        "violations": [],
        "seed": SEED,
        "seconds": SECONDS,
    }
    assert all(str(fault) in said for fault in faults)
    assert left_in(scratch) == [], "where nothing was wrong nothing is left"
    assert processes_naming(scratch) == []


async def test_ctrl_c_stops_everything_that_was_started(tmp_path: Path) -> None:
    chaos = await start_chaos(tmp_path)
    assert chaos.stdout is not None
    assert b" s  " in await chaos.stdout.readline(), "the first fault"
    assert processes_naming(tmp_path) != []
    chaos.send_signal(signal.SIGINT)
    await chaos.communicate()
    assert chaos.returncode == 130
    assert processes_naming(tmp_path) == []
    assert left_in(tmp_path) == []
