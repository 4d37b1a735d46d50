"""S504, instruct to download: a secondary fetches from the cloud's own server, page by page."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import structlog

from netconf_client import ClientSession, NetconfClientError, connect
from router.config import CloudEndpoint
from router.group import Group
from rui.backoff import Backoff, BackoffPolicy
from rui.backup.inspection import Inspector
from rui.backup.messages import Result
from rui.backup.requests import Fetch, decode_fetched, encode_fetch
from rui.backup.wire import WireError
from rui.netconf.errors import RpcError

log = structlog.get_logger(__name__)

_TRIES = 5
_CONNECT_WITHIN = 10.0
_REPLY_WITHIN = 30.0
_IDLE = 60.0
_RETRY = BackoffPolicy(initial=0.2, maximum=5.0)


class Downloader:
    """Fetches for all groups over one session, which is kept for a minute after its last use.

    A group is fetched by one task at a time; an instruction that comes meanwhile makes it look once more.
    After some failures in a row it gives up until the cloud instructs again.
    """

    def __init__(self, endpoints: Sequence[CloudEndpoint], device: str, inspector: Inspector) -> None:
        self._endpoints = endpoints
        self._device = device
        self._inspector = inspector
        self._session: ClientSession | None = None
        self._dialling = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._answers: dict[str, bool | None] = {}
        self._idle: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def possible(self) -> bool:
        """Whether there is a cloud endpoint to fetch from."""
        return bool(self._endpoints)

    def instruct(self, group: Group) -> None:
        """Begin to fetch what the cloud holds of a group."""
        name = group.config.id
        self._again.add(name)
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._download(group), name=f"download-{name}")

    async def close(self) -> None:
        """Stop fetching and end the session."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._hang_up()
        await asyncio.gather(*self._closing)

    async def _download(self, group: Group) -> None:
        try:
            await self._fetch_while_instructed(group)
        finally:
            # At once: an instruction that comes a moment later must find no task that fetches no more.
            del self._tasks[group.config.id]
        if not self._tasks and self._session is not None:
            self._idle = asyncio.get_running_loop().call_later(_IDLE, self._hang_up)

    async def _fetch_while_instructed(self, group: Group) -> None:
        backoff = Backoff(_RETRY, random.Random())  # noqa: S311 - spreads retries, guards no secret
        loop = asyncio.get_running_loop()
        name = group.config.id
        while name in self._again and backoff.failures < _TRIES:
            self._again.discard(name)
            try:
                await self._fetch_all(group)
            except (NetconfClientError, RpcError, ValueError, _NotStoredError) as error:
                self._again.add(name)
                wait = backoff.failed(loop.time())
                log.warning("download-failed", group=name, reason=str(error), retry_in=round(wait, 1))
                await asyncio.sleep(wait)
        self._again.discard(name)

    async def _fetch_all(self, group: Group) -> None:
        """Fetch until a page brings nothing new: asking from a cursor is what acknowledges all before it."""
        while True:
            before = group.member.wanted
            more = await self._fetch(group)
            if not more and group.member.wanted == before and self._answers.get(group.config.id) is None:
                return

    async def _fetch(self, group: Group) -> bool:
        session = await self._connected()
        limit = group.config.max_records
        answer = self._answers.pop(group.config.id, None)
        question = Fetch(group.config.id, self._device, group.member.wanted, limit, answer)
        reply = await session.rpc(encode_fetch(question), timeout=_REPLY_WITHIN)
        fetched = decode_fetched(reply.element, reply.raw)
        batch = fetched.batch
        if batch.group != group.config.id:
            raise WireError(f"asked for group {group.config.id}, the cloud answered of {batch.group}")
        receipt = await group.receive(batch, self._inspector.refused(batch))
        if receipt.result is not Result.STORED:
            raise _NotStoredError(f"a page was not stored: {receipt.result.value}, {receipt.reason}")
        if answer is None:
            # Said with the next fetch; the page that answers it may carry the same digest once more.
            self._answers[group.config.id] = receipt.agrees
        return fetched.more

    async def _connected(self) -> ClientSession:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        async with self._dialling:
            if self._session is not None and self._session.closed_reason is None:
                return self._session
            for endpoint in self._endpoints[:-1]:
                try:
                    self._session = await connect(endpoint.target, timeout=_CONNECT_WITHIN)
                except NetconfClientError as error:
                    log.warning("cloud-endpoint-unreachable", endpoint=endpoint.name, reason=str(error))
                else:
                    return self._session
            self._session = await connect(self._endpoints[-1].target, timeout=_CONNECT_WITHIN)
            return self._session

    def _hang_up(self) -> None:
        session, self._session, self._idle = self._session, None, None
        if session is not None:
            task = asyncio.ensure_future(session.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


class _NotStoredError(Exception):
    """A page that this replica could not take."""
