"""FIG. 4 and FIG. 5 through a real manager: identity, upload, receipt, delivery, and what is refused."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from lxml import etree

from netconf_client import connect
from rui.backup import requests, wire
from rui.backup.identity import IdentityNotification, IdentityResult, Role
from rui.backup.messages import Batch, Change, Position, Result, Stream
from rui.backup.version import Epoch, Version
from rui.netconf.errors import ErrorTag, RpcError
from tests.integration.manager_rig import (
    FakeRouter,
    eventually,
    managed,
    operator,
    routers_of,
    site,
    startup,
    user,
)
from tests.integration.subscriptions_rig import edits_of, on_change, subtree, text, to_datastore

PRIMARY, SECONDARY = ("bras-a", {"g1": Role.PRIMARY}), ("bras-b", {"g1": Role.SECONDARY})
CLOUD = "urn:rui-cloud:yang:cloud"


async def converged(primary: FakeRouter, *others: FakeRouter, group: str = "g1") -> None:
    """Wait until the others hold what the primary holds."""
    await eventually(
        lambda: all(other.digest(group) == primary.digest(group) for other in others), "the tables are equal"
    )


async def test_users_reach_the_cloud_and_the_secondary(tmp_path: Path) -> None:
    async with routers_of(tmp_path, PRIMARY, SECONDARY) as (a, b):
        a.login(*range(50))
        async with managed(tmp_path, startup([a, b])) as manager:
            await eventually(lambda: bool(a.group().receipts), "an upload is acknowledged")
            a.login(*range(50, 3000))
            a.logout(1, 2, 3)
            await converged(a, b)
            assert await manager.digest() == a.digest()
            assert b.digest().count == 2997

            (result,) = a.group().identity_results
            assert result.accepted
            assert result.highest == Epoch(1, "bras-a")
            assert {receipt.result for receipt in a.group().receipts} == {Result.STORED}

            state = await manager.state()
            roles = {
                entry.findtext(f"{{{CLOUD}}}device-id"): entry.findtext(f"{{{CLOUD}}}role")
                for entry in state.iter(f"{{{CLOUD}}}storage-entry")
            }
            assert roles == {"bras-a": "primary", "bras-b": "secondary"}
            delivery = state.find(f"{{{CLOUD}}}delivery")
            assert delivery is not None
            assert delivery.findtext(f"{{{CLOUD}}}cursor") == str(a.digest().cursor)
            assert delivery.findtext(f"{{{CLOUD}}}lag") == "0"


async def test_the_secondary_downloads_when_it_is_told_to(tmp_path: Path) -> None:
    profile = "<group><group-id>g1</group-id><delivery-mode>download</delivery-mode></group>"
    async with routers_of(tmp_path, PRIMARY, SECONDARY) as (a, b):
        a.login(*range(2500))
        async with managed(tmp_path, startup([a, b], group=profile)) as manager:
            b.cloud = manager.target_of("bras-b")
            await converged(a, b)
            a.logout(*range(100))
            a.login(*range(5000, 5010))
            await converged(a, b)
            assert b.group().instructed >= 2
            assert await manager.digest() == b.digest()


async def test_roles_are_per_group(tmp_path: Path) -> None:
    roles_a, roles_b = (
        {"g1": Role.PRIMARY, "g2": Role.SECONDARY},
        {"g1": Role.SECONDARY, "g2": Role.PRIMARY},
    )
    async with routers_of(tmp_path, ("bras-a", roles_a), ("bras-b", roles_b)) as (a, b):
        a.login(*range(300), group="g1")
        b.login(*range(300, 700), group="g2")
        async with managed(tmp_path, startup([a, b])):
            await converged(a, b, group="g1")
            await converged(b, a, group="g2")
            assert a.digest("g1").count == 300
            assert a.digest("g2").count == 400


async def test_what_a_secondary_uploads_is_discarded(tmp_path: Path) -> None:
    async with site(tmp_path, PRIMARY, SECONDARY) as (manager, a, b):
        a.login(1)
        await converged(a, b)
        before = await manager.digest()
        epoch = Epoch(9, "bras-b")
        change = Change(user(7).key, Version(epoch, 1), user(7).encode())
        b.send(wire.encode_batch(Batch("g1", epoch, Stream(before.cursor, change.version), (change,))))
        await eventually(lambda: bool(b.group().receipts), "it is answered")
        (receipt,) = b.group().receipts
        assert receipt.result is Result.DISCARDED
        assert "secondary" in receipt.reason
        assert await manager.digest() == before
        discarded = (await manager.state()).findtext(f".//{{{CLOUD}}}discarded")
        assert discarded == "1"


async def test_a_poisoned_record_is_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    async with site(tmp_path, PRIMARY, SECONDARY) as (manager, a, b):
        a.login(*range(10))
        poisoned = user(99)
        a.put(poisoned.key, poisoned.encode().replace(b"10.0.0.99", b"10.0.0.999"))
        a.login(*range(10, 20))
        await eventually(lambda: b.digest().count == 21, "the rest is delivered")
        digest = await manager.digest()
        assert (digest.count, digest.quarantined) == (21, 1)
        assert digest.digest == a.digest().digest
        (bad,) = [bad for receipt in a.group().receipts for bad in receipt.quarantined]
        assert bad.key == poisoned.key
        assert "ipv4-address" in bad.reason
        assert b.digest().quarantined == 1


async def test_a_gap_is_asked_for_again_and_a_duplicate_changes_nothing(tmp_path: Path) -> None:
    async with site(tmp_path, PRIMARY, SECONDARY) as (manager, a, b):
        a.login(*range(5))
        await converged(a, b)
        before, held = await manager.digest(), a.group().receipts
        count = len(held)
        epoch = Epoch(1, "bras-a")
        change = Change(user(0).key, Version(epoch, 1), user(0, pool="older").encode())
        twice = wire.encode_batch(Batch("g1", epoch, Stream(Version.parse(""), change.version), (change,)))
        ahead = Change(user(8).key, Version(epoch, 90), user(8).encode())
        gap = wire.encode_batch(Batch("g1", epoch, Stream(Version(epoch, 89), ahead.version), (ahead,)))
        a.send(twice)
        a.send(gap)
        await eventually(lambda: len(held) == count + 2, "both are answered")
        assert [receipt.result for receipt in held[count:]] == [Result.STORED, Result.GAP]
        assert all(receipt.position.cursor == before.cursor for receipt in held[count:])
        assert await manager.digest() == before


async def test_a_second_primary_is_told_who_is_primary(tmp_path: Path) -> None:
    async with site(tmp_path, PRIMARY, ("bras-b", {"g1": Role.PRIMARY})) as (_, a, b):
        names = {"bras-a": a, "bras-b": b}
        a.login(1)
        b.login(2)

        def last() -> dict[str, IdentityResult]:
            results = {name: router.group().identity_results for name, router in names.items()}
            return {name: found[-1] for name, found in results.items() if found}

        await eventually(
            lambda: sorted(result.accepted for result in last().values()) == [False, True],
            "one is accepted, the other is not",
        )
        primary = next(name for name, result in last().items() if result.accepted)
        refused = next(result for result in last().values() if not result.accepted)
        assert refused.primary == primary
        assert refused.highest.device == primary


async def test_an_identity_of_another_device_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path, PRIMARY, SECONDARY) as (manager, a, b):
        await eventually(lambda: bool(a.group().identity_results) and b.subscribed, "both are admitted")
        stolen = IdentityNotification(
            "g1", "bras-a", "127.0.0.1", Role.PRIMARY, Epoch(50, "bras-a"), Position()
        )
        b.send(wire.encode_identity(stolen))
        a.login(1)
        await converged(a, b)
        state = await manager.state()
        assert "50@" not in etree.tostring(state).decode()


async def test_a_message_that_cannot_be_used_ends_the_session_and_not_the_manager(tmp_path: Path) -> None:
    async with site(tmp_path, PRIMARY, SECONDARY) as (manager, a, b):
        a.login(1)
        await converged(a, b)
        old = a.subscription
        a.send([b'<user-info-upload xmlns="%s"/>' % wire.BACKUP.encode()])
        await eventually(lambda: a.subscription not in (None, old), "a new session is there")
        a.login(2)
        await converged(a, b)
        assert (await manager.digest()).count == 2


async def test_a_device_may_fetch_only_its_own_groups(tmp_path: Path) -> None:
    async with site(tmp_path, PRIMARY, SECONDARY) as (manager, a, b):
        a.login(1)
        await converged(a, b)
        for name, group, device in (
            ("bras-a", "g1", "bras-b"),
            ("bras-a", "g1", "bras-a"),
            ("operator", "g1", "bras-b"),
            ("bras-b", "g2", "bras-b"),
        ):
            async with operator(manager.target_of(name)) as session:
                with pytest.raises(RpcError) as refused:
                    await session.rpc(requests.encode_fetch(requests.Fetch(group, device, Position())))
                assert refused.value.tag == ErrorTag.ACCESS_DENIED


async def test_users_are_read_by_key_and_all_together(tmp_path: Path) -> None:
    namespace = wire.USER_INFO
    async with site(tmp_path, PRIMARY, SECONDARY) as (manager, a, b):
        a.login(*range(1200))
        await converged(a, b)
        async with operator(manager.target) as session:
            top = etree.Element(f"{{{namespace}}}user-info")
            everything = (await session.get(top)).data
            assert len(everything.findall(f".//{{{namespace}}}user")) == 1200
            wanted = user(77)
            entry = etree.SubElement(etree.SubElement(top, f"{{{namespace}}}group"), f"{{{namespace}}}user")
            for leaf, text in (
                ("mac-address", wanted.mac_address),
                ("outer-vlan", "100"),
                ("inner-vlan", "0"),
            ):
                etree.SubElement(entry, f"{{{namespace}}}{leaf}").text = text
            found = (await session.get(top)).data.findall(f".//{{{namespace}}}user")
            assert [one.findtext(f"{{{namespace}}}ipv4-address") for one in found] == ["10.0.0.77"]


async def test_who_subscribes_to_users_is_told_who_goes_and_comes(tmp_path: Path) -> None:
    inner = "<group><group-id>g1</group-id><user/></group>"
    chosen = subtree(f'<user-info xmlns="{wire.USER_INFO}">{inner}</user-info>')
    wanted = to_datastore("operational", on_change("<sync-on-start>false</sync-on-start>"), chosen)
    async with site(tmp_path, PRIMARY, SECONDARY) as (manager, a, b):
        a.login(7)
        await converged(a, b)
        async with operator(manager.target) as session:
            pushed: asyncio.Queue[etree._Element] = asyncio.Queue()
            session.on_notification(lambda event: pushed.put_nowait(event.content))
            await session.rpc(etree.fromstring(wanted))
            a.logout(7)
            a.login(5000)
            told: list[str] = []
            while len(told) < 2:
                async with asyncio.timeout(20):
                    patch = await pushed.get()
                told += [f"{text(edit, 'operation')} {text(edit, 'target')}" for edit in edits_of(patch)]
    assert [item.replace("%3A", ":") for item in told] == [
        f"delete user-info/group=g1/user={user(7).mac_address},100,0",
        f"create user-info/group=g1/user={user(5000).mac_address},100,0",
    ]


async def test_events_are_told_to_subscribers(tmp_path: Path) -> None:
    async with site(tmp_path, PRIMARY, SECONDARY) as (manager, a, b):
        await eventually(lambda: a.subscribed and b.subscribed, "both are subscribed")
        session = await connect(manager.target)
        told: list[tuple[str | None, str | None]] = []
        session.on_notification(
            lambda note: told.append(
                (
                    note.content.findtext(f"{{{CLOUD}}}event"),
                    note.content.findtext(f"{{{CLOUD}}}device-id"),
                )
            )
        )
        await session.create_subscription()
        await b.stop()
        await eventually(lambda: ("device-lost", "bras-b") in told, "the loss is told")
        await b.start()
        await eventually(lambda: ("identity-accepted", "bras-b") in told, "the return is told")
        await session.close()


async def test_a_secondary_that_comes_back_gets_what_it_missed(tmp_path: Path) -> None:
    async with site(tmp_path, PRIMARY, SECONDARY) as (manager, a, b):
        a.login(*range(100))
        await converged(a, b)
        await b.stop()
        a.login(*range(100, 1500))
        a.logout(*range(50))
        await eventually(lambda: a.group().member.source.position.cursor == a.digest().cursor, "stored")
        await b.start()
        await converged(a, b)
        assert await manager.digest() == b.digest()


async def test_a_device_calls_home(tmp_path: Path) -> None:
    homes = "<call-home-listen><address>127.0.0.1</address><port>0</port></call-home-listen>"
    async with routers_of(tmp_path, PRIMARY, SECONDARY, listen=False) as (a, b):
        a.login(*range(10))
        async with managed(tmp_path, startup([a, b], server=homes)) as manager:
            host, port = manager.facts["call-home"]
            calls = [asyncio.create_task(router.server.call_home(host, port)) for router in (a, b)]
            await converged(a, b)
            assert b.digest().count == 10
            assert await manager.digest() == a.digest()
        await asyncio.gather(*calls, return_exceptions=True)


async def test_the_configuration_is_followed(tmp_path: Path) -> None:
    async with site(tmp_path, PRIMARY, SECONDARY, known=1) as (manager, a, b):
        a.login(1)
        await eventually(lambda: bool(a.group().receipts), "the primary is served")
        both = etree.fromstring(startup([a, b]))
        new = both.findall(f".//{{{CLOUD}}}device")[1]
        edit = etree.Element(f"{{{CLOUD}}}cloud")
        edit.append(new)
        async with operator(manager.target) as session:
            await session.edit_config(edit)
            await session.commit()
        await converged(a, b)
        started = time.monotonic()
        gone = etree.Element(f"{{{CLOUD}}}cloud")
        entry = etree.SubElement(gone, f"{{{CLOUD}}}device")
        entry.set("{urn:ietf:params:xml:ns:netconf:base:1.0}operation", "delete")
        etree.SubElement(entry, f"{{{CLOUD}}}device-id").text = "bras-b"
        async with operator(manager.target) as session:
            await session.edit_config(gone)
            await session.commit()
        await eventually(lambda: not b.subscribed, "the session is ended")
        assert time.monotonic() - started < 10
        assert "bras-b" not in (tmp_path / "startup.xml").read_text().partition("<device>")[2]
