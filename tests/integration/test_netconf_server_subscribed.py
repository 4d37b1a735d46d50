"""Subscribed notifications (RFC 8639, 8640) and YANG push (RFC 8641), seen by a client."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from lxml import etree

from netconf_server import Limits
from rui.netconf import names
from tests.integration.netconf_server_rig import TOY, errors
from tests.integration.subscriptions_rig import (
    ALARMS,
    DS,
    SN,
    YP,
    Client,
    alarm,
    establish,
    on_change,
    on_id,
    periodic,
    rig_and_client,
    subtree,
    text,
    time,
    to_datastore,
    to_stream,
)


async def test_two_subscriptions_on_one_session_get_each_its_events(tmp_path: Path) -> None:
    async with rig_and_client(tmp_path) as (rig, client):
        major = f'<stream-xpath-filter xmlns:t="{TOY}">/t:alarm[t:severity="major"]</stream-xpath-filter>'
        assert await client.establish(to_stream()) == 1
        assert await client.establish(to_stream(major)) == 2
        rig.server.stream("NETCONF").publish(alarm(1))
        rig.server.stream("NETCONF").publish(alarm(2, "major"))
        assert await client.named(3) == ["1", "2", "2"]
        reply = await client.ask(f'<get><filter><subscriptions xmlns="{SN}"/></filter></get>')
        rows = [
            [
                text(entry, name)
                for name in ("id", "stream", "sent-event-records", "excluded-event-records", "state")
            ]
            for entry in reply.iter(f"{{{SN}}}subscription")
        ]
        assert rows == [["1", "NETCONF", "2", "0", "active"], ["2", "NETCONF", "1", "1", "active"]]
        rig.server.schema.check_operational(reply.data if hasattr(reply, "data") else reply[0])


async def test_replay_then_what_happens_and_the_earliest_time_is_told(tmp_path: Path) -> None:
    async with rig_and_client(tmp_path) as (rig, client):
        for number in range(100):
            rig.server.stream("NETCONF").publish(alarm(number))
        start = f"<replay-start-time>{time(hours=-1)}</replay-start-time>"
        reply = await client.ask(to_stream(ALARMS + start))
        assert text(reply, "replay-start-time-revision") is not None
        assert await client.named(101) == [*map(str, range(100)), "replay-completed"]
        rig.server.stream("NETCONF").publish(alarm(100))
        assert await client.named(1) == ["100"]


async def test_modify_delete_kill_and_stop(tmp_path: Path) -> None:
    async with rig_and_client(tmp_path) as (rig, client), rig.raw() as raw:
        stream, other = rig.server.stream("NETCONF"), Client(raw)
        first = await client.establish(to_stream())
        chosen = f"<alarm xmlns='{TOY}'><severity>major</severity></alarm>"
        major = f"<stream-subtree-filter>{chosen}</stream-subtree-filter>"
        assert not errors(await client.ask(on_id("modify-subscription", first, major)))
        stream.publish(alarm(1))
        stream.publish(alarm(2, "major"))
        assert await client.named(1) == ["2"]
        for name in ("modify-subscription", "delete-subscription"):
            (error,) = errors(await other.ask(on_id(name, first, major if name[0] == "m" else "")))
            assert (error["tag"], error["app-tag"]) == (
                "invalid-value",
                "ietf-subscribed-notifications:no-such-subscription",
            )
        assert not errors(await client.ask(on_id("delete-subscription", first)))
        second = await client.establish(to_stream())
        stream.publish(alarm(3))
        assert await client.named(1) == ["3"]
        assert not errors(await other.ask(on_id("kill-subscription", second)))
        ended = await client.event()
        assert (etree.QName(ended).localname, text(ended, "reason")) == (
            "subscription-terminated",
            "no-such-subscription",
        )
        rig.server.schema.check_notification(ended)
        await client.establish(to_stream(ALARMS + f"<stop-time>{time(seconds=0.2)}</stop-time>"))
        assert await client.named(1) == ["subscription-terminated"]
        assert stream.subscriptions == ()


async def test_a_filter_by_name_is_followed(tmp_path: Path) -> None:
    def filters(severity: str) -> str:
        chosen = f"<alarm xmlns='{TOY}'><severity>{severity}</severity></alarm>"
        entry = f"<name>mine</name><stream-subtree-filter>{chosen}</stream-subtree-filter>"
        content = (
            f'<filters xmlns="{SN}"><stream-filter>{entry}</stream-filter></filters>' if severity else ""
        )
        source = f"<source><config>{content}</config></source>"
        return f"<copy-config><target><running/></target>{source}</copy-config>"

    async with rig_and_client(tmp_path) as (rig, client):
        by_name = to_stream("<stream-filter-name>mine</stream-filter-name>")
        assert errors(await client.ask(by_name))[0]["app-tag"].endswith("filter-unsupported")
        assert not errors(await client.ask(filters("major")))
        await client.establish(by_name)
        stream = rig.server.stream("NETCONF")
        stream.publish(alarm(1))
        stream.publish(alarm(2, "major"))
        assert await client.named(1) == ["2"]
        assert not errors(await client.ask(filters("minor")))
        modified = await client.event()
        assert etree.QName(modified).localname == "subscription-modified"
        rig.server.schema.check_notification(modified)
        stream.publish(alarm(3))
        assert await client.named(1) == ["3"]
        assert not errors(await client.ask(filters("")))
        assert text(await client.event(), "reason") == "filter-unavailable"


async def test_a_slow_client_is_suspended_resumed_and_not_closed(tmp_path: Path) -> None:
    big = alarm(0).replace(b"</text>", b"x" * 50_000 + b"</text>")
    async with rig_and_client(tmp_path, Limits(send_buffer=4_000_000)) as (rig, client):
        await client.establish(to_stream())
        (subscription,) = rig.server.stream("NETCONF").subscriptions
        client.raw.reader.channel.pause_reading()
        sent = 0
        while not subscription.suspended:  # type: ignore[attr-defined]
            rig.server.stream("NETCONF").publish(big, validate=False)
            sent += 1
            assert sent < 1000
            await asyncio.sleep(0)
        for _ in range(500):
            rig.server.stream("NETCONF").publish(big, validate=False)
        client.raw.reader.channel.resume_reading()
        seen: list[str] = []
        while not seen or seen[-1] != "subscription-resumed":
            seen += await client.named(1)
        assert seen.count("subscription-suspended") == 1
        assert len(seen) == sent + 1
        rig.server.stream("NETCONF").publish(alarm(7))
        assert await client.named(1) == ["7"]


@pytest.mark.parametrize(
    ("operation", "tag", "app_tag"),
    [
        (to_stream(stream="none"), "invalid-value", None),
        (to_stream("<stream-xpath-filter>//[</stream-xpath-filter>"), "invalid-value", None),
        (to_stream(f"<replay-start-time>{time(hours=1)}</replay-start-time>"), "invalid-value", None),
        (to_stream(f"<stop-time>{time(hours=-1)}</stop-time>"), "invalid-value", None),
        (
            to_stream(f"<replay-start-time>{time(hours=-1)}</replay-start-time>", "plain"),
            "operation-not-supported",
            "replay-unsupported",
        ),
        (establish(""), "missing-element", "missing-choice"),
        (to_datastore("running", periodic(1)), "invalid-value", "period-unsupported"),
        (to_datastore("candidate", on_change()), "operation-not-supported", "on-change-unsupported"),
        (to_datastore("startup", on_change()), "invalid-value", "datastore-not-subscribable"),
        (
            to_datastore("operational", on_change(), subtree(f'<inventory xmlns="{TOY}"/>')),
            "operation-not-supported",
            "on-change-unsupported",
        ),
        (on_id("resync-subscription", 9, namespace=YP), "invalid-value", "no-such-subscription-resync"),
        (on_id("kill-subscription", 9), "invalid-value", "no-such-subscription"),
    ],
)  # fmt: skip
async def test_refusals_name_their_identity(
    tmp_path: Path, operation: str, tag: str, app_tag: str | None
) -> None:
    async with rig_and_client(tmp_path) as (rig, client):
        rig.server.stream("plain")
        error = errors(await client.ask(operation))[0]
        assert (error["tag"], error.get("app-tag", "").rpartition(":")[2]) == (tag, app_tag or "")


async def test_the_two_ways_to_subscribe_are_kept_apart(tmp_path: Path) -> None:
    old = f'<create-subscription xmlns="{names.NOTIFICATION}"/>'
    async with rig_and_client(tmp_path) as (rig, client), rig.raw() as raw:
        await client.establish(to_stream())
        assert errors(await client.ask(old))[0]["tag"] == "operation-not-supported"
        other = Client(raw)
        assert not errors(await other.ask(old))
        assert errors(await other.ask(to_stream()))[0]["tag"] == "operation-not-supported"


async def test_subscriptions_end_with_their_session(tmp_path: Path) -> None:
    async with rig_and_client(tmp_path) as (rig, client), rig.raw() as raw:
        other = Client(raw)
        await other.establish(to_stream())
        await other.establish(to_datastore("running", on_change()))
        await other.ask("<close-session/>")
        await raw.closed()
        reply = await client.ask(f'<get><filter><subscriptions xmlns="{SN}"/></filter></get>')
        assert text(reply, "id") is None


# --- YANG push


def edit(content: str) -> str:
    return (
        "<edit-config><target><running/></target>"
        f'<config xmlns:nc="{names.BASE}"><system xmlns="{TOY}">{content}</system></config></edit-config>'
    )


async def test_changes_of_running_come_as_a_patch(tmp_path: Path) -> None:
    async with rig_and_client(tmp_path) as (rig, client):
        await client.ask(edit("<name>a</name><server>s1</server>"))
        await client.establish(to_datastore("running", on_change(), subtree(f'<system xmlns="{TOY}"/>')))
        first = await client.event()
        assert (etree.QName(first).localname, text(first, "name")) == ("push-update", "a")
        rig.server.schema.check_notification(first)
        change = (
            '<name nc:operation="delete"/><mtu>1400</mtu><server>s2</server><user><name>u/1</name></user>'
        )
        assert not errors(await client.ask(edit(change)))
        patch = await client.event()
        rig.server.schema.check_notification(patch)
        edits = [
            [text(item, name) for name in ("operation", "target", "where", "point")]
            for item in patch.iter(f"{{{YP}}}edit")
        ]
        assert sorted(map(str, edits)) == sorted(
            map(
                str,
                [
                    ["delete", "system/name", None, None],
                    ["create", "system/mtu", None, None],
                    ["insert", "system/server=s2", "after", "system/server=s1"],
                    ["create", "system/user=u%2F1", None, None],
                ],
            )
        )
        await client.ask(edit("<mtu>1300</mtu>"))
        assert text(await client.event(), "operation") == "replace"


async def test_excluded_changes_and_no_sync(tmp_path: Path) -> None:
    terms = "<sync-on-start>false</sync-on-start><excluded-change>create</excluded-change>"
    async with rig_and_client(tmp_path) as (_, client):
        number = await client.establish(to_datastore("running", on_change(terms)))
        await client.ask(edit("<name>a</name><mtu>1400</mtu>"))
        await client.ask(edit("<mtu>1300</mtu>"))
        patch = await client.event()
        assert (text(patch, "operation"), text(patch, "target")) == ("replace", "system/mtu")
        assert not errors(await client.ask(on_id("resync-subscription", number, namespace=YP)))
        assert etree.QName(await client.event()).localname == "push-update"


async def test_a_selection_by_name_is_followed(tmp_path: Path) -> None:
    def filters(leaf: str, other: str = "mtu") -> str:
        entries = "".join(
            f'<selection-filter xmlns="{YP}"><filter-id>{name}</filter-id><datastore-subtree-filter>'
            f'<system xmlns="{TOY}"><{chosen}/></system></datastore-subtree-filter></selection-filter>'
            for name, chosen in (("mine", leaf), ("other", other))
            if chosen
        )
        content = f'<system xmlns="{TOY}"><name>a</name><mtu>1400</mtu></system>'
        content += f'<filters xmlns="{SN}">{entries}</filters>' if entries else ""
        source = f"<source><config>{content}</config></source>"
        return f"<copy-config><target><running/></target>{source}</copy-config>"

    async with rig_and_client(tmp_path) as (rig, client):
        by_name = f'<selection-filter-ref xmlns="{YP}">mine</selection-filter-ref>'
        (error,) = errors(await client.ask(to_datastore("running", on_change(), by_name)))
        assert error["app-tag"].endswith("filter-unsupported")
        assert not errors(await client.ask(filters("name")))
        await client.establish(to_datastore("running", on_change(), by_name))
        first = await client.event()
        assert (text(first, "name"), text(first, "mtu")) == ("a", None)
        assert not errors(await client.ask(filters("name", "tag")))
        assert not errors(await client.ask(filters("mtu")))
        modified = await client.event()
        assert etree.QName(modified).localname == "subscription-modified"
        rig.server.schema.check_notification(modified)
        second = await client.event()
        assert (text(second, "name"), text(second, "mtu")) == (None, "1400")
        assert not errors(await client.ask(filters("")))
        assert text(await client.event(), "reason") == "filter-unavailable"


class Uptime:
    """An operational leaf that changes."""

    value = 1

    def read(self) -> etree._Element:
        return etree.fromstring(f'<uptime xmlns="{TOY}">{self.value}</uptime>')


async def test_changes_of_state_are_found_and_told(tmp_path: Path) -> None:
    expression = "/toy:system/toy:uptime</datastore-xpath-filter>"
    chosen = f'<datastore-xpath-filter xmlns="{YP}" xmlns:toy="{TOY}">' + expression
    async with rig_and_client(tmp_path) as (rig, client):
        uptime = Uptime()
        rig.server.register_tree("/toy:system/uptime", uptime)
        await client.establish(to_datastore("operational", on_change(), chosen))
        assert text(await client.event(), "uptime") == "1"
        uptime.value = 2
        patch = await client.event()
        assert (text(patch, "target"), text(patch, "uptime")) == ("system/uptime", "2")
        uptime.value = 3
        rig.server.notifications.data_changed()
        assert text(await client.event(), "uptime") == "3"


async def test_periodic_updates_come_again_until_they_are_stopped_and_changed(tmp_path: Path) -> None:
    period = periodic(10)
    async with rig_and_client(tmp_path) as (_, client):
        await client.ask(edit("<name>a</name>"))
        number = await client.establish(
            to_datastore("operational", period, subtree(f'<system xmlns="{TOY}"><name/></system>'))
        )
        for _ in range(3):
            update = await client.event()
            assert (text(update, "id"), text(update, "name")) == (str(number), "a")
        store = f'<datastore xmlns="{YP}" xmlns:ds="{DS}">ds:operational</datastore>'
        stop = f"<stop-time>{time(seconds=0.3)}</stop-time>"
        modify = on_id(
            "modify-subscription", number, store + subtree(f'<inventory xmlns="{TOY}"/>') + stop + period
        )
        assert not errors(await client.ask(modify))
        seen = await client.named(1)
        while seen[-1] != "subscription-terminated":
            seen += await client.named(1)
        assert seen.count("push-update") >= 2


async def test_a_selection_that_is_too_big_is_refused(tmp_path: Path) -> None:
    period = periodic(100)
    async with rig_and_client(tmp_path) as (rig, client):
        rig.parts.parts, rig.parts.note = 5000, "x" * 1000
        (error,) = errors(await client.ask(to_datastore("operational", period)))
        assert (error["tag"], error["app-tag"]) == ("too-big", "ietf-yang-push:update-too-big")
