"""Notifications: to all, to one, filtered, checked, and what becomes of a subscriber that is slow."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from netconf_server import Entry, Keys, Limits, Stream, Subscription
from rui.netconf import names
from rui.schema import DataError
from tests.integration.netconf_server_rig import TOY, Parts, Raw, errors, serving, toy

STREAMS = "urn:ietf:params:xml:ns:netmod:notification"
MAJOR = f'<alarm xmlns="{TOY}"><severity>major</severity><text>fan</text></alarm>'.encode()
MINOR = MAJOR.replace(b"major", b"minor")


def subscribe(inner: str = "") -> str:
    return f'<create-subscription xmlns="{names.NOTIFICATION}">{inner}</create-subscription>'


class Watch:
    """The subscriptions of a stream as they come and go."""

    def __init__(self, stream: Stream) -> None:
        self.begun: list[Subscription] = []
        self.ended = asyncio.Event()
        stream.on_subscribed(self.begun.append)
        stream.on_ended(lambda subscription: self.ended.set())


async def subscribed(raw: Raw, inner: str = "") -> None:
    assert (await raw.rpc(subscribe(inner))).find(names.OK) is not None


async def notification(raw: Raw) -> etree._Element:
    message = etree.fromstring(await raw.message())
    assert message.tag == names.NOTIFICATION_MESSAGE
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message[0].text or "")
    return message[1]


async def test_publish_reaches_every_subscriber_and_notify_only_one(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, rig.raw() as first, rig.raw() as second, rig.raw() as third:
        stream = rig.server.stream("alarms", "What goes wrong")
        watch = Watch(stream)
        await subscribed(first, "<stream>alarms</stream>")
        await subscribed(second, "<stream>alarms</stream>")
        await subscribed(third)
        assert [subscription.session.id for subscription in watch.begun] == [1, 2]
        stream.publish(MAJOR)
        watch.begun[1].notify([MINOR[:20], MINOR[20:]])
        watch.begun[1].notify(etree.fromstring(MAJOR))
        assert (await notification(first)).findtext(toy("severity")) == "major"
        found = [(await notification(second)).findtext(toy("severity")) for _ in range(3)]
        assert found == ["major", "minor", "major"]
        rig.server.stream("NETCONF").publish(MINOR)
        assert (await notification(third)).findtext(toy("severity")) == "minor"


async def test_a_filter_chooses(tmp_path: Path) -> None:
    wanted = f'<filter><alarm xmlns="{TOY}"><severity>major</severity><text/></alarm></filter>'
    async with serving(tmp_path) as rig, rig.raw() as raw:
        await subscribed(raw, wanted)
        stream = rig.server.stream("NETCONF")
        stream.publish(MINOR)
        stream.publish(MAJOR)
        assert (await notification(raw)).findtext(toy("text")) == "fan"


async def test_what_the_model_refuses_is_not_sent(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, rig.raw() as raw:
        await subscribed(raw)
        stream = rig.server.stream("NETCONF")
        with pytest.raises(DataError, match="severity"):
            stream.publish(f'<alarm xmlns="{TOY}"><text>x</text></alarm>'.encode())
        stream.publish(MAJOR)
        assert (await notification(raw)).findtext(toy("severity")) == "major"


async def test_the_streams_are_listed_and_one_session_has_one_subscription(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, rig.raw() as raw:
        rig.server.stream("alarms")
        reply = await raw.rpc(f'<get><filter><netconf xmlns="{STREAMS}"/></filter></get>')
        listed = [element.text for element in reply.iter(f"{{{STREAMS}}}name")]
        assert listed == ["NETCONF", "alarms"]
        await subscribed(raw)
        (error,) = errors(await raw.rpc(subscribe()))
        assert error["tag"] == "operation-failed"


async def test_a_subscription_ends_with_its_session(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, rig.raw() as raw:
        watch = Watch(rig.server.stream("NETCONF"))
        await subscribed(raw)
        await raw.rpc("<close-session/>")
        await watch.ended.wait()
        assert rig.server.stream("NETCONF").subscriptions == ()
        watch.begun[0].notify(MAJOR)
        assert not watch.begun[0].active


async def test_a_callback_that_fails_hurts_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, rig.raw() as raw:
        stream = rig.server.stream("NETCONF")

        def broken(subscription: Subscription) -> None:
            raise RuntimeError("broken")

        stream.on_subscribed(broken)
        watch = Watch(stream)
        await subscribed(raw)
        assert len(watch.begun) == 1


async def test_a_slow_subscriber_is_closed_and_the_others_are_not(tmp_path: Path) -> None:
    limits = Limits(send_buffer=1_000_000)
    big = f'<alarm xmlns="{TOY}"><severity>major</severity><text>{"x" * 50_000}</text></alarm>'.encode()
    async with serving(tmp_path, limits=limits) as rig, rig.raw() as slow, rig.raw() as quick:
        stream = rig.server.stream("NETCONF")
        watch = Watch(stream)
        await subscribed(slow)
        await subscribed(quick)
        slow.reader.channel.pause_reading()
        sent = 0
        while not watch.ended.is_set():
            stream.publish(big, validate=False)
            sent += 1
            assert sent < 1000
            await notification(quick)
        assert list(rig.server.sessions) == [2]
        stream.publish(MINOR)
        last = [await notification(quick) for _ in range(2)][-1]
        assert last.findtext(toy("severity")) == "minor"


class Publishing(Parts):
    """Parts in the middle of which something else happens."""

    stream: Stream | None = None

    def read(self, keys: Keys) -> Iterator[Entry]:
        for number, entry in enumerate(super().read(keys)):
            if number == 6000 and self.stream is not None:
                self.stream.publish(MAJOR)
            yield entry


async def test_notifications_wait_behind_a_streamed_reply(tmp_path: Path) -> None:
    parts = Publishing(parts=5000)
    async with serving(tmp_path, parts=parts) as rig, rig.raw() as raw:
        parts.stream = rig.server.stream("NETCONF")
        await subscribed(raw)
        reply = await raw.rpc("<get/>")
        assert reply.tag == names.RPC_REPLY
        assert len(list(reply.iter(toy("part")))) == 10_000
        assert (await notification(raw)).findtext(toy("severity")) == "major"
