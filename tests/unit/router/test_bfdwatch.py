"""What follows from BFD: who takes over, what is told, and other sessions under way."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import cast

import pytest
from lxml import etree

from netconf_server import Stream
from router.alarms import Alarms
from router.bfd import BfdConfig, BfdRole, SessionConfig
from router.bfdwatch import BfdWatch
from router.vrrp import Election
from rui.bfd.demux import Path
from rui.bfd.fsm import SessionOptions, StateChanged
from rui.bfd.packet import Diagnostic, State
from rui.bfd.states import Trigger
from tests.unit.router.vrrp.links import until

PEER = "192.0.2.2"
ACCESS = SessionConfig("access-g1", BfdRole.ACCESS, Path("192.0.2.1", PEER), group="g1")
UNHURRIED = SessionOptions(1_000_000, 1_000_000)


class Voter:
    """Stands for an election: remembers whom it was told dead."""

    def __init__(self) -> None:
        self.dead: list[IPv4Address | IPv6Address] = []
        self.tracked: list[tuple[str, bool]] = []

    def bfd_down(self, address: IPv4Address | IPv6Address) -> None:
        self.dead.append(address)

    def track(self, session: str, *, trusted: bool) -> None:
        self.tracked.append((session, trusted))


class Events:
    """Stands for a stream."""

    def __init__(self) -> None:
        self.published: list[etree._Element] = []

    def publish(self, content: etree._Element) -> None:
        self.published.append(content)


class Rig:
    def __init__(self, config: BfdConfig) -> None:
        self.voter, self.events, self.alarms = Voter(), Events(), Alarms()
        elections = [cast("Election", self.voter)]
        self.watch = BfdWatch(config, elections, self.alarms, cast("Stream", self.events))

    def falls(
        self, config: SessionConfig, trigger: Trigger, previous: State = State.UP, state: State = State.DOWN
    ) -> None:
        """Have a session change, as the thread would tell it."""
        change = StateChanged(previous, state, trigger, Diagnostic.NONE, State.DOWN, 1.0)
        self.watch._changed(config, change, etree.Element("told"))

    @property
    def alarm(self) -> str:
        last = list(self.alarms.book.history)[-1:]
        return " ".join(change.alarm.key.peer for change in last if change.raised)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig(BfdConfig())
    yield made
    await made.watch.close()


def test_a_silent_end_on_the_access_side_is_a_dead_master(rig: Rig) -> None:
    rig.falls(ACCESS, Trigger.EXPIRED)
    assert rig.voter.dead == [IPv4Address(PEER)]
    assert rig.alarm == "access-g1"
    assert len(rig.events.published) == 1


@pytest.mark.parametrize("role", [BfdRole.RBS, BfdRole.CORE])
def test_elsewhere_silence_is_evidence_only(rig: Rig, role: BfdRole) -> None:
    rig.falls(replace(ACCESS, role=role), Trigger.EXPIRED)
    assert rig.voter.dead == []
    assert rig.alarm == "access-g1"


@pytest.mark.parametrize("trigger", [Trigger.HEARD_DOWN, Trigger.HEARD_ADMIN_DOWN, Trigger.DISABLE])
def test_who_still_speaks_is_no_dead_master(rig: Rig, trigger: Trigger) -> None:
    rig.falls(ACCESS, trigger)
    assert rig.voter.dead == []
    assert rig.alarm == ("access-g1" if trigger is Trigger.HEARD_DOWN else "")


def test_a_session_that_never_came_up_accuses_nobody(rig: Rig) -> None:
    rig.falls(ACCESS, Trigger.EXPIRED, previous=State.INIT)
    assert rig.voter.dead == []
    assert rig.alarm == ""


def test_the_alarm_stays_until_the_session_is_up_again_or_taken_down(rig: Rig) -> None:
    rig.falls(ACCESS, Trigger.EXPIRED)
    rig.falls(ACCESS, Trigger.HEARD_DOWN, previous=State.DOWN, state=State.INIT)
    assert rig.alarm == "access-g1"
    rig.falls(ACCESS, Trigger.HEARD_UP, previous=State.INIT, state=State.UP)
    assert rig.alarm == ""
    rig.falls(ACCESS, Trigger.EXPIRED)
    rig.falls(ACCESS, Trigger.DISABLE, previous=State.DOWN, state=State.ADMIN_DOWN)
    assert rig.alarm == ""


def test_what_is_tracked_hears_of_failures_and_of_what_is_on_purpose(rig: Rig) -> None:
    core = replace(ACCESS, name="core", role=BfdRole.CORE)
    rig.falls(core, Trigger.HEARD_INIT, previous=State.DOWN, state=State.UP)
    rig.falls(core, Trigger.EXPIRED)
    rig.falls(core, Trigger.HEARD_DOWN, previous=State.DOWN, state=State.INIT)
    rig.falls(core, Trigger.HEARD_ADMIN_DOWN, previous=State.INIT)
    assert rig.voter.tracked == [("core", True), ("core", False), ("core", True)]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def session(name: str, local: str, remote: str, port: int) -> SessionConfig:
    return SessionConfig(name, BfdRole.CORE, Path(local, remote), UNHURRIED, port=port)


async def test_other_sessions_take_effect_and_those_that_stay_do_not_fall() -> None:
    here, there = free_port(), free_port()
    first, second = (session(f"s{n}", "127.0.0.1", f"127.0.1.{n}", there) for n in (1, 2))
    far = tuple(session(f"s{n}", f"127.0.1.{n}", "127.0.0.1", here) for n in (1, 2))
    ours = Rig(BfdConfig((first,), ("127.0.0.1",), here))
    theirs = Rig(BfdConfig(far, ("0.0.0.0",), there))

    def states() -> dict[str, str]:
        tree = ours.watch.read()
        assert tree is not None
        found = [entry for entry in tree.iter() if etree.QName(entry).localname == "session"]
        leaves = [{etree.QName(leaf).localname: leaf.text or "" for leaf in entry.iter()} for entry in found]
        return {leaf["name"]: leaf["local-state"] for leaf in leaves}

    def about(name: str) -> list[str]:
        """Return the states that were told of a session."""
        told = [{etree.QName(leaf).localname: leaf.text for leaf in event} for event in ours.events.published]
        return [leaves["local-state"] or "" for leaves in told if leaves["name"] == name]

    await theirs.watch.start()
    await ours.watch.start()
    try:
        await until(lambda: states() == {"s1": "up"}, states)
        await until(lambda: "up" in about("s1"))
        told = len(about("s1"))
        await ours.watch.apply(BfdConfig((first, second), ("127.0.0.1",), here))
        await until(lambda: "up" in about("s2"), states)
        assert states() == {"s1": "up", "s2": "up"}
        assert len(about("s1")) == told
        await ours.watch.apply(BfdConfig((), ("127.0.0.1",), here))
        assert ours.watch.read() is None
        # A port of their own needs a new socket
        await ours.watch.apply(BfdConfig((second,), ("127.0.0.1",), free_port()))
        assert states().keys() == {"s2"}
    finally:
        await ours.watch.close()
        await theirs.watch.close()
