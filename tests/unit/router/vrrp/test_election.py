"""Elections in real time over links in memory; an interval is 100 ms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from router.vrrp.election import Election
from rui.vrrp.packet import Fault
from rui.vrrp.states import State
from rui.vrrp.values import VrrpOptions
from tests.unit.router.vrrp.links import FAST, OWNER, MemoryLink, Segment, Told, election, until


@dataclass
class Node:
    election: Election
    link: MemoryLink
    told: Told


class Rig:
    def __init__(self) -> None:
        self.segment = Segment()
        self.nodes: list[Node] = []

    async def add(self, options: VrrpOptions) -> Node:
        """Start one more router, its address one higher than the last."""
        link, told = MemoryLink(self.segment, len(self.nodes) + 1), Told()
        node = Node(election(link, options, told), link, told)
        self.nodes.append(node)
        await node.election.start()
        return node


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    for node in made.nodes:
        await node.election.close()


async def test_one_of_two_is_master_and_its_end_is_the_other_s_turn(rig: Rig) -> None:
    first, second = await rig.add(OWNER), await rig.add(FAST)
    assert first.told.roles == [("master", "started as the owner of the addresses")]
    assert second.told.roles == [("backup", "started")]
    await until(lambda: second.election.master_address)

    await first.election.close()
    assert await second.told.next("master") == "the Master 192.0.2.1 has resigned"
    assert first.told.roles[-1] == ("backup", "stopped")
    assert first.link.done[-2:] == ["release", "close"]
    assert first.link.sent[-1].priority == 0


async def test_a_silent_master_is_replaced_and_takes_over_again(rig: Rig) -> None:
    first, second = await rig.add(OWNER), await rig.add(FAST)
    await until(lambda: second.election.master_address)
    await second.told.next("backup")
    first.link.cut = True
    assert await second.told.next("master") == "the Master 192.0.2.1 is silent"
    first.link.cut = False
    assert await second.told.next("backup") == "192.0.2.1 is Master with priority 255"


async def test_the_addresses_follow_the_role(rig: Rig) -> None:
    node = await rig.add(OWNER)
    await until(lambda: "take" in node.link.done)
    assert "announce" in node.link.done


async def test_an_interface_that_goes_down_ends_mastership(rig: Rig) -> None:
    node = await rig.add(OWNER)
    assert node.link.handlers is not None
    node.link.handlers.link(False)
    assert await node.told.next("backup") == "eth1 is down"
    state = node.election.state()
    assert (state.state, state.suspended) == (State.INITIALIZE, "eth1 is down")
    node.link.handlers.link(True)
    assert node.election.state().state is State.MASTER


async def test_who_holds_it_must_let_go_of_it(rig: Rig) -> None:
    node = await rig.add(FAST)
    node.election.suspend("a", "maintenance")
    node.election.suspend("b", "no uplink")
    node.election.resume("a")
    node.election.resume("c")
    assert node.election.state().state is State.INITIALIZE
    node.election.resume("b")
    assert node.election.state().state is State.BACKUP


async def test_a_master_without_addresses_leaves_it_to_the_others(rig: Rig) -> None:
    node = await rig.add(OWNER)
    assert node.link.handlers is not None
    node.link.handlers.link(False)
    node.link.refusing = True
    node.link.handlers.link(True)
    assert node.link.sent[-1].priority == 0
    assert node.election.state().suspended == "[Errno 1] no room for addresses"
    assert [role for role, _ in node.told.roles] == ["master", "backup"]


async def test_whoever_listens_has_the_addresses_at_either_change(rig: Rig) -> None:
    link, seen = MemoryLink(rig.segment, 1), list[list[str]]()

    def note(_: str) -> None:
        seen.append([what for what in link.done if what != "announce"])

    node = Election("g1", OWNER, link, on_master=note, on_backup=note)
    await node.start()
    node.suspend("test", "maintenance")
    assert seen == [["take"], ["take"]]
    assert link.done[-1] == "release"
    await node.close()


async def test_the_hooks_reach_the_core(rig: Rig) -> None:
    first = await rig.add(replace(FAST, priority=200, yield_needs_grant=True))
    second = await rig.add(replace(FAST, yield_needs_grant=True))
    await first.told.next("master")
    second.election.allow_preemption(False)
    assert not second.election.state().preemption_allowed
    first.election.set_priority(1, "cut off")
    assert first.election.state().priority == 1
    assert first.election.state().state is State.MASTER

    second.election.grant(asyncio.get_running_loop().time() + 5)
    assert await first.told.next("backup") == "192.0.2.2 is Master with priority 254"
    assert second.election.state().granted
    assert first.election.master_address == second.link.source.address


async def test_bfd_s_word_counts_for_the_master_only(rig: Rig) -> None:
    first, second = await rig.add(OWNER), await rig.add(FAST)
    await until(lambda: second.election.master_address)
    second.election.bfd_down(second.link.source.address)
    assert second.election.state().state is State.BACKUP
    second.election.bfd_down(first.link.source.address)
    assert second.election.state().reason == "the Master is dead by BFD"


async def test_what_is_tracked_lowers_the_priority_while_it_is_not_up() -> None:
    link, told = MemoryLink(Segment(), 1), Told()
    tracks = {"core-1": 30, "core-2": 90}
    node = Election("g1", FAST, link, on_master=told.on_master, on_backup=told.on_backup, tracks=tracks)

    def priority() -> tuple[int, str]:
        return node.state().priority, node.state().priority_reason

    assert priority() == (2, "configured; BFD session core-1, core-2 not up")
    node.track("core-2", trusted=True)
    assert priority() == (70, "configured; BFD session core-1 not up")
    node.track("access", trusted=False)
    node.set_priority(150, "in touch")
    assert priority()[0] == 120
    node.set_priority(1, "reaches nobody")
    assert priority()[0] == 1
    node.set_priority(150, "in touch")
    node.track("core-1", trusted=True)
    assert priority() == (150, "in touch")


async def test_hooks_count_before_the_start() -> None:
    link, told = MemoryLink(Segment(), 1), Told()
    node = election(link, FAST, told)
    node.set_priority(50, "no uplink")
    node.suspend("core", "not ready")
    await node.start()
    assert told.roles == [("backup", "not ready")]
    state = node.state()
    assert (state.state, state.priority, state.priority_reason) == (State.INITIALIZE, 50, "no uplink")
    node.resume("core")
    assert node.state().state is State.BACKUP
    await node.close()


async def test_a_callback_may_use_the_hooks(rig: Rig) -> None:
    link, told = MemoryLink(rig.segment, 1), Told()
    node = Election(
        "g1", FAST, link, on_master=lambda _: node.set_priority(50, "busy"), on_backup=told.on_backup
    )
    await node.start()
    await until(lambda: len(link.sent) >= 2)
    assert [sent.priority for sent in link.sent[:2]] == [100, 50]
    await node.close()


async def test_a_callback_that_fails_does_not_silence_a_master() -> None:
    def fail(_: str) -> None:
        raise ValueError("a fault of whoever listens")

    link = MemoryLink(Segment(), 1)
    node = Election("g1", OWNER, link, on_master=fail, on_backup=lambda _: None)
    with pytest.raises(ValueError, match="a fault of whoever listens"):
        await node.start()
    await until(lambda: len(link.sent) >= 3)
    await node.close()


async def test_what_is_refused_is_counted(rig: Rig) -> None:
    node = await rig.add(FAST)
    assert node.link.handlers is not None
    for _ in range(3):
        node.link.handlers.refused(Fault.TTL, "from 192.0.2.9 with 3 hops")
    assert node.election.state().counters.faults[Fault.TTL] == 3
