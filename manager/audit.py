"""The cloud's audits: its own copy against the primary's digest, then its secondaries' against its own.

The cloud dials all routers, so it also narrows what differs to keys, and tells the primary (``rui-audit``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol

import structlog
from lxml import etree

from manager.store import Store, StoreError
from netconf_client import NetconfClientError
from rui.backup.audit import Agreement, Holder, Listing, narrow
from rui.backup.audit_wire import AuditResult, RemoteHolder, encode_result
from rui.backup.cloud import Cloud
from rui.backup.cloud_outputs import Report
from rui.backup.identity import Role
from rui.backup.member_outputs import CLOUD
from rui.backup.messages import Batch, Receipt, Result, Stream
from rui.backup.version import Version
from rui.backup.wire import WireError
from rui.netconf.errors import RpcError

log = structlog.get_logger()


class Asks(Protocol):
    """The sessions with the routers."""

    async def rpc(self, device: str, operation: etree._Element) -> etree._Element:
        """Send an operation; return the reply. Raises RpcError or NetconfClientError."""


class StoreHolder:
    """The cloud's own copy."""

    def __init__(self, store: Store, group: str) -> None:
        self._store = store
        self._group = group

    async def buckets(self) -> Sequence[int]:
        """Return the digests of all buckets."""
        return (await self._store.digest(self._group)).buckets

    async def listing(self, buckets: Sequence[int]) -> Listing:
        """Return what is held of some buckets."""
        return await self._store.held(self._group, buckets)


class GroupAudit:
    """One group's. ``spawn`` runs what need not be waited for; ``report`` takes what an alarm stands for."""

    def __init__(
        self,
        cloud: Cloud,
        store: Store,
        links: Asks,
        report: Callable[[str, Report], None],
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self._cloud = cloud
        self._store = store
        self._links = links
        self._report = report
        self._spawn = spawn

    async def uploaded(self, batch: Batch, receipt: Receipt) -> None:
        """Take a batch that may carry a digest; return when the primary may go on.

        The digest is made of what the store holds now, so the receipt waits until that is settled.
        """
        part = batch.part
        if not batch.digest or receipt.result is not Result.STORED or not isinstance(part, Stream):
            return
        if receipt.position.cursor != part.last or receipt.position.snapshot is not None:
            return
        self._cloud.mark(part.last, batch.digest)
        settled = asyncio.Event()
        self._spawn(self._compare(part.last, batch.digest, settled))
        await settled.wait()

    def delivered(self, device: str, version: Version, agrees: bool) -> None:
        """Take a secondary's answer to the digest that it was handed."""
        self._spawn(self._judge(device, version, agrees))

    async def _compare(self, version: Version, digest: str, settled: asyncio.Event) -> None:
        try:
            found = (await self._store.digest(self._cloud.group, settled.set)).digest
        except StoreError as error:
            log.warning("audit-failed", group=self._cloud.group, reason=str(error))
            return
        finally:
            settled.set()
        if found.cursor == version:
            await self._judge(CLOUD, version, found.digest == digest)

    async def _judge(self, replica: str, version: Version, agrees: bool) -> None:
        group = self._cloud.group
        event = "digest-agrees" if agrees else "digest-differs"
        self._report(group, Report(event, replica, str(version)))
        primary = self._primary()
        if primary is None:
            return
        try:
            keys = [] if agrees else await self._differing(replica, primary)
            agreement = Agreement.AGREES if agrees else Agreement.DIFFERS
            result = AuditResult(group, replica, version, agreement, tuple(keys))
            await self._links.rpc(primary, encode_result(result))
        except (RpcError, NetconfClientError, StoreError, WireError) as error:
            log.warning("audit-failed", group=group, replica=replica, reason=str(error))
            return
        if not agrees:
            shown = [key.decode() for key in keys[:10]]
            log.warning("copy-differs", group=group, replica=replica, keys=len(keys), first=shown)

    async def _differing(self, replica: str, primary: str) -> list[bytes]:
        own = StoreHolder(self._store, self._cloud.group)
        reference: Holder = own
        copy: Holder = own
        if replica == CLOUD:
            reference = self._remote(primary)
        else:
            copy = self._remote(replica)
        return await narrow(reference, copy)

    def _remote(self, device: str) -> RemoteHolder:
        return RemoteHolder(self._cloud.group, lambda operation: self._links.rpc(device, operation))

    def _primary(self) -> str | None:
        """Return the device that holds the group's newest epoch."""
        writer = self._cloud.position.writer.device
        entry = self._cloud.entries.get(writer)
        return writer if entry is not None and entry.role is Role.PRIMARY else None
