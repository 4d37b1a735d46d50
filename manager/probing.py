"""Signs of life on a session with a device: both ends judge the link by them (``link-probe``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from netconf_client import ClientSession, NetconfClientError, ReplyTimeout
from rui.backup import rbs
from rui.backup.burden import Burden
from rui.netconf.errors import RpcError

log = structlog.get_logger()

_UNDER_WAY = 16
_NOT_UNDERSTOOD = 3


async def probe_forever(
    session: ClientSession, interval: float, burden: Burden, heard: Callable[[], None]
) -> None:
    """Probe every ``interval`` seconds until cancelled; a device that does not know probes is left alone.

    ``heard`` is called at each answer.
    While the session is burdened a probe is a sign of life and measures nothing.
    """
    prober = _Prober(session, interval, burden, heard)
    try:
        await prober.run()
    finally:
        prober.cancel()


class _Prober:
    def __init__(
        self, session: ClientSession, interval: float, burden: Burden, heard: Callable[[], None]
    ) -> None:
        self._heard = heard
        self._session = session
        self._interval = interval
        self._burden = burden
        self._sequence = 0
        self._rtt: float | None = None
        self._lost = 0
        self._refused = 0
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._refused < _NOT_UNDERSTOOD:
            if len(self._under_way) < _UNDER_WAY:
                task = loop.create_task(self._probe(loop.time()))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(self._interval)
        log.info("probes-not-understood", where=self._session.where)

    def cancel(self) -> None:
        for task in self._under_way:
            task.cancel()

    async def _probe(self, began: float) -> None:
        self._sequence += 1
        probe = rbs.Probe(self._sequence, self._rtt, self._lost)
        self._lost = 0
        loop = asyncio.get_running_loop()
        burdened = self._burden.heavy(began)
        try:
            await self._session.rpc(rbs.encode_probe(probe), timeout=max(2 * self._interval, 0.1))
        except ReplyTimeout:
            self._lost += not (burdened or self._burden.heavy(loop.time()))
        except RpcError:
            self._refused += 1
        except NetconfClientError as error:
            log.debug("probe-failed", where=self._session.where, reason=str(error))
        else:
            self._refused = 0
            self._heard()
            now = loop.time()
            self._rtt = None if burdened or self._burden.heavy(now) else now - began
