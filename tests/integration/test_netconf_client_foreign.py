"""The client against servers that talk as foreign ones do: old framing, odd cuts, odd replies."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Literal

import asyncssh
import pytest

from netconf_client import ReplyTimeout, SessionClosed, connect, vendor
from rui.netconf import messages, names
from rui.netconf.errors import RpcError
from rui.netconf.events import NotificationReceived
from tests.integration.netconf_client_links import scripted

Driver = Literal["native", "vendor"]
Channel = asyncssh.SSHServerChannel[bytes]
BOTH = pytest.mark.parametrize("driver", ["native", "vendor"])
GET = f'<get xmlns="{names.BASE}"/>'.encode()
TEXT = "caf\u00e9 \u20ac \U0001d11e"
_RPC = re.compile(rb'<(?:\w+:)?rpc [^>]*message-id="([^"]*)"[^>]*>.*?</(?:\w+:)?rpc>', re.DOTALL)


class Foreign:
    """A server of few words: it answers each rpc by what `reply` makes of its message-id.

    `version` is the only one that it offers, `cut` writes a message in pieces, `gather` rpcs are awaited
    before the first one is answered.
    """

    def __init__(
        self,
        reply: Callable[[str], str],
        *,
        version: str = "1.1",
        cut: Callable[[bytes], list[bytes]] = lambda data: [data],
        gather: int = 1,
        before_hello: bytes = b"",
    ) -> None:
        self._reply = reply
        self._version = version
        self._cut = cut
        self._gather = gather
        self._before = before_hello
        self._held = b""
        self._ids: list[str] = []

    def __call__(self, channel: Channel, data: bytes) -> None:
        if not data:
            offered = names.CAP_BASE_1_1 if self._version == "1.1" else names.CAP_BASE_1_0
            hello = messages.build_hello([offered], 4_294_967_295)
            self._write(channel, self._before + hello + b"]]>]]>")
            return
        self._held += data
        # the framing of a request does not matter here: no chunk of these small rpcs is cut
        for found in _RPC.finditer(self._held):
            self._ids.append(found[1].decode())
            self._held = self._held[found.end() :]
            if b"close-session" in found[0]:
                self._write(channel, self._framed(_ok(self._ids.pop())))
                channel.exit(0)
                return
        if len(self._ids) >= self._gather:
            ids, self._ids = self._ids, []
            self._write(channel, b"".join(self._framed(self._reply(number)) for number in reversed(ids)))

    def _framed(self, text: str) -> bytes:
        body = text.encode()
        if self._version == "1.0":
            return body + b"]]>]]>\n"
        return b"\n#%d\n%b\n##\n" % (len(body), body)

    def _write(self, channel: Channel, data: bytes) -> None:
        for piece in self._cut(data):
            channel.write(piece)


def _ok(number: str) -> str:
    return f'<rpc-reply xmlns="{names.BASE}" message-id="{number}"><ok/></rpc-reply>'


def data_reply(number: str) -> str:
    declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
    start = f'<nc:rpc-reply xmlns:nc="{names.BASE}" message-id="{number}">'
    return f"{declaration}{start}<nc:data>{TEXT}</nc:data></nc:rpc-reply>"


def single_octets(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@BOTH
async def test_a_server_of_base_1_0_only(driver: Driver) -> None:
    async with scripted(Foreign(data_reply, version="1.0")) as target:
        session = await connect(target, driver=driver, timeout=30)
        assert session.session_id == 4_294_967_295
        for _ in range(3):
            assert (await session.rpc(GET)).data.text == TEXT
        await session.close()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_server_that_writes_octet_by_octet(version: str) -> None:
    async with scripted(Foreign(data_reply, version=version, cut=single_octets)) as target:
        session = await connect(target, timeout=30)
        assert (await session.rpc(GET)).data.text == TEXT
        await session.close()


def odd_chunks(data: bytes) -> list[bytes]:
    """The same message in chunks of three octets, which cut characters, tags and entities."""
    match = re.fullmatch(rb"\n#\d+\n(.*)\n##\n", data, re.DOTALL)
    if match is None:
        return [data]
    body = match[1]
    pieces = [body[i : i + 3] for i in range(0, len(body), 3)]
    return [b"".join(b"\n#%d\n%b" % (len(piece), piece) for piece in pieces) + b"\n##\n"]


async def test_a_server_whose_chunks_cut_characters() -> None:
    async with scripted(Foreign(data_reply, cut=odd_chunks)) as target:
        session = await connect(target, timeout=30)
        assert (await session.rpc(GET)).data.text == TEXT
        await session.close()


@BOTH
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_replies_to_many_rpcs_in_one_write_and_the_wrong_order(driver: Driver, version: str) -> None:
    def numbered(number: str) -> str:
        return f'<rpc-reply xmlns="{names.BASE}" message-id="{number}"><data>{number}</data></rpc-reply>'

    async with scripted(Foreign(numbered, gather=20, version=version)) as target:
        session = await connect(target, driver=driver, timeout=30)
        replies = await asyncio.gather(*(session.rpc(GET, timeout=20) for _ in range(20)))
        assert all(reply.data.text == reply.element.get("message-id") for reply in replies)
        assert len({reply.data.text for reply in replies}) == 20


async def test_what_stands_before_the_hello_and_after_the_mark_is_white_space() -> None:
    async with scripted(Foreign(data_reply, version="1.0", before_hello=b"\r\n\n ")) as target:
        session = await connect(target, timeout=30)
        assert (await session.rpc(GET)).data.text == TEXT
        await session.close()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (_ok("98765"), "message-id '98765', which answers no rpc of ours"),
        (f'<rpc-reply xmlns="{names.BASE}"><ok/></rpc-reply>', "no message-id"),
        (
            f'<rpc-reply xmlns="{names.BASE}" xmlns:a="urn:e" xmlns:b="urn:e" a:x="1" b:x="1"/>',
            "not well-formed",
        ),
        ('<rpc-reply message-id="1"><ok/></rpc-reply>', "neither rpc-reply nor notification"),
        ("<rpc-reply", "not well-formed"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "not allowed"),
    ],
)
async def test_a_reply_that_cannot_be_ours_ends_the_session_and_says_why(reply: str, reason: str) -> None:
    async with scripted(Foreign(lambda number: reply)) as target:
        session = await connect(target, timeout=30)
        with pytest.raises(SessionClosed, match=reason):
            await session.rpc(GET, timeout=30)
        assert reason in (session.closed_reason or "")


async def test_an_error_without_message_id_is_for_the_oldest_rpc() -> None:
    error = "<rpc-error><error-type>rpc</error-type><error-tag>malformed-message</error-tag></rpc-error>"
    async with scripted(
        Foreign(lambda number: f'<rpc-reply xmlns="{names.BASE}">{error}</rpc-reply>')
    ) as target:
        session = await connect(target, timeout=30)
        with pytest.raises(RpcError, match="malformed-message"):
            await session.rpc(GET, timeout=30)
        await session.close()


@BOTH
async def test_a_late_reply_to_an_abandoned_rpc_hurts_nobody(driver: Driver) -> None:
    async with scripted(Foreign(data_reply, gather=2)) as target:
        session = await connect(target, driver=driver, timeout=30)
        with pytest.raises(ReplyTimeout):
            await session.rpc(GET, timeout=0.2)
        assert (await session.rpc(GET, timeout=30)).data.text == TEXT
        assert session.closed_reason is None
        await session.close()


@BOTH
async def test_notifications_between_replies(driver: Driver) -> None:
    event = (
        f'<notification xmlns="{names.NOTIFICATION}"><eventTime>2026-11-23T10:00:00Z</eventTime>'
        '<e xmlns="urn:e">{}</e></notification>'
    )

    class Chatty(Foreign):
        def _framed(self, text: str) -> bytes:
            frame = super()._framed
            return frame(event.format("before")) + frame(text) + frame(event.format("after"))

    seen: asyncio.Queue[NotificationReceived] = asyncio.Queue()
    async with scripted(Chatty(data_reply, version="1.0")) as target:
        session = await connect(target, driver=driver, timeout=30)
        session.on_notification(seen.put_nowait)
        assert (await session.rpc(GET)).data.text == TEXT
        found = [(await asyncio.wait_for(seen.get(), 10)).content.text for _ in range(2)]
        assert found == ["before", "after"]
        session.on_notification(None)
        await session.close()


async def test_a_huge_reply_in_small_chunks() -> None:
    size = 24_000_000
    entry = b"<e>" + b"x" * 16_377 + b"</e>"

    class Huge(Foreign):
        def _framed(self, text: str) -> bytes:
            body = text.encode()
            if b"<data" not in body:
                return super()._framed(text)
            start, _, end = body.partition(b"@")
            return (
                b"".join(
                    b"\n#%d\n%b" % (len(piece), piece)
                    for piece in (start, *[entry] * (size // len(entry)), end)
                )
                + b"\n##\n"
            )

    def huge(number: str) -> str:
        return f'<rpc-reply xmlns="{names.BASE}" message-id="{number}"><data>@</data></rpc-reply>'

    async with scripted(Huge(huge)) as target:
        session = await connect(target, timeout=30)
        reply = await session.rpc(GET, timeout=120)
        assert len(reply.data) == size // len(entry)
        await session.close()


async def test_a_server_that_never_answers_close_session_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor, "_CLOSE_TIMEOUT", 0.3)
    hello = messages.build_hello([names.CAP_BASE_1_0], 3) + b"]]>]]>"

    def silent(channel: Channel, data: bytes) -> None:
        if not data:
            channel.write(hello)

    async with scripted(silent) as target:
        session = await connect(target, driver="vendor", timeout=30)
        async with asyncio.timeout(30):
            await session.close()
        assert session.closed_reason is not None
