"""A router whose disk is full, whose journal was half written, or damaged."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from netconf_client import connect
from rui.backup.messages import Batch, Change, Result, Stream
from rui.backup.record import UserInfo
from rui.backup.version import ZERO, Epoch, Version
from rui_cli.launch import LaunchError
from tests.integration.router_rig import (
    GROUP,
    PRIMARY,
    SECONDARY,
    deliver,
    digest,
    make_site,
    manager_target,
    process,
    running,
)

WRITER = Epoch(1, PRIMARY)
SIZE = 200


def batch(number: int) -> Batch:
    """Return the batch of this number, 0 and up, of ``SIZE`` users."""
    first = number * SIZE
    changes = []
    for seq in range(first + 1, first + SIZE + 1):
        user = UserInfo(mac_address=f"02:00:00:00:{seq >> 8:02x}:{seq & 255:02x}", logical_port="x" * 200)
        changes.append(Change(user.key, Version(WRITER, seq), user.encode()))
    prev = Version(WRITER, first) if first else ZERO
    return Batch(GROUP, WRITER, Stream(prev, changes[-1].version), tuple(changes))


def journal(data: Path) -> Path:
    return data / f"group-{GROUP}" / "log-1"


async def test_a_full_disk_fails_the_batch_and_nothing_else(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    router = process(site, SECONDARY)
    log = journal(site.data(SECONDARY))
    async with running(router):
        session = await connect(manager_target(site, SECONDARY), timeout=30.0)
        assert (await deliver(session, batch(0))).result is Result.STORED
        held = await digest(session)
        size = log.stat().st_size
        assert router.pid is not None
        unlimited = resource.prlimit(router.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(router.pid, resource.RLIMIT_FSIZE, (size + 5000, unlimited[1]))
        failed = await deliver(session, batch(1))
        assert failed.result is Result.FAILED
        assert "File too large" in failed.reason
        assert await digest(session) == held
        assert log.stat().st_size == size
        resource.prlimit(router.pid, resource.RLIMIT_FSIZE, unlimited)
        assert (await deliver(session, batch(1))).result is Result.STORED
        held = await digest(session)
        assert held["count"] == str(2 * SIZE)
        await session.close()
        await router.kill()
        await router.start()
        session = await connect(manager_target(site, SECONDARY), timeout=30.0)
        assert await digest(session) == held
        await session.close()


async def test_a_half_written_block_is_cut_off_and_named(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    router = process(site, SECONDARY)
    log = journal(site.data(SECONDARY))
    async with running(router):
        session = await connect(manager_target(site, SECONDARY), timeout=30.0)
        await deliver(session, batch(0))
        held = await digest(session)
        size = log.stat().st_size
        await deliver(session, batch(1))
        await session.close()
        await router.kill()
        whole = log.read_bytes()
        log.write_bytes(whole[: size + (len(whole) - size) // 2])
        await router.start()
        session = await connect(manager_target(site, SECONDARY), timeout=30.0)
        assert await digest(session) == held
        assert log.stat().st_size == size
        assert (await deliver(session, batch(1))).result is Result.STORED
        await session.close()
    events = [json.loads(line) for line in router.log.read_text().splitlines() if line.startswith("{")]
    cut = next(event for event in events if event["event"] == "journal-cut")
    assert (cut["file"], cut["octet"]) == (str(log), size)


async def test_damage_in_the_middle_refuses_to_start(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    router = process(site, SECONDARY)
    log = journal(site.data(SECONDARY))
    async with running(router):
        session = await connect(manager_target(site, SECONDARY), timeout=30.0)
        await deliver(session, batch(0))
        size = log.stat().st_size
        await deliver(session, batch(1))
        await deliver(session, batch(2))
        await session.close()
        await router.kill()
        damaged = bytearray(log.read_bytes())
        damaged[size + 100] ^= 1
        log.write_bytes(damaged)
        with pytest.raises(LaunchError, match=rf"{log} is damaged at octet {size}.*(.|\n)*remedy: restore"):
            await router.start()
        assert log.read_bytes() == damaged
