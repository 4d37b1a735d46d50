"""Bringing users to a kernel that is slow, refuses, or is somebody else's for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network

import pytest

from router.dataplane import DataPlaneConfig, DataPlaneError, GroupPlane, Subscriber, filling
from router.dataplane.filling import Filling
from router.dataplane.values import Names

CONFIG = DataPlaneConfig("bras-a", (GroupPlane("g1", "none-such0", (ip_network("10.1.0.0/16"),)),))
ALICE, BOB = Subscriber("02:00:00:00:00:0a", "10.1.0.10"), Subscriber("02:00:00:00:00:0b", "10.1.0.11")


class Kernel:
    """Remembers transactions; refuses as many as it is told to."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.refusals = 0
        self.fault: Exception | None = None

    async def run(self, commands: str) -> None:
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        if self.refusals:
            self.refusals -= 1
            raise DataPlaneError("no such table")
        self.ran.append(commands)


@pytest.fixture
async def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    monkeypatch.setattr(filling, "_TRY_AGAIN", 0.0)
    return Kernel()


@pytest.fixture
async def users(kernel: Kernel) -> AsyncIterator[Filling]:
    made = Filling(CONFIG, Names(CONFIG), kernel.run, "rules")
    made.start()
    yield made
    await made.close()


async def test_a_burst_goes_out_together(kernel: Kernel, users: Filling) -> None:
    users.put("g1", b"a", ALICE)
    users.put("g1", b"b", BOB)
    await users.flush()
    (transaction,) = kernel.ran
    assert ALICE.ipv4 in transaction
    assert BOB.ipv4 in transaction


async def test_after_a_refusal_everything_is_made_anew(kernel: Kernel, users: Filling) -> None:
    users.put("g1", b"a", ALICE)
    await users.flush()
    kernel.refusals = 2
    users.put("g1", b"b", BOB)
    await users.flush()
    rules, transaction = kernel.ran[1:]
    assert rules == "rules"
    assert ALICE.ipv4 in transaction
    assert BOB.ipv4 in transaction


async def test_a_load_replaces_all_but_what_is_put_meanwhile(kernel: Kernel, users: Filling) -> None:
    users.put("g1", b"a", ALICE)

    def reading() -> Iterator[tuple[bytes, Subscriber]]:
        yield b"b", BOB
        users.put("g1", b"c", Subscriber("02:00:00:00:00:0c", "10.1.0.12"))

    await users.load("g1", reading())
    await users.flush()
    assert len(users) == 2
    assert ALICE.ipv4 not in kernel.ran[-1]
    with pytest.raises(ValueError, match="being loaded already"):
        await asyncio.gather(users.load("g1", many(2000)), users.load("g1", many(1)))


def many(count: int) -> Iterator[tuple[bytes, Subscriber]]:
    for number in range(count):
        yield b"%d" % number, Subscriber("02:00:00:00:00:01", f"10.1.{number >> 8}.{number & 255}")


async def test_nobody_waits_for_a_worker_that_failed(kernel: Kernel, users: Filling) -> None:
    kernel.fault = RuntimeError("a fault")
    users.put("g1", b"a", ALICE)
    with pytest.raises(DataPlaneError, match="the log says why"):
        await users.flush()


async def test_nobody_waits_for_what_is_closed(users: Filling) -> None:
    await users.close()
    with pytest.raises(DataPlaneError, match="open it first"):
        await users.flush()
