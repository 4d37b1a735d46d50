"""The raw link of an election: virtual MAC, TTL, accept mode, what is left behind and what is refused."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from router.vrrp import Election, TransportError
from router.vrrp.interface import InterfaceConfig, InterfaceTransport
from router.vrrp.linkwatch import Carrier
from router.vrrp.virtual import VirtualInterface
from rui.vrrp.packet import Fault
from rui.vrrp.states import State
from tests.integration.vrrp_rig import (
    MAC,
    OPTIONS,
    OURS,
    PEER,
    VIRTUAL,
    Site,
    elected,
    mastery,
    needs,
    site,
)
from tests.unit.router.vrrp.links import until

pytestmark = [pytest.mark.root]

OWNER = replace(OPTIONS, priority=255)
SETTINGS = ("arp_ignore", "arp_announce")
STRANGER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_RAW, 112) as raw:
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, int(sys.argv[1]))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    raw.sendto(bytes.fromhex(sys.argv[2]), ("224.0.0.18", 0))
"""
MASTER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from dataclasses import replace
from tests.integration.vrrp_rig import OPTIONS, elected, mastery
async def run():
    async with elected(replace(OPTIONS, priority=255)) as ours:
        await mastery(ours)
        print("up", flush=True)
        await asyncio.Event().wait()
