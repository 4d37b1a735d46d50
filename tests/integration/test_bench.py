"""`rui bench` with few users: real processes, a JSON file, an end by itself."""

import asyncio
import json
import sys
from pathlib import Path


async def test_a_row_is_measured_and_written(tmp_path: Path) -> None:
    file = tmp_path / "replication.json"
    words = ("bench", "replication", "--users", "300", "--repeat", "1", "--json", str(file))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rui_cli", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode == 0, err.decode()
    assert "users_per_s" in out.decode()
    result = json.loads(file.read_text())
    assert (result["row"], result["users"]) == ("replication", 300)
    assert result["users_per_s"] > 0
    assert result["ratio"]["users_per_s"] > 0
    assert result["aims"]["users_per_s"]["at least"] == 25_000


async def test_the_command_line_is_measured_over_ssh(tmp_path: Path) -> None:
    file = tmp_path / "cli.json"
    words = ("bench", "cli", "--users", "100", "--repeat", "1", "--json", str(file))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rui_cli", *words),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode == 0, err.decode()
    result = json.loads(file.read_text())
    for name in ("login", "prompt", "completion", "show_users_mac"):
        assert 0 < result[f"{name}_ms"] <= result[f"{name}_worst_ms"]
