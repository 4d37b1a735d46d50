"""Replay from disk (RFC 5277 3.3) and the server's own events (RFC 6470), seen by a subscriber."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from rui.netconf import names
from tests.integration.netconf_server_rig import TOY, Raw, Rig, errors, serving, toy

EVENTS = "urn:ietf:params:xml:ns:netmod:notification"
SYSTEM = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"


def alarm(number: int) -> bytes:
    return f'<alarm xmlns="{TOY}"><severity>minor</severity><text>{number}</text></alarm>'.encode()


def time(**offset: float) -> str:
    return (datetime.now(UTC) + timedelta(**offset)).isoformat(timespec="milliseconds")


def subscribe(inner: str = "") -> str:
    return f'<create-subscription xmlns="{names.NOTIFICATION}">{inner}</create-subscription>'


def from_hour_ago(stop: str = "", stream: str = "NETCONF", chosen: str = "") -> str:
    end = f"<stopTime>{stop}</stopTime>" if stop else ""
    return subscribe(f"<stream>{stream}</stream>{chosen}<startTime>{time(hours=-1)}</startTime>{end}")


ALARMS = f'<filter><alarm xmlns="{TOY}"/></filter>'


async def heard(raw: Raw) -> list[str]:
    """Local name or number of each notification, up to the one that ends a replay."""
    found: list[str] = []
    while not found or not found[-1].endswith("Complete"):
        content = etree.fromstring(await raw.message())[1]
        found.append(content.findtext(toy("text")) or etree.QName(content).localname)
    return found


async def system_event(raw: Raw) -> dict[str, str]:
    """The next event of the server itself: its local name and the texts of its leafs."""
    content = etree.fromstring(await raw.message())[1]
    assert names.split(str(content.tag))[0] == SYSTEM
    leafs = {names.split(str(leaf.tag))[1]: leaf.text or "" for leaf in content.iter() if len(leaf) == 0}
    return {"event": etree.QName(content).localname, **leafs}


@asynccontextmanager
async def rig_and_raw(folder: Path) -> AsyncIterator[tuple[Rig, Raw]]:
    async with AsyncExitStack() as stack:
        rig = await stack.enter_async_context(serving(folder, events=folder / "events"))
        yield rig, await stack.enter_async_context(rig.raw())


async def test_a_replay_outlasts_a_restart_and_goes_on_with_what_happens(tmp_path: Path) -> None:
    async with serving(tmp_path, events=tmp_path / "events") as rig:
        for number in range(300):
            rig.server.stream("NETCONF").publish(alarm(number))
    async with rig_and_raw(tmp_path) as (rig, raw):
        rig.server.stream("NETCONF").publish(alarm(300))
        assert (await raw.rpc(from_hour_ago(chosen=ALARMS))).find(names.OK) is not None
        assert await heard(raw) == [*map(str, range(301)), "replayComplete"]
        rig.server.stream("NETCONF").publish(alarm(301))
        assert etree.fromstring(await raw.message())[1].findtext(toy("text")) == "301"


async def test_nothing_is_lost_or_doubled_between_replay_and_what_happens(tmp_path: Path) -> None:
    async with rig_and_raw(tmp_path) as (rig, raw):
        stream = rig.server.stream("NETCONF")
        big = alarm(7).replace(b"</text>", b"x" * 20_000 + b"</text>")
        for _ in range(50):
            stream.publish(big)
        await raw.rpc(from_hour_ago(chosen=ALARMS))
        for number in range(1000, 1040):
            stream.publish(alarm(number))
            await raw.message()
        found = [etree.fromstring(await raw.message())[1] for _ in range(51)]
        texts = [content.findtext(toy("text")) or etree.QName(content).localname for content in found]
        later = [text for text in texts if text.startswith("10")]
        assert later == [str(number) for number in range(1000, 1040)]
        assert texts.count("replayComplete") == 1


async def test_a_stop_time_ends_the_subscription_and_the_session_may_begin_another(tmp_path: Path) -> None:
    async with rig_and_raw(tmp_path) as (rig, raw):
        rig.server.stream("NETCONF").publish(alarm(1))
        await raw.rpc(from_hour_ago(stop=time(seconds=0.3), chosen=ALARMS))
        assert await heard(raw) == ["1", "replayComplete"]
        rig.server.stream("NETCONF").publish(alarm(2))
        assert await heard(raw) == ["2", "notificationComplete"]
        assert rig.server.stream("NETCONF").subscriptions == ()
        await raw.rpc(from_hour_ago(stop=time(seconds=0.05), chosen=ALARMS))
        assert await heard(raw) == ["1", "2", "replayComplete"]
        assert await heard(raw) == ["notificationComplete"]


@pytest.mark.parametrize(
    ("request_", "tag", "element"),
    [
        (subscribe(f"<stopTime>{time()}</stopTime>"), "missing-element", "startTime"),
        (subscribe(f"<startTime>{time(hours=1)}</startTime>"), "bad-element", "startTime"),
        (from_hour_ago(stop=time(hours=-2)), "bad-element", "stopTime"),
        (subscribe("<startTime>yesterday</startTime>"), "bad-element", "startTime"),
        (from_hour_ago(stream="plain"), "operation-failed", ""),
        (subscribe("<since/>"), "unknown-element", "since"),
        (subscribe('<filter type="xpath" select="/none:such"/>'), "invalid-value", ""),
        (subscribe('<filter type="xpath"/>'), "missing-attribute", "filter"),
        (subscribe('<filter type="regex"/>'), "bad-attribute", "filter"),
    ],
)
async def test_what_cannot_be_replayed_is_refused(
    tmp_path: Path, request_: str, tag: str, element: str
) -> None:
    async with rig_and_raw(tmp_path) as (rig, raw):
        rig.server.stream("plain")
        (error,) = errors(await raw.rpc(request_))
        assert (error["tag"], error.get("bad-element", "").removeprefix("x:")) == (tag, element)


async def test_the_list_of_streams_says_what_can_be_replayed(tmp_path: Path) -> None:
    async with rig_and_raw(tmp_path) as (rig, raw):
        rig.server.stream("plain")
        reply = await raw.rpc(f'<get><filter><netconf xmlns="{EVENTS}"/></filter></get>')
        found = {
            stream.findtext(f"{{{EVENTS}}}name"): [
                stream.findtext(f"{{{EVENTS}}}{leaf}") for leaf in ("replaySupport", "replayLogCreationTime")
            ]
            for stream in reply.iter(f"{{{EVENTS}}}stream")
        }
        log = rig.server.stream("NETCONF").log
        assert log is not None
        created = log.created.isoformat(timespec="seconds").replace("+00:00", "Z")
        assert found == {"NETCONF": ["true", created], "plain": ["false", None]}


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        (f'xmlns:t="{TOY}" select="/t:alarm[t:severity=\'minor\']"', True),
        (f'xmlns:t="{TOY}" select="/t:alarm[t:text &gt; 3]"', False),
        ('select="/toy:alarm"', True),
        ('select="count(/toy:alarm/toy:since)"', False),
        ("select=\"number('x')\"", False),
    ],
)
async def test_an_xpath_filter_chooses(tmp_path: Path, expression: str, fits: bool) -> None:
    async with rig_and_raw(tmp_path) as (rig, raw):
        rig.server.stream("NETCONF").publish(alarm(1))
        await raw.rpc(from_hour_ago(stop=time(seconds=0.05), chosen=f'<filter type="xpath" {expression}/>'))
        assert (await heard(raw))[:-1] == ["1"] * fits


async def test_who_comes_goes_and_changes_what_is_told(tmp_path: Path) -> None:
    edit = (
        "<edit-config><target><running/></target><config>"
        f'<system xmlns="{TOY}"><name>a</name><server>s</server></system></config></edit-config>'
    )
    async with rig_and_raw(tmp_path) as (rig, watcher):
        await watcher.rpc(subscribe())
        async with rig.raw() as other:
            assert (await system_event(watcher))["event"] == "netconf-session-start"
            await other.rpc(edit)
            change = await system_event(watcher)
            assert (change["event"], change["session-id"], change["username"]) == (
                "netconf-config-change",
                "2",
                "admin",
            )
            assert (change["target"], change["operation"]) == ("/toy:system/toy:server[.='s']", "create")
            await other.rpc("<commit><confirmed/><confirm-timeout>60</confirm-timeout></commit>")
            start = await system_event(watcher)
            assert (start["confirm-event"], start["timeout"]) == ("start", "60")
            await other.rpc("<commit/>")
            assert (await system_event(watcher))["confirm-event"] == "complete"
            await other.rpc("<close-session/>")
            end = await system_event(watcher)
            assert (end["event"], end["termination-reason"]) == ("netconf-session-end", "closed")
        async with rig.raw(), rig.raw() as other:
            await system_event(watcher)
            await system_event(watcher)
            await other.rpc("<kill-session><session-id>3</session-id></kill-session>")
            end = await system_event(watcher)
            assert (end["termination-reason"], end["killed-by"]) == ("killed", "4")
            await other.rpc("<close-session/>")
            await system_event(watcher)
        async with rig.raw():
            await system_event(watcher)
        assert (await system_event(watcher))["termination-reason"] == "dropped"
        async with rig.raw(hello=None) as other:
            await other.message()
            other.send("<hello/>]]>]]>")
            assert (await system_event(watcher))["termination-reason"] == "bad-hello"


async def test_many_changes_at_once_are_told_by_their_top(tmp_path: Path) -> None:
    users = "".join(f"<user><name>u{number}</name></user>" for number in range(200))
    async with rig_and_raw(tmp_path) as (rig, raw), rig.raw() as other:
        await other.rpc(edit_system("<name>a</name>"))
        await raw.rpc(subscribe())
        await other.rpc(edit_system(users))
        change = await system_event(raw)
        assert (change["target"], change["operation"]) == ("/toy:system", "merge")


def edit_system(inner: str) -> str:
    return (
        "<edit-config><target><running/></target><config>"
        f'<system xmlns="{TOY}">{inner}</system></config></edit-config>'
    )


async def test_other_capabilities_after_a_restart_are_told(tmp_path: Path) -> None:
    async with serving(tmp_path, events=tmp_path / "events"):
        file = tmp_path / "events" / "capabilities.json"
    await asyncio.to_thread(
        file.write_text, file.read_text().replace("confirmed-commit:1.1", "confirmed-commit:1.0")
    )
    async with rig_and_raw(tmp_path) as (_, raw):
        chosen = f'<filter><netconf-capability-change xmlns="{SYSTEM}"/></filter>'
        await raw.rpc(from_hour_ago(stop=time(seconds=0.05), chosen=chosen))
        event = await system_event(raw)
        assert event["added-capability"] == "urn:ietf:params:netconf:capability:confirmed-commit:1.1"
        assert event["deleted-capability"] == "urn:ietf:params:netconf:capability:confirmed-commit:1.0"
