"""A reply between the session and a slow or impatient reader."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from netconf_client.streamed import StreamedReply

PART = b"x" * 400_000


def stream() -> tuple[StreamedReply, list[str]]:
    steps: list[str] = []
    return StreamedReply(lambda: steps.append("pause"), lambda: steps.append("resume")), steps


async def test_a_slow_reader_stops_the_server_until_half_is_read() -> None:
    reply, steps = stream()
    for _ in range(4):
        reply.put(PART)
    assert steps == ["pause"]
    async with aclosing(reply.parts(10)) as parts:
        await anext(parts)
        await anext(parts)
        assert steps == ["pause"]
        await anext(parts)
        assert steps == ["pause", "resume"]


async def test_who_leaves_lets_the_server_go_on() -> None:
    reply, steps = stream()
    for _ in range(4):
        reply.put(PART)
    reply.leave()
    reply.leave()
    assert steps == ["pause", "resume"]


async def test_a_failure_comes_after_what_was_there_and_never_after_the_end() -> None:
    reply, _ = stream()
    reply.put(b"a")
    reply.fail(OSError("lost"))
    parts = reply.parts(10)
    assert await anext(parts) == b"a"
    with pytest.raises(OSError, match="lost"):
        await anext(parts)
    whole, _ = stream()
    whole.put(b"a")
    whole.end()
    whole.fail(OSError("lost"))
    assert [part async for part in whole.parts(10)] == [b"a"]


async def test_patience_is_for_each_wait() -> None:
    reply, _ = stream()
    with pytest.raises(TimeoutError):
        await anext(reply.parts(0.001))
    asyncio.get_running_loop().call_soon(reply.put, b"a")
    assert await anext(reply.parts(10)) == b"a"
