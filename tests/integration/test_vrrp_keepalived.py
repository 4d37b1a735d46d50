"""VRRP with keepalived as the other router, on a real link: who is Master, when, and what the wire shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from rui.vrrp.values import VrrpOptions
from tests.integration.vrrp_rig import (
    MAC,
    MAC6,
    OPTIONS,
    OPTIONS6,
    OURS,
    PEER,
    VIRTUAL,
    VIRTUAL6,
    Log,
    Site,
    elected,
    mastery,
    needs,
    site,
)
from tests.unit.router.vrrp.links import until

pytestmark = [pytest.mark.root, pytest.mark.peer, needs("keepalived")]

BETTER = replace(OPTIONS, priority=200)
MASTER, BACKUP = "Entering MASTER STATE", "Entering BACKUP STATE"
CONFIGURATION = """
global_defs {{ vrrp_version {version} vrrp_garp_master_delay 1 }}
vrrp_instance test {{
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority {priority}
  advert_int {interval}
  {more}
  virtual_ipaddress {{ {addresses} }}
}}
"""


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("vrrp")) as made:
        yield made


@asynccontextmanager
async def keepalived(link: Site, options: VrrpOptions, more: str = "use_vmac") -> AsyncIterator[Log]:
    """Run keepalived with the same virtual router."""
    folder = link.folder
    file = folder / "keepalived.conf"
    file.write_text(
        CONFIGURATION.format(
            version=options.version,
            priority=options.priority,
            interval=options.interval / 100,
            addresses=" ".join(str(address) for address in options.addresses),
            more=more,
        )
    )
    command = ("keepalived", "-n", "-l", "-D", "-P", "-f", str(file))
    pids = ("-p", str(folder / "keepalived.pid"), "-r", str(folder / "vrrp.pid"))
    async with link.running("keepalived", "peer", *command, *pids) as log:
        yield log


async def test_it_dies_and_we_take_over(link: Site) -> None:
    async with link.capture("dies") as capture, elected() as ours, keepalived(link, BETTER) as peer:
        await until(lambda: ours.master_address == PEER)
        await peer.says(MASTER)
        assert await link.ping(VIRTUAL)
        with link.cut("peer"):
            await mastery(ours)
            assert ours.state().reason == f"the Master {PEER} is silent"
            assert await link.ping(VIRTUAL)
            assert link.neighbor(VIRTUAL) == MAC
    assert set(capture.column("eth.src", vrrp__version="3")) == {MAC}
    assert capture.column("vrrp.prio", ip__src=str(OURS))[-1] == "0"
    assert "1" in capture.column("arp.isgratuitous", eth__src=MAC)


async def test_we_resign_and_it_takes_over_at_once(link: Site) -> None:
    # An owner is Master from the start; a Backup waits 3.6 s for a silent Master at this interval
    owner = replace(OPTIONS, priority=255, interval=100)
    async with link.capture("resigns") as capture, keepalived(link, replace(OPTIONS, interval=100)) as peer:
        async with elected(owner) as ours:
            await mastery(ours)
            await peer.says(BACKUP)
        await peer.says(MASTER)
        assert await link.ping(VIRTUAL)
    resigned = capture.column("frame.time_relative", ip__src=str(OURS), vrrp__prio="0")
    followed = capture.column("frame.time_relative", ip__src=str(PEER), vrrp__prio="100")
    assert float(followed[0]) - float(resigned[0]) < 3


async def test_we_preempt_it_and_only_if_we_may(link: Site) -> None:
    async with link.capture("preempts"), keepalived(link, OPTIONS) as peer:
        await peer.says(MASTER)
        async with elected(replace(BETTER, preempt=False)) as shy:
            await until(lambda: shy.state().counters.received > 5, shy.state)
            assert shy.master_address == PEER
        async with elected(BETTER) as ours:
            ours.allow_preemption(False)
            await until(lambda: ours.state().counters.received > 5, ours.state)
            assert ours.master_address == PEER
            ours.allow_preemption(True)
            await mastery(ours)
            assert ours.state().reason == f"preempts {PEER}"
            await peer.says(BACKUP, times=2)
            assert await link.ping(VIRTUAL)


async def test_it_gives_way_to_a_granted_one(link: Site) -> None:
    async with keepalived(link, BETTER) as peer, elected() as ours:
        await until(lambda: ours.master_address == PEER)
        ours.grant(asyncio.get_running_loop().time() + 60)
        await mastery(ours)
        await peer.says(BACKUP, times=2)
        ours.set_priority(1, "cut off from the cloud")
        await until(lambda: ours.master_address == PEER, ours.state)


async def test_ipv6(link: Site) -> None:
    middle = replace(OPTIONS6, priority=150)
    async with link.capture("ipv6") as capture, keepalived(link, middle) as peer:
        async with elected(OPTIONS6) as ours:
            await until(lambda: ours.master_address not in (None, ours.state().own_address), ours.state)
            await peer.says(MASTER)
            with link.cut("peer"):
                await mastery(ours)
                assert await link.ping(VIRTUAL6)
                assert link.neighbor(VIRTUAL6) == MAC6
            await until(lambda: ours.master_address != ours.state().own_address, ours.state)
        async with elected(replace(OPTIONS6, priority=200)) as better:
            await mastery(better)
            assert better.state().counters.faults == {}
        await peer.says(MASTER, times=3)
    assert set(capture.column("eth.src", vrrp__version="3")) == {MAC6}
    assert "136" in capture.column("icmpv6.type", eth__src=MAC6)


async def test_version_2(link: Site) -> None:
    old = replace(OPTIONS, version=2, interval=100)
    async with link.capture("version-2") as capture, keepalived(link, old) as peer:
        async with elected(replace(old, priority=255)) as owner:
            await mastery(owner)
            await peer.says(BACKUP)
        await peer.says(MASTER)
        async with elected(old) as ours:
            await until(lambda: ours.master_address == PEER)
            assert ours.state().counters.faults == {}
    assert set(capture.column("vrrp.version", eth__src=MAC)) == {"", "2"}
