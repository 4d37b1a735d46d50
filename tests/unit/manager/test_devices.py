"""A link to one device: it dials until somebody answers, and starts anew when a session is over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import cast

import pytest

from manager import devices
from manager.config import DeviceConfig
from manager.devices import DeviceLink, LinkState
from netconf_client import ClientSession, ConnectFailed, PinnedKey, SessionClosed, Target
from rui.netconf.events import NotificationReceived
from tests.unit.manager.test_session import FakeSession


class Owner:
    """Notes what it is told."""

    probe_interval = 0.0

    def __init__(self) -> None:
        self.told: list[str] = []
        self._changed = asyncio.Event()

    def notified(self, device: str, notification: NotificationReceived) -> None:
        self._note("notified")

    def busy(self, device: str) -> bool:
        return False

    def connected(self, device: str, where: str) -> None:
        self._note("connected")

    def lost(self, device: str, reason: str) -> None:
        self._note(f"lost: {reason}")

    def unreachable(self, device: str, reason: str) -> None:
        self._note(f"unreachable: {reason}")

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def _note(self, what: str) -> None:
        self.told.append(what)
        self._changed.set()


class Net:
    """What dialling leads to: each entry a session, or why there is none; the last one for ever."""

    def __init__(self, *outcomes: FakeSession | str) -> None:
        self.outcomes = list(outcomes)
        self.dialled = 0

    async def connect(self, target: Target, **_: object) -> ClientSession:
        self.dialled += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, str):
            raise ConnectFailed(target.where, outcome)
        return cast("ClientSession", outcome)


def config(*, call_home: bool = False, enabled: bool = True) -> DeviceConfig:
    target = Target("192.0.2.1", "cloud", PinnedKey("unused"))
    return DeviceConfig("bras-a", enabled, call_home, "native", target, 0.001, 0.002)


def link_of(owner: Owner, monkeypatch: pytest.MonkeyPatch, net: Net) -> DeviceLink:
    monkeypatch.setattr(devices, "connect", net.connect)
    return DeviceLink(config(), owner, random.Random(1))


async def test_it_dials_until_somebody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    owner, session = Owner(), FakeSession()
    net = Net("refused", "refused", "refused", "no route", session)
    link = link_of(owner, monkeypatch, net)
    link.start()
    await owner.until(lambda: "connected" in owner.told)
    assert owner.told == ["unreachable: refused", "unreachable: no route", "connected"]
    assert net.dialled == 5
    assert (link.state, link.tries, link.last_error) == (LinkState.CONNECTED, 0, "")
    await link.close()


async def test_a_lost_session_is_set_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    owner, first, second = Owner(), FakeSession(), FakeSession()
    link = link_of(owner, monkeypatch, Net(first, second))
    link.start()
    await owner.until(lambda: owner.told == ["connected"])
    first.closed.set_result("no answer to keepalives")
    await owner.until(lambda: len(owner.told) == 3)
    assert owner.told[1:] == ["lost: no answer to keepalives", "connected"]
    link.give_up("it answers nothing")
    await owner.until(lambda: "lost: it answers nothing" in owner.told)
    await link.close()


async def test_a_device_without_the_stream_is_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    owner, session = Owner(), FakeSession()
    session.refuses = SessionClosed("192.0.2.1:830", "gone")
    link = link_of(owner, monkeypatch, Net(session, "refused"))
    link.start()
    await owner.until(lambda: bool(owner.told))
    assert owner.told[0].startswith("unreachable: the device refuses the subscription (S401)")
    await link.close()


async def test_a_device_that_calls_home_again_replaces_its_session() -> None:
    owner, first, second = Owner(), FakeSession(), FakeSession()
    link = DeviceLink(config(call_home=True), owner, random.Random(1))
    link.start()
    assert link.state is LinkState.WAITING
    serving = [asyncio.create_task(link.adopt(cast("ClientSession", first)))]
    await owner.until(lambda: owner.told == ["connected"])
    serving.append(asyncio.create_task(link.adopt(cast("ClientSession", second))))
    await owner.until(lambda: len(owner.told) == 3)
    assert owner.told[1:] == ["lost: the device has called home again", "connected"]
    await link.close()
    await asyncio.gather(*serving)
    assert link.state.value == "disabled"


async def test_without_a_session_a_request_says_so() -> None:
    link = DeviceLink(config(enabled=False), Owner(), random.Random(1))
    link.start()
    assert link.state is LinkState.DISABLED
    with pytest.raises(SessionClosed, match="no session"):
        await link.rpc([b"<x/>"])
    link.give_up("nothing there")
    link.released()


async def test_closing_tells_that_the_session_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    owner, session = Owner(), FakeSession()
    link = link_of(owner, monkeypatch, Net(session))
    link.start()
    await owner.until(lambda: owner.told == ["connected"])
    await link.close()
    assert owner.told == ["connected", "lost: the cloud device ends it"]
    assert session.closed.done()
