"""A process that is killed has lost nothing of what it acknowledged, and its data and cursor agree."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from rui.backup.version import Version
from tests.unit.backup.histories import applied, contents
from tests.unit.manager.store.contract import held
from tests.unit.manager.store.sqlite_engine import opened
from tests.unit.manager.store.writer_process import change_at

HOUSE = Path(__file__).resolve().parents[4]
GROUPS = 3


def write_until_killed(path: Path, lines: int, seed: int) -> dict[str, int]:
    """Let a process write, kill it after so many receipts; return the last one of each group."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.manager.store.writer_process", str(path), str(GROUPS), str(seed)],
        cwd=HOUSE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        acknowledged: dict[str, int] = {}
        for number, line in enumerate(process.stdout):
            if not line.endswith("\n"):
                break
            group, seq = line.split()
            acknowledged[group] = int(seq)
            if number == lines:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return acknowledged


async def test_killed_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    chance = random.Random(20260101)
    for round_number in range(5):
        acknowledged = write_until_killed(path, chance.randint(0, 300), round_number)
        assert acknowledged
        async with opened(path) as store:
            assert set(await store.groups()) >= set(acknowledged)
            for group in await store.groups():
                cursor: Version = (await store.position(group)).cursor
                assert cursor.seq >= acknowledged.get(group, 0)
                expected = applied([change_at(seq) for seq in range(1, cursor.seq + 1)])
                assert await held(store, group) == contents(expected)
                assert list((await store.digest(group)).buckets) == list(expected.buckets)
