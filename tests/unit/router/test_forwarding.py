"""The data plane follows tables and elections; the plane itself is a list of what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import cast

import pytest

from router import forwarding
from router.dataplane import DataPlane, DataPlaneConfig, DataPlaneError, GroupPlane, Subscriber
from router.forwarding import Forwarding
from rui.backup.messages import Change
from rui.backup.record import UserInfo
from rui.backup.table import Table
from tests.unit.backup.histories import version
from tests.unit.router.vrrp.links import until

ALICE = UserInfo("02:00:00:00:00:0a", ipv4_address="10.1.0.10")
BOB = UserInfo("02:00:00:00:00:0b", ipv4_address="10.1.0.11", ipv6_address="2001:db8::b")
CONFIG = DataPlaneConfig("bras-a", (GroupPlane("g1", "eth1", (ip_network("10.1.0.0/16"),)),), 0.5)


class Plane:
    """Stands for a data plane: refuses roles while it is told to, and lapses when it is told to."""

    gate_interval = 0.001

    def __init__(self) -> None:
        self.roles: list[str] = []
        self.users: dict[bytes, Subscriber] = {}
        self.refusals = 0
        self.lapsed = False
        self.open_ = False

    async def open(self) -> None:
        self.open_ = True

    async def close(self) -> None:
        self.open_ = False

    def become_primary(self, group: str) -> None:
        self._become(f"primary {group}")

    def become_secondary(self, group: str) -> None:
        self._become(f"secondary {group}")

    def put(self, group: str, key: bytes, user: Subscriber) -> None:
        assert group == "g1"
        self.users[key] = user

    def delete(self, group: str, key: bytes) -> None:
        assert group == "g1"
        self.users.pop(key, None)

    def refresh_gate(self) -> bool:
        lapsed, self.lapsed = self.lapsed, False
        return not lapsed

    def _become(self, role: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise DataPlaneError("not now")
        self.roles.append(role)


class Rig:
    def __init__(self) -> None:
        self.table, self.plane, self.master = Table(), Plane(), False
        self.forwarding = Forwarding(CONFIG, {"g1": self.table}, lambda _: self.master)
        self.forwarding.plane = cast("DataPlane", self.plane)
        self._seq = 0

    def change(self, user: UserInfo, *, gone: bool = False, record: bytes | None = None) -> None:
        self._seq += 1
        content = None if gone else record or user.encode()
        self.table.apply(Change(user.key, version(self._seq), content))

    def elect(self, *, master: bool) -> None:
        self.master = master
        self.forwarding.moved()


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(forwarding, "_TRY_AGAIN", 0.0)
    made = Rig()
    yield made
    await made.forwarding.close()
    assert not made.plane.open_
    assert made.table.watchers == ()


async def test_users_follow_the_table_whatever_the_role(rig: Rig) -> None:
    rig.change(ALICE)
    await rig.forwarding.open()
    await until(lambda: rig.plane.users)
    assert rig.plane.users == {ALICE.key: Subscriber(ALICE.mac_address, ALICE.ipv4_address)}
    rig.change(BOB)
    rig.change(ALICE, gone=True)
    await until(lambda: rig.plane.users.keys() == {BOB.key})
    assert rig.plane.users[BOB.key].addresses == (BOB.ipv4_address, BOB.ipv6_address)
    assert rig.plane.roles == []


async def test_a_record_that_cannot_be_read_is_not_forwarded_for(rig: Rig) -> None:
    rig.change(ALICE)
    await rig.forwarding.open()
    await until(lambda: rig.plane.users)
    rig.change(ALICE, record=b"<user")
    await until(lambda: not rig.plane.users)


async def test_many_changes_leave_turns_to_others(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "_USERS_A_TURN", 1)
    rig.change(ALICE)
    rig.change(BOB)
    await rig.forwarding.open()
    seen = set[int]()
    while len(rig.plane.users) < 2:
        seen.add(len(rig.plane.users))
        await asyncio.sleep(0)
    assert seen == {0, 1}


async def test_a_role_is_followed_before_anything_else_has_its_turn(rig: Rig) -> None:
    await rig.forwarding.open()
    rig.elect(master=True)
    assert rig.plane.roles == ["primary g1"]
    rig.elect(master=True)
    rig.elect(master=False)
    assert rig.plane.roles == ["primary g1", "secondary g1"]


async def test_what_was_elected_before_it_opens_counts(rig: Rig) -> None:
    rig.elect(master=True)
    assert rig.plane.roles == []
    await rig.forwarding.open()
    assert rig.plane.roles == ["primary g1"]


async def test_what_is_refused_is_tried_again(rig: Rig) -> None:
    await rig.forwarding.open()
    rig.plane.refusals = 2
    rig.elect(master=True)
    assert rig.plane.roles == []
    await until(lambda: rig.plane.roles == ["primary g1"])
    rig.plane.refusals = 1
    rig.elect(master=False)
    await until(lambda: rig.plane.roles == ["primary g1", "secondary g1"])


async def test_the_last_word_of_an_election_counts(rig: Rig) -> None:
    await rig.forwarding.open()
    rig.plane.refusals = 1
    rig.elect(master=True)
    rig.master = False
    await until(lambda: rig.plane.roles == ["secondary g1"])


async def test_a_gate_that_lapsed_opens_when_the_election_had_its_turn(rig: Rig) -> None:
    await rig.forwarding.open()
    rig.elect(master=True)
    rig.plane.lapsed = True
    await until(lambda: rig.plane.roles == ["primary g1", "primary g1"])
    rig.master = False
    rig.plane.lapsed = True
    await until(lambda: rig.plane.roles[2:] == ["secondary g1"])
