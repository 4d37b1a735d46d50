"""What the relay learns becomes records; logins are answered when those are durable, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import structlog

from router.config import DhcpSource, Endpoint
from router.dhcp.shell import RelayShell
from router.dhcp.transport import UdpPorts, choose_transport
from router.dhcp.values import (
    AccessPort,
    ClientSource,
    RelayConfig,
    Reply,
    SendToClient,
    SubscriberOffline,
    SubscriberOnline,
    SubscriberRenewed,
)
from router.group import Group
from router.subscribers import dhcp as module
from router.subscribers.dhcp import DhcpSubscribers
from rui.backup.identity import Role
from rui.backup.member_outputs import JournalFullError
from rui.backup.record import UserInfo
from tests.unit.router.groups import opened
from tests.unit.router.subscribers.test_leases import facts
from tests.unit.router.test_group import eventually, until

PORT = AccessPort("eth1", "line-1", 100)
RELAY = RelayConfig("g1", IPv4Address("127.0.0.2"), (IPv4Address("127.0.0.3"),), (PORT,))
SOURCE = DhcpSource(RELAY, Endpoint("127.0.0.1", 0), 1067, 1068)
REPLY = SendToClient(
    b"ack", ClientSource(PORT, ("127.0.0.1", 68)), b"\2\0\0\0\0\1", IPv4Address("10.0.0.5"), False
)
KEY = facts().key
ONLINE = SubscriberOnline(KEY, facts(), REPLY)


class Shell(RelayShell):
    """A shell that keeps its answers."""

    replies: list[Reply]

    def send_reply(self, reply: Reply) -> None:
        self.replies.append(reply)


class Source(DhcpSubscribers):
    """A source that writes its answers down."""

    def __init__(self, group: Group) -> None:
        super().__init__(group, SOURCE)
        self.replies: list[Reply] = []
        self.shell = Shell(
            self.shell.relay, choose_transport(RELAY, IPv4Address("127.0.0.1"), UdpPorts()), self._take
        )
        self.shell.replies = self.replies

    @property
    def learn(self) -> Callable[[SubscriberOnline | SubscriberRenewed | SubscriberOffline], None]:
        return self._take


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[tuple[Group, Source]]:
    async with opened(directory) as group:
        source = Source(group)
        try:
            yield group, source
        finally:
            await source.close()


def record(group: Group) -> UserInfo:
    held = group.member.table.get(KEY)
    assert held is not None
    assert held.record is not None
    return UserInfo.decode(held.record)


async def test_a_login_is_answered_when_its_record_is_durable(tmp_path: Path) -> None:
    async with serving(tmp_path) as (group, source):
        source.learn(ONLINE)
        assert source.replies == []
        await until(group, 1)
        assert source.replies == [REPLY]
        assert record(group).ipv4_address == "10.0.0.5"


async def test_a_renewal_keeps_since_when_and_a_release_ends_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as (group, source):
        source.learn(ONLINE)
        since = record(group).online_since
        source.learn(SubscriberRenewed(KEY, facts(start=300.0, expiry=900.0), REPLY))
        assert record(group).online_since == since
        assert record(group).lease_start != since
        source.learn(SubscriberOffline(KEY, "released"))
        assert KEY not in group.member.table


async def test_another_address_is_another_login(tmp_path: Path) -> None:
    async with serving(tmp_path) as (group, source):
        source.learn(ONLINE)
        source.learn(SubscriberOnline(KEY, facts(ipv4=IPv4Address("10.0.0.6"), start=99.0), REPLY))
        assert record(group).ipv4_address == "10.0.0.6"
        assert record(group).online_since == record(group).lease_start


async def test_a_full_journal_drops_the_login_and_owes_the_logoff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_OWED_PAUSE", 0.01)
    async with serving(tmp_path) as (group, source):
        source.learn(ONLINE)
        await until(group, 1)

        def full(*_: object) -> None:
            raise JournalFullError("no room")

        with monkeypatch.context() as patch, structlog.testing.capture_logs() as events:
            patch.setattr(group.member, "put", full)
            patch.setattr(group.member, "delete", full)
            other = replace(ONLINE, key=b"02:00:00:00:00:02/100/0")
            for _ in range(4):
                source.learn(other)
            source.learn(SubscriberOffline(KEY, "released"))
            assert source.drops == {"login-refused": 4, "logoff-delayed": 1}
            assert (group.refused_logins, source.replies) == (4, [REPLY])
            counts = [event["count"] for event in events if event["event"] == "login-refused"]
            assert counts == [1, 2, 4]
        await eventually(lambda: KEY not in group.member.table)


async def test_who_has_just_lost_the_role_refuses_logins_and_drops_logoffs(tmp_path: Path) -> None:
    async with serving(tmp_path) as (group, source):
        source.learn(ONLINE)
        await until(group, 1)
        group.demote("another one is primary")
        source.learn(replace(ONLINE, key=b"02:00:00:00:00:02/100/0"))
        source.learn(SubscriberOffline(KEY, "released"))
        assert source.drops == {"login-refused": 1, "logoff-dropped": 1}
        assert source.replies == [REPLY]
        assert list(group.member.table.live_keys()) == [KEY]


async def test_a_secondary_relays_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, Role.SECONDARY) as group:
        source = Source(group)
        await source.start()
        assert not source.shell.relay.messages
        await source.close()
