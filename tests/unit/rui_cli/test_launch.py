"""The launcher with small real processes: readiness by an event, kill, stop, and what is said on failure."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from rui_cli.launch import Fleet, Launched, LaunchError, free_ports

READY = """
import sys, time
print("served", file=sys.stderr, flush=True)
print('ready {"port": 830}', flush=True)
"""


class Script(Launched):
    """A process of a few lines of Python instead of a `rui` sub-command."""

    def __init__(self, source: str, folder: Path, name: str = "script") -> None:
        super().__init__(name, (), folder / f"{name}.log")
        self._command = (sys.executable, "-c", source)


async def test_start_returns_the_facts_of_the_ready_line(tmp_path: Path) -> None:
    process = Script(READY + "sys.stdin.read(); time.sleep(60)", tmp_path)
    assert process.pid is None
    assert await process.start() == {"port": 830}
    assert process.running
    assert process.pid is not None
    await process.stop()
    assert not process.running
    assert "served" in process.log.read_text()


async def test_killed_and_started_again_it_counts_its_starts_and_keeps_its_log(tmp_path: Path) -> None:
    process = Script(READY + "time.sleep(60)", tmp_path)
    await process.start()
    first = process.pid
    await process.kill()
    assert not process.running
    assert await process.wait_ended() == -9
    await process.start()
    assert process.pid not in {None, first}
    assert process.starts == 2
    await process.kill()
    assert process.log.read_text().count("served") == 2


async def test_a_process_that_ends_early_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = Script("import sys; sys.exit('startup.xml, line 3: no such leaf')", tmp_path)
    with pytest.raises(LaunchError, match=r"exit code 1 before it was ready(.|\n)*line 3: no such leaf"):
        await process.start()
    assert not process.running


async def test_a_process_that_never_gets_ready_is_killed(tmp_path: Path) -> None:
    process = Script("import time; print('working', flush=True); time.sleep(60)", tmp_path)
    with pytest.raises(LaunchError, match=r"not ready within 0\.3 s"):
        await process.start(within=0.3)
    assert not process.running


async def test_a_process_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    process = Script(deaf + READY + "time.sleep(60)", tmp_path)
    await process.start()
    await process.stop(grace=0.2)
    assert await process.wait_ended() == -9


async def test_an_endless_line_ends_the_process_instead_of_filling_memory(tmp_path: Path) -> None:
    process = Script(
        "import sys, time; sys.stdout.write('x' * 300000); sys.stdout.flush(); time.sleep(60)", tmp_path
    )
    with pytest.raises(LaunchError, match="before it was ready"):
        await process.start()


async def test_leaving_the_fleet_stops_every_member_also_after_an_error(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    for name in ("a", "b"):
        fleet.members[name] = Script(READY + "time.sleep(60)", tmp_path, name)

    async def fail_in_the_middle() -> None:
        async with fleet:
            await fleet.start()
            assert all(member.running for member in fleet.members.values())
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        await fail_in_the_middle()
    assert not any(member.running for member in fleet.members.values())


async def test_cancelling_a_start_leaves_no_process(tmp_path: Path) -> None:
    process = Script("import time; time.sleep(60)", tmp_path)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.start(), 0.2)
    assert process.starts == 1
    assert not process.running


def test_free_ports_are_different_and_can_be_bound() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