asyncio.run(run())
"""
HOME = Path(__file__).parents[2]
HELD = "inet 192.0.2.254/32"


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("vrrp")) as made:
        yield made


def shown(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout


def settings() -> list[str]:
    return [Path(f"/proc/sys/net/ipv4/conf/eth0/{name}").read_text() for name in SETTINGS]


@needs()
async def test_only_a_master_s_virtual_interface_is_up_and_has_addresses(link: Site) -> None:
    before = settings()
    async with elected() as ours:
        (name,) = [word for word in shown("-br", "link").split() if word.startswith("vrrp4-51")]
        name = name.partition("@")[0]
        assert "UP" not in shown("-br", "link", "show", name)
        assert settings() == ["1\n", "2\n"]
        await mastery(ours)
        await until(lambda: HELD in shown("addr", "show", name))
        assert MAC in shown("link", "show", name)
        ours.suspend("test", "maintenance")
        await until(lambda: HELD not in shown("addr", "show", name))
        assert "UP" not in shown("-br", "link", "show", name)
    assert "vrrp4-51" not in shown("link")
    assert settings() == before


@needs()
async def test_two_masters_of_one_mac_hear_each_other(link: Site) -> None:
    link.namespaces.enter("peer")
    async with elected(replace(OPTIONS, priority=200)) as other:
        link.namespaces.enter("ours")
        async with elected() as ours:
            with link.cut("peer"):
                await mastery(ours)
                # Its interface is down: on a switch further away it would have stayed Master
                await until(lambda: other.state().suspended)
            await until(lambda: ours.master_address == PEER, ours.state)
            ours.grant(asyncio.get_running_loop().time() + 60)
            await until(lambda: other.master_address == OURS, other.state)
            link.namespaces.enter("peer")
    link.namespaces.enter("ours")


@needs()
async def test_both_are_master_until_the_link_heals(link: Site) -> None:
    """The far side of a bridge is cut, so both interfaces stay up and both virtual ones too."""
    link.namespaces.enter("peer")
    async with elected(replace(OPTIONS, priority=200)) as other:
        link.namespaces.enter("ours")
        link.namespaces.ip("switch", "link", "set", "p-ours", "nomaster")
        async with elected() as ours:
            await mastery(ours)
            await mastery(other)
            link.namespaces.ip("switch", "link", "set", "p-ours", "master", "br0")
            await until(lambda: ours.master_address == PEER, ours.state)
            assert other.state().state is State.MASTER
            link.namespaces.enter("peer")
    link.namespaces.enter("ours")


@needs("nft")
async def test_without_accept_mode_a_master_answers_nothing_but_arp(link: Site) -> None:
    async with elected(accept_mode=False) as ours:
        await mastery(ours)
        assert not await link.ping(VIRTUAL, seconds=1)
        await until(lambda: link.neighbor(VIRTUAL) == MAC)
    assert "vrrp" not in link.namespaces.run("ours", ["nft", "list", "tables"]).stdout.decode()


@needs()
async def test_without_a_virtual_mac_the_addresses_are_on_the_interface_itself(link: Site) -> None:
    async with elected(virtual_mac=False) as ours:
        await mastery(ours)
        assert await link.ping(VIRTUAL)
        assert "vrrp4-" not in shown("link")
        assert HELD in shown("addr", "show", "eth0")
    assert HELD not in shown("addr", "show", "eth0")


@needs()
async def test_an_owner_s_addresses_stay_where_they_are(link: Site) -> None:
    own = f"{VIRTUAL}/24"
    link.namespaces.ip("ours", "addr", "add", own, "dev", "eth0")
    try:
        async with elected(OWNER) as ours:
            await mastery(ours)
            assert await link.ping(VIRTUAL)
            assert "vrrp4-" not in shown("link")
            ours.suspend("test", "maintenance")
            assert own in shown("addr", "show", "eth0")
        assert own in shown("addr", "show", "eth0")
    finally:
        link.namespaces.ip("ours", "addr", "del", own, "dev", "eth0")


@needs()
async def test_two_virtual_routers_on_one_interface(link: Site) -> None:
    before = settings()
    other = replace(OPTIONS, vrid=52, addresses=(IPv4Address("192.0.2.253"),))
    async with elected() as second:
        async with elected(other) as first:
            await mastery(first)
            await mastery(second)
            assert await link.ping(IPv4Address("192.0.2.253"))
            assert first.state().counters.faults == {}
        assert settings() == ["1\n", "2\n"]
        assert await link.ping(VIRTUAL)
    assert settings() == before


@needs()
async def test_what_came_over_a_router_is_refused(link: Site) -> None:
    better = "3133c801000aa130c00002fe"
    async with elected(OWNER) as ours:
        await mastery(ours)
        for hops in ("254", "255"):
            link.namespaces.run("peer", [sys.executable, "-c", STRANGER, hops, better])
        await until(lambda: ours.state().last_source)
        assert ours.state().counters.faults == {Fault.TTL: 1}


@needs()
async def test_what_a_killed_process_left_is_cleaned_at_the_next_start(link: Site) -> None:
    async with link.running("ours", "ours", sys.executable, "-c", MASTER, str(HOME)) as log:
        await log.says("up")
        await until(lambda: HELD in shown("addr"))
        os.killpg(log.process.pid, signal.SIGKILL)
        await asyncio.to_thread(log.process.wait)
    # Soon the kernel takes the addresses away by itself; the next start takes the rest at once
    assert "vrrp4-51" in shown("link")
    async with elected():
        assert HELD not in shown("addr")


@needs()
async def test_addresses_of_who_no_longer_speaks_end_by_themselves(link: Site) -> None:
    virtual = VirtualInterface("eth0", "", None, (VIRTUAL,), silence=0.0)
    try:
        await virtual.open(lambda _: None)
        virtual.take()
        assert HELD in shown("addr")
        await until(lambda: HELD not in shown("addr"))
    finally:
        await virtual.close()


@needs()
async def test_a_carrier_is_read_as_it_is(link: Site) -> None:
    with closing(Carrier("eth0")) as carrier, closing(Carrier("eth77")) as absent:
        assert carrier.read()
        with link.cut("ours"):
            assert not carrier.read()
        with pytest.raises(OSError, match="No such device"):
            absent.read()


@needs()
@pytest.mark.parametrize(
    ("interface", "said"),
    [("eth7", "no interface 'eth7': create it"), ("bare", "bare has no IPv4 address of its own")],
)
async def test_a_link_that_cannot_be_used_is_named(link: Site, interface: str, said: str) -> None:
    if interface == "bare":
        link.namespaces.ip("ours", "link", "add", "bare", "type", "veth", "peer", "name", "other")
    with pytest.raises(TransportError, match=said):
        await start(interface)
    assert "vrrp4-" not in shown("link")


async def test_without_root_it_says_so() -> None:
    # Another process, for root is not given up and taken back
    code = (
        "import asyncio, os, sys\n"
        "from tests.integration.test_vrrp_interface import start\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "asyncio.run(start('lo'))\n"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=False
    )
    assert "run as root or with CAP_NET_RAW and CAP_NET_ADMIN, or use the unicast transport" in done.stderr


async def start(interface: str) -> None:
    """Start an election on that interface, to see it refused."""
    config = InterfaceConfig(interface, 51, (IPv4Address("192.0.2.254"),))
    transport = InterfaceTransport(config)
    election = Election("g1", OPTIONS, transport, on_master=lambda _: None, on_backup=lambda _: None)
    await election.start()
