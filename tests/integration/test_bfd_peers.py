"""BFD with other implementations: up, other intervals, cut, taken down, and what goes over the wire."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from router.bfd import BfdConfig, BfdEndpoint, BfdRole, SessionConfig
from rui.bfd import demux
from rui.bfd.fsm import SessionOptions, StateChanged
from rui.bfd.packet import Diagnostic, State
from rui.bfd.states import Trigger
from rui_cli.lab.namespaces import Namespaces
from tests.integration.bfd_rig import OURS, THEIRS, Bird, Capture, Frr, Speaker, View, Wire, needs

pytestmark = [pytest.mark.root, pytest.mark.peer]

FAST, SLOWER = SessionOptions(50_000, 50_000), SessionOptions(80_000, 80_000)


@pytest.fixture
def wire() -> Iterator[Wire]:
    folder = Path(tempfile.mkdtemp(prefix="rui-bfd-"))
    folder.chmod(0o755)
    try:
        with Namespaces(f"bfd{os.getpid()}") as namespaces:
            made = Wire(namespaces, folder)
            namespaces.enter("us")
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Ours:
    """Our end: a session for each address family, and the changes of both."""

    def __init__(self) -> None:
        self.changes: dict[str, asyncio.Queue[StateChanged]] = {local: asyncio.Queue() for local in OURS}
        self.endpoint = BfdEndpoint(
            BfdConfig(self.sessions(FAST)),
            lambda entry, change: self.changes[entry.path.local].put_nowait(change),
            rng=Random(7),
        )
        self.endpoint.start()

    @staticmethod
    def sessions(options: SessionOptions) -> tuple[SessionConfig, ...]:
        return tuple(
            SessionConfig(local, BfdRole.CORE, demux.Path(local, remote, "eth0"), options)
            for local, remote in zip(OURS, THEIRS, strict=True)
        )

    async def reach(self, state: State) -> set[tuple[Trigger, Diagnostic]]:
        """Wait until both sessions came to a state; return why they did."""
        found = set()
        async with asyncio.timeout(20):
            for queue in self.changes.values():
                change = await queue.get()
                while change.state is not state:
                    change = await queue.get()
                found.add((change.trigger, change.diagnostic))
        return found

    def detections(self) -> set[int]:
        return {round(r.session.detection_time * 1000) for r in self.endpoint.sessions.values()}

    def falls(self) -> int:
        return sum(r.session.changes[State.DOWN] for r in self.endpoint.sessions.values())


async def until(holds: Callable[[], bool]) -> None:
    """Wait for the other program to say so, without keeping our packets from leaving."""
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - another program's state
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(Frr, marks=needs("bfdd", "vtysh", "tcpdump", "tshark"), id="frr"),
        pytest.param(Bird, marks=needs("bird", "birdc", "tcpdump", "tshark"), id="bird"),
    ],
)
async def test_sessions_with_another_implementation(wire: Wire, kind: type[Frr | Bird]) -> None:
    speaker: Speaker = kind(wire)
    capture = await asyncio.to_thread(Capture, wire)
    await asyncio.to_thread(speaker.start, 50)
    ours = Ours()
    try:
        await comes_up_and_changes(ours, speaker)
        await is_cut(ours, speaker, wire)
        await is_taken_down(ours, speaker)
    finally:
        ours.endpoint.close()
    await until(lambda: not any(view.up for view in speaker.views().values()))
    was_well_formed(await asyncio.to_thread(capture.decoded))


async def comes_up_and_changes(ours: Ours, speaker: Speaker) -> None:
    await ours.reach(State.UP)
    await until(lambda: speaker.views() == dict.fromkeys(OURS, View(up=True, detection=150)))
    ours.endpoint.apply(ours.sessions(SLOWER))
    await until(lambda: speaker.views() == dict.fromkeys(OURS, View(up=True, detection=240)))
    await asyncio.to_thread(speaker.change, 100)
    await until(lambda: ours.detections() == {300})
    assert ours.falls() == 0


async def is_cut(ours: Ours, speaker: Speaker, wire: Wire) -> None:
    wire.cut()
    assert await ours.reach(State.DOWN) == {(Trigger.EXPIRED, Diagnostic.DETECTION_EXPIRED)}
    await until(lambda: not any(view.up for view in speaker.views().values()))
    wire.heal()
    await ours.reach(State.UP)


async def is_taken_down(ours: Ours, speaker: Speaker) -> None:
    ours.endpoint.apply(ours.sessions(replace(SLOWER, admin_down=True)))
    await ours.reach(State.ADMIN_DOWN)
    await until(lambda: not any(view.up for view in speaker.views().values()))
    ours.endpoint.apply(ours.sessions(SLOWER))
    await ours.reach(State.UP)
    await asyncio.to_thread(speaker.hold_down, True)
    assert {trigger for trigger, _ in await ours.reach(State.DOWN)} == {speaker.farewell}
    await asyncio.to_thread(speaker.hold_down, False)
    await ours.reach(State.UP)


def was_well_formed(packets: list[dict[str, str]]) -> None:
    assert not [packet for packet in packets if packet["_ws.malformed"]]
    # Of the other's packets tshark has found something to say at times
    ours = [packet for packet in packets if (packet["ip.src"] or packet["ipv6.src"]) in OURS]
    assert [packet["_ws.expert.message"] for packet in ours] == [""] * len(ours)
    assert {packet["ip.ttl"] or packet["ipv6.hlim"] for packet in packets} == {"255"}
    assert {packet["bfd.version"] for packet in packets} == {"1"}
    sent = {State(int(packet["bfd.sta"], 0)) for packet in packets if packet["ip.src"] == OURS[0]}
    # Whoever hears the other's Init first skips it
    assert sent | {State.INIT} == set(State)
    assert {"1"} <= {packet["bfd.flags.p"] for packet in packets} & {p["bfd.flags.f"] for p in packets}
