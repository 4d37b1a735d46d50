"""One RBS channel: the session that this end dials to one peer, and the one that the peer dials (S404).

NETCONF over SSH over the TCP connection of [0126-0128]. Whoever initiates local backup for some group
that both are members of dials, keeps the session up and probes it; groups with opposite initiators use both.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import structlog
from lxml import etree

from netconf_client import ClientSession, NetconfClientError, ReplyTimeout, connect
from router.config import RbsChannel
from rui.backoff import Backoff
from rui.backup import rbs
from rui.backup.burden import Burden
from rui.backup.links import Link
from rui.netconf.errors import RpcError
from rui.netconf.events import NotificationReceived
from rui.netconf.messages import Body

log = structlog.get_logger(__name__)

_CONNECT_WITHIN = 5.0
_REPLY_WITHIN = 30.0
_PROBES_UNDER_WAY = 16


class Channel:
    """Dials one peer for as long as it runs. All methods belong to the loop's thread.

    ``told`` takes the peer's notifications, ``changed`` is called when the session opens, ends or was probed.
    """

    def __init__(
        self,
        config: RbsChannel,
        rng: random.Random,
        told: Callable[[str, NotificationReceived], None],
        changed: Callable[[str], None],
    ) -> None:
        self.config = config
        self.links: list[Link] = []
        self.session: ClientSession | None = None
        self._rng = rng
        self._told = told
        self._changed = changed
        self._rtt: float | None = None
        self._lost = 0
        self._burden = Burden()
        self._sequence = 0
        self._probes: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to dial, unless that is under way."""
        if self._task is not None and not self._task.done():
            return
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"rbs-{self.config.peer}")

    async def close(self) -> None:
        """Hang up and dial no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def rpc(self, operation: Body, within: float = _REPLY_WITHIN) -> etree._Element:
        """Send an operation to the peer; return the rpc-reply.

        Raises RpcError, NetconfClientError, or ConnectionError while there is no session.
        """
        session = self.session
        if session is None:
            raise ConnectionError(f"there is no RBS channel to {self.config.peer}")
        loop = asyncio.get_running_loop()
        octets = 0 if isinstance(operation, etree._Element) else _octets(operation)
        self._burden.carries(octets, loop.time())
        reply = await session.rpc(operation, timeout=within)
        self._burden.carries(octets, loop.time())
        return reply.element

    def give_up(self, reason: str) -> None:
        """End the session; a new one is dialled."""
        session = self.session
        if session is not None:
            log.warning("rbs-given-up", peer=self.config.peer, reason=reason)
            closing = asyncio.ensure_future(session.close())
            self._probes.add(closing)
            closing.add_done_callback(self._probes.discard)

    async def _run(self) -> None:
        backoff = Backoff(self.config.reconnect, self._rng)
        loop = asyncio.get_running_loop()
        peer = self.config.peer
        while True:
            try:
                session = await connect(self.config.target, timeout=_CONNECT_WITHIN)
                backoff.opened(loop.time())
                reason = await self._serve(session)
            except (NetconfClientError, RpcError) as error:
                reason = str(error)
            wait = backoff.failed(loop.time())
            log.info("rbs-down", peer=peer, reason=reason, retry_in=round(wait, 2))
            await asyncio.sleep(wait)

    async def _serve(self, session: ClientSession) -> str:
        loop = asyncio.get_running_loop()
        peer = self.config.peer
        prober: asyncio.Task[None] | None = None
        try:
            session.on_notification(self._notified)
            await session.create_subscription(rbs.STREAM)
            self.session = session
            log.info("rbs-up", peer=peer, where=session.where)
            prober = loop.create_task(self._probe_forever(session))
            self._changed(peer)
            return await session.wait_closed()
        finally:
            self.session = None
            for task in (prober, *self._probes):
                if task is not None:
                    task.cancel()
            for link in self.links:
                link.cut(loop.time())
            self._changed(peer)
            await session.close()

    def _notified(self, notification: NotificationReceived) -> None:
        self._burden.carries(len(notification.raw), asyncio.get_running_loop().time())
        self._told(self.config.peer, notification)

    async def _probe_forever(self, session: ClientSession) -> None:
        while True:
            if len(self._probes) < _PROBES_UNDER_WAY:
                task = asyncio.get_running_loop().create_task(self._probe(session))
                self._probes.add(task)
                task.add_done_callback(self._probes.discard)
            await asyncio.sleep(self.config.interval)

    async def _probe(self, session: ClientSession) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._sequence += 1
        burdened = self._burden.heavy(began)
        # Behind bulk a probe measures the backlog: it is a sign of life and no more.
        numbers = [] if burdened else [(link, link.probe(began)) for link in self.links]
        probe = rbs.Probe(self._sequence, self._rtt, self._lost)
        self._lost = 0
        try:
            await session.rpc(rbs.encode_probe(probe), timeout=2 * self.config.interval)
        except ReplyTimeout:
            self._lost += not burdened
        except (RpcError, NetconfClientError) as error:
            log.debug("rbs-probe-failed", peer=self.config.peer, reason=str(error))
        else:
            now = loop.time()
            self._rtt = None if burdened else now - began
            for link, number in numbers:
                link.answered(number, now)
            for link in self.links if burdened else ():
                link.heard(now)
        self._changed(self.config.peer)


def _octets(body: Body) -> int:
    return len(body) if isinstance(body, bytes) else sum(len(piece) for piece in body)
