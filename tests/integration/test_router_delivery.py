"""A secondary that is delivered to and downloads (S504): gaps, repeats, old writers, poisoned records."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from netconf_client import ClientSession, connect
from netconf_server import Account, Accounts, Datastores, NetconfServer, RpcCall, hash_password
from rui.backup import wire
from rui.backup.digest import combine
from rui.backup.identity import Role
from rui.backup.messages import Batch, Change, Result, Stream
from rui.backup.record import UserInfo
from rui.backup.table import Table
from rui.backup.version import ZERO, Epoch, Version
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui_cli.site import MANAGER, Site
from tests.integration.router_rig import (
    GROUP,
    PRIMARY,
    SECONDARY,
    Cloud,
    deliver,
    digest,
    make_site,
    manager_target,
    operational,
    process,
    running,
    texts,
)
from tests.models import manager_model

WRITER = Epoch(3, PRIMARY)


def user(number: int, *, poisoned: bool = False) -> UserInfo:
    address = "10.0.0.999" if poisoned else f"10.0.{number // 250}.{number % 250}"
    return UserInfo(mac_address=f"02:00:00:00:00:{number:02x}", outer_vlan=100, ipv4_address=address)


def put(number: int, seq: int, *, poisoned: bool = False) -> Change:
    info = user(number, poisoned=poisoned)
    return Change(info.key, Version(WRITER, seq), info.encode())


def batch(first: int, *changes: Change, writer: Epoch = WRITER) -> Batch:
    """Return the changes after seq ``first``."""
    prev = Version(WRITER, first) if first else ZERO
    return Batch(GROUP, writer, Stream(prev, changes[-1].version), changes)


def table_of(*changes: Change) -> Table:
    table = Table()
    for change in changes:
        table.apply(change)
    return table


async def test_delivered_users_are_held_and_survive_a_kill(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    router = process(site, SECONDARY)
    changes = [put(number, number + 1) for number in range(5)]
    async with running(router):
        async with Cloud.at(manager_target(site, SECONDARY)) as cloud:
            identity = await cloud.admit()
            assert (identity.role, identity.position.cursor) == (Role.SECONDARY, ZERO)
            receipt = await deliver(cloud.session, batch(0, *changes))
            assert (receipt.result, receipt.position.cursor) == (Result.STORED, Version(WRITER, 5))
            await router.kill()
        await router.start()
        async with Cloud.at(manager_target(site, SECONDARY)) as cloud:
            identity = await cloud.admit()
            assert identity.position.cursor == Version(WRITER, 5)
            assert identity.epoch == WRITER
            assert (await digest(cloud.session))["digest"] == combine(table_of(*changes).buckets)


async def test_gap_repeat_old_writer_and_foreign_group(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    async with running(process(site, SECONDARY)):
        session = await connect(manager_target(site, SECONDARY), timeout=30.0)
        first = batch(0, put(1, 1), put(2, 2))
        assert (await deliver(session, first)).result is Result.STORED
        assert (await deliver(session, first)).result is Result.STORED
        gap = await deliver(session, batch(7, put(3, 8)))
        assert (gap.result, gap.position.cursor) == (Result.GAP, Version(WRITER, 2))
        old = await deliver(session, batch(2, put(3, 3), writer=Epoch(2, "bras-z")))
        assert old.result is Result.REFUSED
        assert "superseded" in old.reason
        assert (await digest(session))["count"] == "2"
        with pytest.raises(RpcError, match="its groups: g1"):
            await deliver(session, Batch("g9", WRITER, first.part, first.changes))
        await session.close()


async def test_a_poisoned_record_is_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    router = process(site, SECONDARY)
    changes = [put(1, 1), put(2, 2, poisoned=True), put(3, 3)]
    async with running(router):
        session = await connect(site.target(SECONDARY), timeout=30.0)
        receipt = await deliver(session, batch(0, *changes))
        assert receipt.result is Result.STORED
        assert [(bad.key, bad.version.seq) for bad in receipt.quarantined] == [(user(2).key, 2)]
        assert "10.0.0.999" in receipt.quarantined[0].reason
        await _shows_one_quarantined(session, table_of(*changes))
        await session.close()
        await router.kill()
        await router.start()
        session = await connect(site.target(SECONDARY), timeout=30.0)
        await _shows_one_quarantined(session, table_of(*changes))
        mended = await deliver(session, batch(3, put(2, 4)))
        assert mended.quarantined == ()
        assert (await digest(session))["quarantined"] == "0"
        await session.close()


async def _shows_one_quarantined(session: ClientSession, expected: Table) -> None:
    shown = await digest(session)
    assert (shown["count"], shown["quarantined"]) == ("3", "1")
    assert shown["digest"] == combine(expected.buckets)
    users = await operational(session, wire.USER_INFO, "user-info")
    assert texts(users, "group/user/ipv4-address") == ["10.0.0.1", "10.0.0.3"]
    assert texts(users, "group/quarantined/key") == [user(2).key.decode()]
    assert texts(users, "group/users") == ["2"]


async def test_one_user_is_read_by_his_key(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    async with running(process(site, SECONDARY)):
        session = await connect(site.target(SECONDARY), timeout=30.0)
        await deliver(session, batch(0, *(put(number, number + 1) for number in range(20))))
        wanted = (
            b"<group><group-id>g1</group-id><user><mac-address>02:00:00:00:00:07</mac-address>"
            b"<outer-vlan>100</outer-vlan><inner-vlan>0</inner-vlan></user></group>"
        )
        users = await operational(session, wire.USER_INFO, "user-info", wanted)
        assert texts(users, "group/user/ipv4-address") == ["10.0.0.7"]
        by_mac = b"<group><user><mac-address>02:00:00:00:00:07</mac-address><ipv4-address/></user></group>"
        users = await operational(session, wire.USER_INFO, "user-info", by_mac)
        assert texts(users, "group/user/ipv4-address") == ["10.0.0.7"]
        await session.close()


async def test_a_primary_takes_no_delivery(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    async with running(process(site, PRIMARY)):
        session = await connect(manager_target(site, PRIMARY), timeout=30.0)
        receipt = await deliver(session, batch(0, put(1, 1)))
        assert receipt.result is Result.REFUSED
        assert f"{PRIMARY} is primary" in receipt.reason
        await session.close()


class FetchServer:
    """The cloud's own NETCONF server with what a secondary fetches: pages of ``size`` changes."""

    def __init__(self, site: Site, changes: list[Change], size: int) -> None:
        schema = manager_model()
        secret = (site.folder / SECONDARY / "client.password").read_text().strip()
        accounts = Accounts([Account(SECONDARY, hash_password(secret), recovery=True)])
        key = site.data(MANAGER) / "host-key"
        self.server = NetconfServer(schema, Datastores(schema), accounts, host_key_file=key)
        self.server.register_rpc(wire.FETCH, self._fetch)
        self.stated: list[Version] = []
        self._table = table_of(*changes)
        self._size = size
        self._port = site.ports[MANAGER]

    async def __aenter__(self) -> FetchServer:
        await self.server.listen("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.close()

    async def _fetch(self, call: RpcCall) -> list[bytes]:
        cursor = wire.decode_position(call.operation, wire.BACKUP).cursor
        self.stated.append(cursor)
        read = self._table.since(cursor, self._size, self._table.head)
        body = wire.encode_batch_body(Batch(GROUP, WRITER, Stream(cursor, read.last), read.changes))
        more = b"<more>%s</more>" % (b"true" if read.more else b"false")
        return [_declared(b"".join([*body, more]))]


def _declared(body: bytes) -> bytes:
    """Give each outermost element its namespace, as pieces of a reply have to."""
    holder = etree.fromstring(f'<x xmlns="{wire.BACKUP}">'.encode() + body + b"</x>")
    return b"".join(etree.tostring(child) for child in holder)


async def test_instructed_the_secondary_downloads_all_pages(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    changes = [put(number, number + 1) for number in range(50)]
    async with running(process(site, SECONDARY)), FetchServer(site, changes, 20) as fetched:
        async with Cloud.at(manager_target(site, SECONDARY)) as cloud:
            await cloud.admit()
            instruction = etree.Element(wire.DOWNLOAD, nsmap=names.nsmap(wire.BACKUP))
            etree.SubElement(instruction, f"{{{wire.BACKUP}}}group-id").text = GROUP
            etree.SubElement(instruction, f"{{{wire.BACKUP}}}last").text = str(Version(WRITER, 50))
            await cloud.session.rpc(instruction)
            while (await digest(cloud.session))["count"] != "50" or len(fetched.stated) < 4:
                continue
            assert (await digest(cloud.session))["digest"] == combine(table_of(*changes).buckets)
        # The last question states the last cursor, which is what acknowledges it
        assert [cursor.seq for cursor in fetched.stated] == [0, 20, 40, 50]
