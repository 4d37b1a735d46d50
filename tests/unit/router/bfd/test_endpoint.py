"""Sessions over real sockets of loopback: up, changed, cut, taken down, and what is not believed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from random import Random

import pytest

from router.bfd import BfdConfig, BfdEndpoint, BfdRole, BfdSocketError, SessionConfig
from rui.bfd.demux import Path
from rui.bfd.fsm import SessionOptions, StateChanged
from rui.bfd.packet import ControlPacket, Diagnostic, State, decode
from rui.bfd.states import Trigger

FAST = SessionOptions(20_000, 20_000)


class End:
    """One system, and the states that its sessions came to."""

    def __init__(self, config: BfdConfig, seed: int) -> None:
        self.changes: asyncio.Queue[tuple[str, StateChanged]] = asyncio.Queue()
        self.endpoint = BfdEndpoint(
            config, lambda entry, change: self.changes.put_nowait((entry.name, change)), rng=Random(seed)
        )
        self.endpoint.start()

    @property
    def port(self) -> int:
        return self.endpoint.addresses[0][1]

    async def reaches(self, state: State) -> StateChanged:
        async with asyncio.timeout(20):
            while True:
                _, change = await self.changes.get()
                if change.state is state:
                    return change


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what no callback tells of."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what is waited for is a state, and no part tells of it
            await asyncio.sleep(0.01)


Ends = Callable[[BfdConfig], End]


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    made: list[End] = []

    def make(config: BfdConfig) -> End:
        made.append(End(config, len(made)))
        return made[-1]

    yield make
    for end in made:
        end.endpoint.close()


def listening(address: str) -> BfdConfig:
    return BfdConfig(addresses=(address,), port=0)


def entry(local: str, remote: str, port: int, options: SessionOptions = FAST) -> SessionConfig:
    return SessionConfig("peer", BfdRole.RBS, Path(local, remote), options, port=port)


def joined(ends: Ends, one: str = "127.0.0.1", other: str = "127.0.0.2") -> tuple[End, End]:
    a, b = ends(listening(one)), ends(listening(other))
    a.endpoint.apply([entry(one, other, b.port)])
    b.endpoint.apply([entry(other, one, a.port)])
    return a, b


@pytest.mark.parametrize(("one", "other"), [("127.0.0.1", "127.0.0.2"), ("::1", "::1")])
async def test_two_systems_come_up(ends: Ends, one: str, other: str) -> None:
    a, b = joined(ends, one, other)
    await a.reaches(State.UP)
    await b.reaches(State.UP)
    assert 49152 <= a.endpoint.sessions["peer"].sender.source_port <= 65535


async def test_what_one_system_takes_down_the_other_hears_of(ends: Ends) -> None:
    a, b = joined(ends)
    await a.reaches(State.UP)
    await b.reaches(State.UP)
    running = a.endpoint.sessions["peer"]
    a.endpoint.apply([replace(running.config, options=replace(FAST, admin_down=True))])
    change = await b.reaches(State.DOWN)
    assert (change.trigger, change.diagnostic) == (Trigger.HEARD_ADMIN_DOWN, Diagnostic.NEIGHBOR_DOWN)
    a.endpoint.apply([replace(running.config, options=FAST)])
    await b.reaches(State.UP)
    a.endpoint.close()
    assert (await b.reaches(State.DOWN)).trigger is Trigger.HEARD_ADMIN_DOWN


async def test_a_system_that_dies_is_missed(ends: Ends) -> None:
    a, b = joined(ends)
    await b.reaches(State.UP)
    await a.reaches(State.UP)
    for running in a.endpoint.sessions.values():
        running.sender.send = lambda data: None  # type: ignore[method-assign]
    change = await b.reaches(State.DOWN)
    assert change.trigger is Trigger.EXPIRED


async def test_intervals_change_without_a_fall(ends: Ends) -> None:
    a, b = joined(ends)
    await a.reaches(State.UP)
    await b.reaches(State.UP)
    there = b.endpoint.sessions["peer"].session
    a.endpoint.apply([entry("127.0.0.1", "127.0.0.2", b.port, SessionOptions(60_000, 60_000, 5))])
    await until(lambda: (there.detection_time, there.interval) == (0.3, 0.06))
    assert there.changes[State.DOWN] == 0


async def test_another_address_is_another_session(ends: Ends) -> None:
    a, b = joined(ends)
    before = a.endpoint.sessions["peer"].session
    a.endpoint.apply([entry("127.0.0.3", "127.0.0.2", b.port)])
    assert a.endpoint.sessions["peer"].session is not before
    a.endpoint.apply([])
    assert not a.endpoint.sessions


async def test_only_a_ttl_of_255_is_heard(ends: Ends) -> None:
    a = ends(listening("127.0.0.1"))
    a.endpoint.apply([entry("127.0.0.1", "127.0.0.7", 9)])
    session = a.endpoint.sessions["peer"].session
    hello = ControlPacket(
        State.DOWN,
        multiplier=3,
        my_discriminator=7,
        your_discriminator=0,
        desired_min_tx=1_000_000,
        required_min_rx=1_000_000,
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.7", 0))
        far.sendto(hello.encode(), ("127.0.0.1", a.port))
        far.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
        far.sendto(b"no packet", ("127.0.0.1", a.port))
        far.sendto(hello.encode(), ("127.0.0.1", a.port))
        await a.reaches(State.INIT)
    assert session.discarded.total() == 1
    assert session.received == 1
    assert a.endpoint.discarded == 1


async def test_packets_leave_with_a_ttl_of_255_from_one_port(ends: Ends) -> None:
    a = ends(listening("127.0.0.1"))
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.7", 0))
        far.setblocking(False)
        far.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
        a.endpoint.apply([entry("127.0.0.1", "127.0.0.7", far.getsockname()[1])])
        seen: list[tuple[object, int]] = []
        async with asyncio.timeout(20):
            while len(seen) < 2:
                readable = loop.create_future()
                loop.add_reader(far.fileno(), readable.set_result, None)
                await readable
                loop.remove_reader(far.fileno())
                data, ancillary, _, sender = far.recvmsg(64, 64)
                seen.append((sender, int.from_bytes(ancillary[0][2], "little")))
                assert decode(data).state is State.DOWN
    assert len(set(seen)) == 1
    assert seen[0][1] == 255


async def test_a_missing_interface_is_waited_for(ends: Ends) -> None:
    a = ends(listening("127.0.0.1"))
    path = Path("127.0.0.1", "127.0.0.2", "none-such0")
    a.endpoint.apply([SessionConfig("peer", BfdRole.ACCESS, path, FAST, port=9)])
    running = a.endpoint.sessions["peer"]
    await until(lambda: running.failed > 0)
    assert running.session.state is State.DOWN


async def test_a_port_that_is_taken_is_named(ends: Ends) -> None:
    a = ends(listening("127.0.0.1"))
    with pytest.raises(BfdSocketError, match=rf"127\.0\.0\.1 port {a.port}: .*in use; stop the other"):
        ends(BfdConfig(addresses=("127.0.0.1",), port=a.port))
