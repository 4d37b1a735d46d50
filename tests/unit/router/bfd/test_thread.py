"""BFD on its own thread: sessions outlive a busy loop, and changes are told where they are waited for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from random import Random

import pytest
from lxml import etree

from router.bfd import BfdConfig, BfdRole, BfdSocketError, BfdThread, SessionConfig
from rui.bfd.demux import Path
from rui.bfd.fsm import SessionOptions, StateChanged
from rui.bfd.packet import State

OPTIONS = SessionOptions(100_000, 100_000)


class End:
    def __init__(self, address: str) -> None:
        self.changes: asyncio.Queue[tuple[StateChanged, etree._Element, str]] = asyncio.Queue()
        self.thread = BfdThread(BfdConfig(addresses=(address,), port=0), self.changed, rng=Random(address))

    def changed(self, config: SessionConfig, change: StateChanged, notification: etree._Element) -> None:
        self.changes.put_nowait((change, notification, threading.current_thread().name))

    async def reaches(self, state: State) -> tuple[etree._Element, str]:
        async with asyncio.timeout(20):
            while True:
                change, notification, thread = await self.changes.get()
                if change.state is state:
                    return notification, thread


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    a, b = End("127.0.0.1"), End("127.0.0.2")
    for end in (a, b):
        await end.thread.start()
    for end, local, remote, other in ((a, "127.0.0.1", "127.0.0.2", b), (b, "127.0.0.2", "127.0.0.1", a)):
        ((_, port),) = await other.thread.addresses()
        await end.thread.apply([SessionConfig("s", BfdRole.RBS, Path(local, remote), OPTIONS, port=port)])
    yield a, b
    for end in (a, b):
        await end.thread.close()


async def test_a_busy_loop_does_not_make_sessions_fall(ends: tuple[End, End]) -> None:
    a, b = ends
    for end in ends:
        notification, thread = await end.reaches(State.UP)
        assert notification.findtext("{urn:rui-cloud:yang:bfd}local-state") == "up"
        assert thread == threading.current_thread().name
    end_of_work = time.monotonic() + 0.8
    while time.monotonic() < end_of_work:
        pass
    await asyncio.sleep(0)
    assert a.changes.empty()
    assert b.changes.empty()
    assert a.thread.read().findtext(".//{urn:rui-cloud:yang:bfd}local-state") == "up"
    await b.thread.close()
    await a.reaches(State.DOWN)


async def test_a_port_that_is_taken_ends_the_thread(ends: tuple[End, End]) -> None:
    ((_, port),) = await ends[0].thread.addresses()
    before = threading.active_count()
    other = BfdThread(BfdConfig(addresses=("127.0.0.1",), port=port), lambda *_: None, rng=Random(1))
    with pytest.raises(BfdSocketError):
        await other.start()
    assert threading.active_count() <= before + 1  # to_thread may keep one of its own
    await other.close()
