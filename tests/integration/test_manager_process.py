"""The manager as a process: kill -9 at any moment, clean stops, and starts refused in clear words."""

from __future__ import annotations

import asyncio
import random
import resource
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rui.backup.identity import Role
from rui.backup.messages import Result
from rui_cli.errors import ExitCode
from rui_cli.launch import Launched, free_ports
from tests.integration.manager_rig import PASSWORD, FakeRouter, eventually, routers_of, startup

PRIMARY, SECONDARY = ("bras-a", {"g1": Role.PRIMARY}), ("bras-b", {"g1": Role.SECONDARY})


def prepare(folder: Path, text: str) -> tuple[str, ...]:
    """Write the files and return the words after `rui`."""
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "startup.xml").write_text(text)
    return ("manager", "--startup", str(folder / "startup.xml"), "--data-dir", str(folder / "data"))


@asynccontextmanager
async def launched(folder: Path, routers: list[FakeRouter]) -> AsyncIterator[Launched]:
    manager = Launched(
        "cloud", prepare(folder, startup(routers, port=free_ports(1)[0])), folder / "cloud.log"
    )
    try:
        await manager.start()
        yield manager
    finally:
        await manager.kill()


async def test_killed_at_any_moment_it_loses_nothing(tmp_path: Path) -> None:
    chance = random.Random(11)
    async with routers_of(tmp_path, PRIMARY, SECONDARY) as (a, b), launched(tmp_path, [a, b]) as manager:
        number, answers = 0, a.group().identity_results
        for _ in range(4):
            await eventually(lambda: a.subscribed and b.subscribed, "both are subscribed")
            for _ in range(chance.randrange(20, 60)):
                a.login(*range(number, number + 40))
                a.logout(*chance.sample(range(number + 40), 5))
                number += 40
                await asyncio.sleep(0.002)
            await manager.kill()
            acknowledged = a.group().member.source.protected
            answers.clear()
            await manager.start()
            await eventually(lambda: bool(answers), "it is back")
            stated = answers[0].position.cursor
            assert stated >= acknowledged, "what was acknowledged is durable"
        await eventually(lambda: b.digest() == a.digest(), "the tables are equal")
        assert b.digest().count == len(a.group().member.table)


async def test_a_full_disk_fails_uploads_until_there_is_room(tmp_path: Path) -> None:
    async with routers_of(tmp_path, PRIMARY, SECONDARY) as (a, b), launched(tmp_path, [a, b]) as manager:
        a.login(*range(200))
        await eventually(lambda: b.digest() == a.digest(), "the tables are equal")
        pid, receipts = manager.pid, a.group().receipts
        assert pid is not None
        # The log is written to by append, so it must stay below the bound of any file's size too.
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (64 << 10, hard))
        held = b.digest()
        a.login(*range(200, 2000))
        await eventually(
            lambda: any(receipt.result is Result.FAILED for receipt in receipts), "an upload fails"
        )
        failed = next(receipt for receipt in receipts if receipt.result is Result.FAILED)
        assert failed.reason
        assert b.digest().count < 2000
        assert b.digest().cursor >= held.cursor
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        await eventually(lambda: b.digest() == a.digest(), "it goes on when there is room")
        assert manager.running
        assert manager.starts == 1


async def test_it_stops_when_it_is_told_to(tmp_path: Path) -> None:
    async with routers_of(tmp_path, PRIMARY, SECONDARY) as (a, b), launched(tmp_path, [a, b]) as manager:
        await eventually(lambda: a.subscribed, "it serves")
        process = manager._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(manager.wait_ended(), 30) == ExitCode.OK
        assert "Traceback" not in (tmp_path / "cloud.log").read_text()


async def refused(words: tuple[str, ...]) -> str:
    """Run it to its end; return what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rui_cli", *words, stdout=PIPE, stderr=PIPE
    )
    printed, said = await asyncio.wait_for(process.communicate(), 30)
    text = said.decode()
    assert process.returncode == ExitCode.REFUSED, text
    assert b"ready" not in printed
    assert "Traceback" not in text
    assert "remedy: " in text
    return text


CONFIG = '<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">{}</config>'
DEVICE = (
    "<device><device-id>bras-a</device-id><address>127.0.0.1</address><username>cloud</username>"
    "<password-file>{}</password-file><trust-on-first-use-file>known</trust-on-first-use-file></device>"
)
CLOUD = (
    '<cloud xmlns="urn:rui-cloud:yang:cloud"><netconf-server>'
    "<listen><address>127.0.0.1</address><port>{port}</port></listen></netconf-server>{devices}</cloud>"
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<config><cloud", ["startup.xml", "line 1", "not well-formed"]),
        (CONFIG.format(""), ["startup.xml", "no <cloud> container"]),
        (CONFIG.format(CLOUD.format(port=70000, devices="")), ["startup.xml", "/port", "70000"]),
        (
            CONFIG.format(CLOUD.format(port=0, devices="<colour>red</colour>")),
            ["startup.xml", 'Node "colour" not found'],
        ),
        (
            CONFIG.format(CLOUD.format(port=0, devices=DEVICE.format("nowhere"))),
            ["device[device-id='bras-a']/password-file", "nowhere", "cannot be read"],
        ),
    ],
)
async def test_a_wrong_startup_file_is_refused_with_its_place(
    tmp_path: Path, text: str, says: list[str]
) -> None:
    said = await refused(prepare(tmp_path, text))
    for words in says:
        assert words in said


async def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = await refused(prepare(tmp_path, CONFIG.format(CLOUD.format(port=port, devices=""))))
        assert f"port {port}" in said
        assert "address already in use" in said


def corrupt(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "store.sqlite").write_bytes(b"this was a store once" * 300)


def open_host_key(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "host-key").write_text("no key")
    (folder / "data" / "host-key").chmod(0o600)


@pytest.mark.parametrize(("harm", "says"), [(corrupt, "store.sqlite"), (open_host_key, "host-key")])
async def test_damaged_files_are_named(tmp_path: Path, harm: Callable[[Path], None], says: str) -> None:
    harm(tmp_path)
    said = await refused(prepare(tmp_path, CONFIG.format(CLOUD.format(port=0, devices=""))))
    assert says in said


async def test_a_second_manager_on_the_same_data_is_refused(tmp_path: Path) -> None:
    async with routers_of(tmp_path, PRIMARY, SECONDARY) as (a, b), launched(tmp_path, [a, b]):
        said = await refused(prepare(tmp_path, CONFIG.format(CLOUD.format(port=0, devices=""))))
        assert "store.sqlite" in said
