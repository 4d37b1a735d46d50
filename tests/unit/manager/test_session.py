"""A conversation with a device: order, bounds, and how it ends."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from lxml import etree

from manager.session import STREAM, Conversation
from netconf_client import ClientSession, ReplyTimeout
from netconf_client.api import NotificationCallback
from rui.netconf.errors import RpcError
from rui.netconf.events import NotificationReceived


class FakeSession:
    """A session that a test speaks for."""

    where = "192.0.2.1:830"

    def __init__(self) -> None:
        self.callback: NotificationCallback | None = None
        self.reading = True
        self.subscribed = ""
        self.refuses: Exception | None = None
        self.closed = asyncio.get_running_loop().create_future()

    def on_notification(self, callback: NotificationCallback | None) -> None:
        self.callback = callback

    async def create_subscription(self, stream: str) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.subscribed = stream

    async def rpc(self, operation: object, *, timeout: float) -> object:  # noqa: ASYNC109
        raise ReplyTimeout(self.where, "deliver-user-info", timeout)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    async def wait_closed(self) -> str:
        return cast("str", await asyncio.shield(self.closed))

    async def close(self) -> None:
        if not self.closed.done():
            self.closed.set_result("closed")

    def send(self, number: int, size: int = 10) -> None:
        assert self.callback is not None
        content = etree.Element("note", number=str(number))
        self.callback(NotificationReceived("now", content, b"x" * size))


class Listener:
    def __init__(self) -> None:
        self.seen: list[int] = []
        self.busy = False

    def take(self, notification: NotificationReceived) -> None:
        self.seen.append(int(notification.content.get("number") or 0))


async def conversation() -> tuple[FakeSession, Listener, Conversation, asyncio.Task[str]]:
    session, listener = FakeSession(), Listener()
    talk = Conversation(cast("ClientSession", session), listener.take, lambda: listener.busy)
    task = asyncio.create_task(talk.run(lambda: None))
    await asyncio.sleep(0)
    return session, listener, talk, task


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_notifications_are_handled_in_order() -> None:
    session, listener, _, task = await conversation()
    assert session.subscribed == STREAM
    for number in range(5):
        session.send(number)
    await settle()
    assert listener.seen == [0, 1, 2, 3, 4]
    session.closed.set_result("the peer left")
    assert await task == "the peer left"


@pytest.mark.parametrize(("count", "size"), [(32, 10), (3, 4 << 20)])
async def test_too_much_that_waits_stops_the_reading(count: int, size: int) -> None:
    session, listener, talk, task = await conversation()
    listener.busy = True
    for number in range(count):
        assert session.reading or number
        session.send(number, size)
    await settle()
    assert not session.reading
    assert listener.seen == []
    listener.busy = False
    talk.released()
    for _ in range(3 * count):
        await asyncio.sleep(0)
    assert listener.seen == list(range(count))
    assert session.reading
    await session.close()
    await task


async def test_a_refused_subscription_ends_it() -> None:
    session, listener = FakeSession(), Listener()
    session.refuses = RpcError.operation_failed("no such stream")
    talk = Conversation(cast("ClientSession", session), listener.take, lambda: False)
    with pytest.raises(RpcError, match="no such stream"):
        await talk.run(lambda: None)
    assert session.closed.done()


async def test_an_unanswered_request_ends_it_with_its_reason() -> None:
    _, _, talk, task = await conversation()
    with pytest.raises(ReplyTimeout):
        await talk.rpc([b"<deliver-user-info/>"])
    assert "no reply to deliver-user-info" in await task


async def test_what_it_is_ended_for_is_the_reason() -> None:
    _, _, talk, task = await conversation()
    talk.end("too slow")
    talk.end("for another reason")
    assert await task == "too slow"
