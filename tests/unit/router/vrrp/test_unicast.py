"""Elections over UDP on loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from router.vrrp.election import Election
from router.vrrp.transport import TransportError
from router.vrrp.unicast import UnicastConfig, UnicastTransport
from rui.vrrp.packet import Advertisement, Fault, encode
from rui.vrrp.states import State
from rui.vrrp.values import Source, VrrpOptions
from tests.unit.router.vrrp.links import FAST, Told, until

LOOPBACK = Source(IPv4Address("127.0.0.1"))
LOOPBACK6 = Source(IPv6Address("::1"))


class Pair:
    """Two elections that know each other's ports once both are open."""

    def __init__(self, local: Source, first: VrrpOptions, second: VrrpOptions) -> None:
        self.links = [UnicastTransport(UnicastConfig(local, ())) for _ in range(2)]
        self.told = [Told(), Told()]
        self.elections = [
            Election("g1", options, link, on_master=told.on_master, on_backup=told.on_backup)
            for options, link, told in zip((first, second), self.links, self.told, strict=True)
        ]
        self.ends: list[Source] = []

    async def start(self) -> None:
        for election in self.elections:
            election.suspend("test", "the other end is not there yet")
            await election.start()
        self.ends = [link.local for link in self.links]
        self.links[0].peers, self.links[1].peers = (self.ends[1],), (self.ends[0],)
        for election in self.elections:
            election.resume("test")

    async def close(self) -> None:
        for election in self.elections:
            await election.close()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair(LOOPBACK, replace(FAST, priority=200), FAST)
    await made.start()
    yield made
    await made.close()


async def test_one_is_master_and_resigns(pair: Pair) -> None:
    await pair.told[0].next("master")
    await until(lambda: pair.elections[1].master_address)
    await pair.elections[0].close()
    assert await pair.told[1].next("master") == f"the Master {pair.ends[0]} has resigned"


async def test_equal_ends_on_one_address_are_told_apart_by_their_ports() -> None:
    pair = Pair(LOOPBACK, FAST, FAST)
    await pair.start()
    higher = pair.ends.index(max(pair.ends))
    await pair.told[higher].next("master")
    await pair.told[1 - higher].next("backup")
    assert pair.elections[1 - higher].master_address == LOOPBACK.address
    await pair.close()


async def test_ipv6() -> None:
    options = replace(FAST, addresses=(IPv6Address("fe80::1"),))
    pair = Pair(LOOPBACK6, replace(options, priority=200), options)
    try:
        await pair.start()
    except TransportError as error:
        await pair.close()
        pytest.skip(f"no IPv6 on loopback: {error}")
    await pair.told[0].next("master")
    await pair.elections[0].close()
    await pair.told[1].next("master")
    await pair.close()


async def test_a_stranger_is_not_heard_and_a_peer_s_broken_packet_is_counted(pair: Pair) -> None:
    first = pair.elections[0]
    await pair.told[0].next("master")
    best = encode(Advertisement(3, 51, 254, 1, FAST.addresses), LOOPBACK.address, LOOPBACK.address)
    target = (str(pair.ends[0].address), pair.ends[0].port)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        peer.bind((str(LOOPBACK.address), 0))
        pair.links[0].peers = (Source(LOOPBACK.address, peer.getsockname()[1]),)
        stranger.sendto(best, target)
        peer.sendto(best[:-1], target)
        await until(lambda: first.state().counters.faults[Fault.LENGTH])
        assert first.state().state is State.MASTER
        peer.sendto(best, target)
        assert await pair.told[0].next("backup") == f"{pair.links[0].peers[0]} is Master with priority 254"


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        link = UnicastTransport(UnicastConfig(replace(LOOPBACK, port=port), ()))
        told = Told()
        election = Election("g1", FAST, link, on_master=told.on_master, on_backup=told.on_backup)
        with pytest.raises(TransportError, match=f"port {port} for VRRP: .*choose another port"):
            await election.start()
        await election.close()
    assert told.roles == []
