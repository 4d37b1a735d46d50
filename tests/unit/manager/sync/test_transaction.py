"""A change on two devices, with either of them or the manager killed at every step."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from lxml import etree

from manager.sync.decisions import Decision, Decisions
from manager.sync.device import Device, DeviceError, Refusal
from manager.sync.transaction import Outcome, apply, settle

OLD, NEW = "old", "new"
EDIT = etree.fromstring(b"<config/>")
NAMES = ("a", "b")


class ManagerKilledError(BaseException):
    """The manager's process is gone: nothing of it runs on."""


class Site:
    """Fake devices, a count of the operations on all of them, and who is killed at which."""

    def __init__(self, kill_at: int = 0, kill: str = "") -> None:
        self.devices = {name: FakeDevice(name, self) for name in NAMES}
        self.count = 0
        self.kill_at = kill_at
        self.kill = kill
        self.dead = False

    def step(self, device: FakeDevice, when: str) -> None:
        """Kill at the chosen operation: before it is carried out, or after, its answer lost."""
        self.count += when == "before"
        if self.count != self.kill_at or not self.kill:
            return
        who, moment = self.kill.split()
        if moment != when:
            return
        if who == "manager":
            self.dead = True
            raise ManagerKilledError
        if who == "crash":
            device.crash()
        device.away = True
        raise device.lost()

    @asynccontextmanager
    async def reach(self, name: str) -> AsyncIterator[Device]:
        device = self.devices[name]
        if device.away:
            raise device.lost()
        try:
            yield device
        finally:
            device.locked = False

    def heal(self, *, timers: bool) -> None:
        self.kill, self.dead = "", False
        for device in self.devices.values():
            device.away = device.locked = False
            if timers:
                device.expire()

    def running(self) -> set[str]:
        return {device.content for device in self.devices.values()}


class FakeDevice:
    """The parts of RFC 6241 8.3 and 8.4 that matter here."""

    def __init__(self, name: str, site: Site) -> None:
        self.name = name
        self.content = OLD
        self.candidate = OLD
        self.pending: tuple[str, str] | None = None
        self.away = self.locked = False
        self.refuses = ""
        self.forgets = False
        self._site = site

    def lost(self) -> DeviceError:
        return DeviceError(Refusal(self.name, "any", "gone", lost=True))

    def crash(self) -> None:
        """A process that ends starts with the configuration from before (RFC 6241 8.4.1)."""
        self.expire()
        self.candidate, self.locked = self.content, False

    def expire(self) -> None:
        if self.pending is not None:
            self.content, self.pending = self.pending[1], None

    async def _do(self, step: str) -> None:
        await asyncio.sleep(0)
        if self._site.dead:
            raise ManagerKilledError
        if self.away:
            raise self.lost()
        self._site.step(self, "before")
        if step == self.refuses:
            raise DeviceError(Refusal(self.name, step, "no such value", "/some/path"))

    def _done(self) -> None:
        self._site.step(self, "after")

    async def lock(self) -> None:
        await self._do("lock")
        if self.locked:
            raise DeviceError(Refusal(self.name, "lock", "locked"))
        self.locked = True
        self._done()

    async def edit(self, config: etree._Element) -> None:
        await self._do("edit")
        self.candidate = OLD if self.forgets else NEW
        self._done()

    async def validate(self) -> None:
        await self._do("validate")
        self._done()

    async def commit_confirmed(self, persist: str, seconds: int) -> None:
        await self._do("commit")
        self.pending = (persist, self.content)
        self.content = self.candidate
        self._done()

    async def confirm(self, persist: str) -> None:
        await self._do("confirm")
        self._check(persist)
        self.pending = None
        self._done()

    async def cancel(self, persist: str) -> None:
        await self._do("cancel")
        self._check(persist)
        self.expire()
        self._done()

    def _check(self, persist: str) -> None:
        if self.pending is None or self.pending[0] != persist:
            raise DeviceError(Refusal(self.name, "confirm", "nothing waits for this id"))

    async def release(self) -> None:
        await self._do("release")
        self.candidate, self.locked = self.content, False
        self._done()

    async def running(self) -> etree._Element:
        await self._do("read")
        data = etree.Element("data")
        data.text = self.content
        self._done()
        return data


