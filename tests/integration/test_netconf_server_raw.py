"""Bytes as they come: both framings, and all sorts of wrong input. The server answers exactly, and lives."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from lxml import etree

from netconf_server import Limits, RpcCall
from rui.netconf import names
from tests.integration.netconf_server_rig import BASE_10_HELLO, BASE_11_HELLO, TOY, Rig, errors, serving

FILTER = f'<filter><system xmlns="{TOY}"><name/></system></filter>'
GET_NAME = f"<get-config><source><running/></source>{FILTER}</get-config>"
RUNNING = f'<system xmlns="{TOY}"><name>r1</name></system>'


async def lives(rig: Rig) -> None:
    """Another session is served as if nothing had happened."""
    async with rig.raw() as raw:
        reply = await raw.rpc(GET_NAME)
        assert reply.findtext(f".//{{{TOY}}}name") == "r1"


@pytest.mark.parametrize("hello", [BASE_10_HELLO, BASE_11_HELLO])
async def test_both_framings(tmp_path: Path, hello: str) -> None:
    async with serving(tmp_path, running=RUNNING) as rig, rig.raw(hello) as raw:
        told = etree.fromstring(raw.hello)
        assert told.findtext(names.SESSION_ID) == "1"
        reply = await raw.rpc(GET_NAME, "a&lt;1")
        assert reply.get("message-id") == "a<1"
        assert reply.findtext(f".//{{{TOY}}}name") == "r1"


async def test_rpcs_may_be_pipelined_split_and_pushed_together(tmp_path: Path) -> None:
    async with serving(tmp_path, running=RUNNING) as rig, rig.raw(None) as raw:
        hello = await raw.message()
        assert b"base:1.1" in hello
        raw.send(BASE_11_HELLO)
        raw.chunked = True
        for number in range(5):
            raw.send_message(f'<rpc xmlns="{names.BASE}" message-id="{number}">{GET_NAME}</rpc>')
        replies = [etree.fromstring(await raw.message()) for _ in range(5)]
        assert [reply.get("message-id") for reply in replies] == ["0", "1", "2", "3", "4"]
        for byte in f"\n#{len(MESSAGE)}\n{MESSAGE}\n##\n".encode():
            raw.send(bytes([byte]))
        assert b'message-id="9"' in await raw.message()


MESSAGE = f'<rpc xmlns="{names.BASE}" message-id="9">{GET_NAME}</rpc>'


async def test_attributes_of_the_rpc_come_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, rig.raw() as raw:
        raw.send_message(
            f'<n:rpc xmlns:n="{names.BASE}" xmlns:u="urn:u" message-id="1" u:id="x"><n:get/></n:rpc>'
        )
        reply = etree.fromstring(await raw.message())
        assert (reply.get("message-id"), reply.get("{urn:u}id")) == ("1", "x")


# --- what ends the session


GET = f'<rpc xmlns="{names.BASE}" message-id="1"><get/></rpc>'
ENDING = {
    "not XML as hello": (None, "nonsense]]>]]>"),
    "no common version": (None, BASE_11_HELLO.replace("base:1.1", "base:9.9")),
    "a session-id of the client": (None, BASE_11_HELLO.replace("</h", "<session-id>4</session-id></h")),
    "an rpc before the hello": (None, f"{GET}]]>]]>"),
    "end-of-message framing where chunks are due": (BASE_11_HELLO, f"{GET}]]>]]>"),
    "a chunk size of zero": (BASE_11_HELLO, "\n#0\n\n##\n"),
    "a chunk size with a sign": (BASE_11_HELLO, "\n#+5\nhello\n##\n"),
    "a chunk larger than any": (BASE_11_HELLO, "\n#4294967296\n"),
    "a message larger than the bound": (BASE_11_HELLO, "\n#2000001\n"),
    "a message without end": (BASE_10_HELLO, "<" * 2_100_000),
    "chunks that sum up above the bound": (BASE_11_HELLO, ("\n#65536\n" + "x" * 65536) * 32),
    "a document type": (BASE_10_HELLO, '<!DOCTYPE r [<!ENTITY a "b">]><rpc message-id="1">&a;</rpc>]]>]]>'),
    "half an element to a base:1.0 server": (BASE_10_HELLO, "<rpc>]]>]]>"),
}  # fmt: skip


@pytest.mark.parametrize(("hello", "sent"), ENDING.values(), ids=ENDING)
async def test_what_cannot_be_answered_ends_the_session(tmp_path: Path, hello: str | None, sent: str) -> None:
    limits = Limits(max_message_size=2_000_000)
    async with serving(tmp_path, running=RUNNING, limits=limits) as rig:
        async with rig.raw(hello) as raw:
            raw.send(sent)
            rest = await raw.closed()
            assert b"rpc-reply" not in rest
            assert rig.server.sessions == {}
        await lives(rig)


async def test_a_silent_client_is_let_go(tmp_path: Path) -> None:
    async with serving(tmp_path, running=RUNNING, limits=Limits(hello_timeout=0.2)) as rig:
        async with rig.raw(None) as raw:
            assert b"<hello" in await raw.closed()
        await lives(rig)


async def test_an_idle_session_is_closed_but_a_subscriber_is_not(tmp_path: Path) -> None:
    limits = Limits(idle_timeout=0.3)
    async with serving(tmp_path, limits=limits) as rig, rig.raw() as idle, rig.raw() as subscriber:
        reply = await subscriber.rpc(f'<create-subscription xmlns="{names.NOTIFICATION}"/>')
        assert reply.find(names.OK) is not None
        await idle.closed()
        assert [session.id for session in rig.server.sessions.values()] == [2]


# --- what is answered


ERRORS = Path(__file__).parents[1] / "data" / "netconf-errors.txt"
NAMESPACES = {"{NC}": names.BASE, "{NN}": names.NOTIFICATION, "{NM}": names.MONITORING, "{T}": TOY}


def read_errors() -> dict[str, tuple[str, dict[str, str]]]:
    """The message and what its rpc-error holds, by the name of the case."""
    text = ERRORS.read_text()
    for short, namespace in NAMESPACES.items():
        text = text.replace(short, namespace)
    cases = {}
    for part in text.split("\n== ")[1:]:
        name, sent, error = part.strip().splitlines()
        kind, _, message = sent.partition(": ")
        if kind == "rpc":
            message = f'<rpc xmlns="{names.BASE}" message-id="1">{message}</rpc>'
        fields = (field.partition("=") for field in error.removeprefix("error: ").split(" "))
        cases[name] = (message, {key: value for key, _, value in fields})
    return cases


@pytest.mark.parametrize(("sent", "expected"), read_errors().values(), ids=read_errors())
async def test_what_is_wrong_is_answered_exactly(tmp_path: Path, sent: str, expected: dict[str, str]) -> None:
    async with serving(tmp_path, running=RUNNING) as rig, rig.raw() as raw:
        raw.send_message(sent)
        (error, *_) = errors(etree.fromstring(await raw.message()))
        assert {key: error.get(key) for key in expected} == expected
        assert error.get("message")
        reply = await raw.rpc(GET_NAME)
        assert reply.findtext(f".//{{{TOY}}}name") == "r1"


@pytest.mark.parametrize(
    ("depth", "padding", "tag"), [(300, 0, "malformed-message"), (1500, 9_000_000, None)]
)
async def test_deep_nesting_does_no_harm(tmp_path: Path, depth: int, padding: int, tag: str | None) -> None:
    nested = (
        f'<system xmlns="{TOY}"><blob>' + "<a>" * depth + "x" * padding + "</a>" * depth + "</blob></system>"
    )
    edit = f"<edit-config><target><running/></target><config>{nested}</config></edit-config>"
    async with serving(tmp_path, running=RUNNING) as rig, rig.raw() as raw:
        (error,) = errors(await raw.rpc(edit))
        assert tag in (None, error["tag"])
        await lives(rig)
        assert (await raw.rpc(GET_NAME)).findtext(f".//{{{TOY}}}name") == "r1"


@pytest.mark.parametrize(
    "record", ["<user><a>1</a></user>", "<user><a>not closed</user>", "<user><!-- what? --><a/></user>"]
)
async def test_records_of_a_bulk_message_are_the_handlers_to_check(tmp_path: Path, record: str) -> None:
    taken: list[bytes] = []

    async def store(call: RpcCall) -> list[etree._Element]:
        taken.extend(re.findall(rb"<record>(.*?)</record>", call.raw))
        stored = etree.Element(f"{{{TOY}}}stored", nsmap=names.nsmap(TOY))
        stored.text = str(len(taken))
        return [stored]

    async with serving(tmp_path) as rig:
        rig.server.register_rpc(f"{{{TOY}}}store", store, bulk=True)
        change = f"<change><key>k</key><record>{record}</record></change>"
        async with rig.raw() as raw:
            reply = await raw.rpc(f'<store xmlns="{TOY}"><batch>1</batch>{change * 3}</store>')
            assert reply.findtext(f"{{{TOY}}}stored") == "3"
            assert taken == [record.encode()] * 3
            (error,) = errors(await raw.rpc(f'<store xmlns="{TOY}"><batch>x</batch>{change}</store>'))
            assert (error["tag"], error["path"]) == ("invalid-value", "/toy:store/toy:batch")
            assert len(taken) == 3


async def test_a_handler_that_fails_is_answered_without_its_secrets(tmp_path: Path) -> None:
    async with serving(tmp_path, running=RUNNING) as rig, rig.raw() as raw:

        async def broken(call: object) -> None:
            raise RuntimeError("password=geheim")

        rig.server.register_rpc(f"{{{TOY}}}unserved", broken)
        (error,) = errors(await raw.rpc(f'<unserved xmlns="{TOY}"/>'))
        assert error["tag"] == "operation-failed"
        assert "geheim" not in str(error)
        assert (await raw.rpc(GET_NAME)).findtext(f".//{{{TOY}}}name") == "r1"


async def test_two_clients_that_lock(tmp_path: Path) -> None:
    lock, unlock = (f"<{name}><target><candidate/></target></{name}>" for name in ("lock", "unlock"))
    edit = f"<edit-config><target><candidate/></target><config>{RUNNING}</config></edit-config>"
    async with serving(tmp_path) as rig, rig.raw() as first, rig.raw() as second:
        assert (await first.rpc(lock)).find(names.OK) is not None
        (error,) = errors(await second.rpc(lock))
        assert (error["tag"], error["type"], error["session-id"]) == ("lock-denied", "protocol", "1")
        (error,) = errors(await second.rpc(edit))
        assert error["tag"] == "in-use"
        assert (await first.rpc(edit)).find(names.OK) is not None
        first.writer.close()
        await first.closed()
        assert (await second.rpc(lock)).find(names.OK) is not None
        assert not rig.datastores.candidate_changed
        assert (await second.rpc(unlock)).find(names.OK) is not None


async def test_a_long_handler_does_not_stop_others_and_is_stopped_by_a_kill(tmp_path: Path) -> None:
    async with serving(tmp_path, running=RUNNING) as rig, rig.raw() as waiting, rig.raw() as other:
        started, cancelled = asyncio.Event(), asyncio.Event()

        async def long(call: object) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        rig.server.register_rpc(f"{{{TOY}}}unserved", long)
        waiting.send_message(f'<rpc xmlns="{names.BASE}" message-id="1"><unserved xmlns="{TOY}"/></rpc>')
        await started.wait()
        assert (await other.rpc(GET_NAME)).findtext(f".//{{{TOY}}}name") == "r1"
        kill = await other.rpc("<kill-session><session-id>1</session-id></kill-session>")
        assert kill.find(names.OK) is not None
        await cancelled.wait()
        assert await waiting.closed() == b""


async def test_close_session_answers_and_then_closes(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, rig.raw() as raw:
        assert (await raw.rpc("<close-session/>")).find(names.OK) is not None
        assert await raw.closed() == b""
        assert rig.server.sessions == {}


async def test_a_client_that_floods_is_read_no_faster_than_it_is_answered(tmp_path: Path) -> None:
    limits = Limits(max_queued_rpcs=4)
    async with serving(tmp_path, running=RUNNING, limits=limits) as rig, rig.raw() as raw:
        gate = asyncio.Event()
        answered = 0

        async def gated(call: object) -> None:
            nonlocal answered
            await gate.wait()
            answered += 1

        rig.server.register_rpc(f"{{{TOY}}}unserved", gated)
        for number in range(200):
            raw.send_message(
                f'<rpc xmlns="{names.BASE}" message-id="{number}"><unserved xmlns="{TOY}"/></rpc>'
            )
        gate.set()
        ids = [etree.fromstring(await raw.message()).get("message-id") for _ in range(200)]
        assert ids == [str(number) for number in range(200)]
        assert answered == 200
