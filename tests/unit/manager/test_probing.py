from __future__ import annotations

import asyncio
import contextlib
from typing import Any, cast

from lxml import etree

from manager.probing import probe_forever
from netconf_client import ClientSession
from rui.backup import rbs
from rui.backup.burden import BULK, Burden
from rui.netconf.errors import RpcError


class Session:
    """Answers probes, or refuses them, and keeps what they said."""

    where = "a test"

    def __init__(self, refuse: bool = False) -> None:
        self.probes: list[rbs.Probe] = []
        self.came = asyncio.Event()
        self._refuse = refuse

    async def rpc(self, operation: etree._Element, *, timeout: float) -> None:  # noqa: ASYNC109 - the interface
        self.probes.append(rbs.decode_probe(operation))
        self.came.set()
        if self._refuse:
            raise RpcError.operation_not_supported("no probes here")

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.probes) < count:
                self.came.clear()
                await self.came.wait()


async def probed(session: Session, burden: Burden, count: int) -> None:
    task = asyncio.create_task(
        probe_forever(cast("ClientSession", cast("Any", session)), 0.001, burden, lambda: None)
    )
    await session.until(count)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_probe_tells_the_round_trip_of_the_one_before() -> None:
    session = Session()
    await probed(session, Burden(), 5)
    assert [probe.sequence for probe in session.probes[:5]] == [1, 2, 3, 4, 5]
    assert session.probes[0].rtt is None
    assert session.probes[4].rtt is not None


async def test_behind_bulk_it_measures_nothing() -> None:
    session, burden = Session(), Burden()
    burden.carries(BULK, asyncio.get_running_loop().time() + 60)
    await probed(session, burden, 5)
    assert [probe.rtt for probe in session.probes] == [None] * len(session.probes)


async def test_a_device_that_knows_no_probes_is_left_alone() -> None:
    session = Session(refuse=True)
    async with asyncio.timeout(20):
        await probe_forever(cast("ClientSession", cast("Any", session)), 0.001, Burden(), lambda: None)
    assert len(session.probes) >= 3