def holds_new(_name: str, data: etree._Element) -> bool:
    return data.text == NEW


class MortalDecisions(Decisions):
    """Writes nothing once the manager is dead."""

    def __init__(self, folder: Path, site: Site) -> None:
        super().__init__(folder)
        self._site = site

    def write(self, decision: Decision) -> None:
        if not self._site.dead:
            super().write(decision)

    def forget(self, decision: Decision) -> None:
        if not self._site.dead:
            super().forget(decision)


async def change(site: Site, decisions: Decisions) -> Outcome | None:
    """Try the change; None when the manager was killed in it."""
    task = asyncio.ensure_future(
        apply("g1", dict.fromkeys(NAMES, EDIT), site.reach, decisions, holds_new, persist="p1", seconds=30)
    )
    try:
        return await task
    except ManagerKilledError:
        return None


async def again(_name: str, device: Device) -> None:
    """Make the change anew on one device."""
    await device.edit(EDIT)
    await device.commit_confirmed("p2", 30)
    await device.confirm("p2")


async def finish(site: Site, decisions: Decisions) -> None:
    for decision in decisions.pending():
        await settle(decision, site.reach, decisions, again)


async def test_a_change_is_made_on_both(tmp_path: Path) -> None:
    site, decisions = Site(), Decisions(tmp_path)
    assert await change(site, decisions) == Outcome(True)
    assert site.running() == {NEW}
    assert decisions.pending() == []
    assert not any(device.locked or device.pending for device in site.devices.values())


@pytest.mark.parametrize("step", ["lock", "edit", "validate", "commit"])
async def test_what_one_refuses_leaves_both_as_they_were_and_says_why(step: str, tmp_path: Path) -> None:
    site, decisions = Site(), Decisions(tmp_path)
    site.devices["b"].refuses = step
    outcome = await change(site, decisions)
    assert outcome == Outcome(False, (Refusal("b", step, "no such value", "/some/path"),))
    assert site.running() == {OLD}
    assert decisions.pending() == []
    assert not any(device.locked or device.pending for device in site.devices.values())


async def test_a_device_that_says_ok_and_loses_the_edit_is_found_out(tmp_path: Path) -> None:
    site, decisions = Site(), Decisions(tmp_path)
    site.devices["b"].forgets = True
    outcome = await change(site, decisions)
    assert outcome is not None
    assert [refusal.step for refusal in outcome.refusals] == ["verify"]
    assert site.running() == {OLD}


MOST_STEPS = 14
KILLS = [f"{who} {when}" for who in ("manager", "session", "crash") for when in ("before", "after")]


@pytest.mark.parametrize(("kill", "timers_first"), list(itertools.product(KILLS, (False, True))))
async def test_a_kill_at_every_step_ends_with_both_old_or_both_new(
    kill: str, timers_first: bool, tmp_path: Path
) -> None:
    killed = 0
    for step in range(1, MOST_STEPS + 1):
        site = Site(step, kill)
        decisions = MortalDecisions(tmp_path / f"{kill} {step}", site)
        outcome = await change(site, decisions)
        killed += site.count >= step
        # The devices come back before or after their timers have run out; the manager starts again
        site.heal(timers=timers_first)
        await finish(site, decisions)
        site.heal(timers=True)
        await finish(site, decisions)
        where = f"{kill} at step {step}: {[device.content for device in site.devices.values()]}"
        assert len(site.running()) == 1, where
        assert decisions.pending() == [], where
        if outcome is not None:
            assert site.running() == ({NEW} if outcome.committed else {OLD}), where
    assert killed >= 12  # every operation of the change was reached


async def test_a_decision_that_cannot_be_kept_takes_all_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, decisions = Site(), Decisions(tmp_path)
    write = decisions.write

    def full(decision: Decision) -> None:
        if decision.decided:
            raise OSError(28, "No space left on device")
        write(decision)

    monkeypatch.setattr(decisions, "write", full)
    with pytest.raises(OSError, match="No space"):
        await change(site, decisions)
    assert site.running() == {OLD}
    assert decisions.pending() == []


def test_a_decision_that_cannot_be_read_is_left_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    assert Decisions(tmp_path).pending() == []
    assert (tmp_path / "x.json").exists()
