"""The shell of one backup group: carries out what the core decides, with the store and the sessions.

It only moves values: outputs of :class:`rui.backup.cloud.Cloud` become calls of the store and RPCs to
devices, their results go back in, and one timer is armed for the core's next deadline.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol

import structlog
from lxml import etree

from manager.audit import GroupAudit
from manager.store import NeedsSnapshot, Store, StoreError
from netconf_client import NetconfClientError, SessionClosed
from rui.backup import requests, switchover, wire
from rui.backup.cloud import Cloud
from rui.backup.cloud_outputs import (
    Acknowledge,
    Apply,
    Claim,
    Deliver,
    Delivered,
    GiveUp,
    Identify,
    Instruct,
    Keep,
    Output,
    Read,
    Relay,
    Report,
)
from rui.backup.delivery import Forgotten
from rui.backup.identity import IdentityNotification
from rui.backup.lease import GrantRequest, Leases
from rui.backup.messages import Batch, Position, Quarantined, Receipt, Result
from rui.backup.source import WantPage
from rui.backup.table import Page, Slice
from rui.backup.trace import Milestone, Trace
from rui.backup.version import Version
from rui.netconf.errors import RpcError

log = structlog.get_logger()

_PROGRESS_DELAY = 0.25


class Links(Protocol):
    """What a group needs of the sessions with the devices."""

    async def rpc(self, device: str, operation: etree._Element | Sequence[bytes]) -> etree._Element:
        """Send an operation, in the order of the calls; return the rpc-reply.

        Raises RpcError or NetconfClientError.
        """

    def heard_at(self, device: str) -> float | None:
        """Return when the device was last heard of, None for never."""

    def give_up(self, device: str, reason: str) -> None:
        """End the device's session; it is set up anew."""

    def taken(self, device: str, records: int) -> None:
        """A batch of so many records of the device waits for its receipt from now on."""

    def released(self, device: str, records: int) -> None:
        """A batch of the device has got its receipt: more may be read from it."""


Reporter = Callable[[str, Report], None]
"""Logs a group's report and tells those who subscribed to events."""


class Group:
    """One group's core with its hands. All methods belong to the event loop."""

    def __init__(
        self,
        cloud: Cloud,
        store: Store,
        links: Links,
        report: Reporter,
        *,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        trace: Trace | None = None,
    ) -> None:
        self.cloud = cloud
        self._trace = trace
        self._store = store
        self._links = links
        self._report = report
        self._now = now
        self._wall = wall
        self._leases = Leases(cloud.options.lease, now())
        self._tasks: set[asyncio.Task[None]] = set()
        self._audit = GroupAudit(cloud, store, links, report, self._spawn)
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._closed = False
        self._progress: dict[str, Version] = {}
        self._waiting: dict[str, deque[int]] = {}

    @property
    def name(self) -> str:
        """The group-id."""
        return self.cloud.group

    def identify(self, device: str, notification: IdentityNotification) -> None:
        """Take an identity notification from a device's session (S402)."""
        self.cloud.identify(device, notification, self._wall())
        self._drain()

    def upload(self, device: str, batch: Batch, quarantined: tuple[Quarantined, ...]) -> None:
        """Take a batch from a device's session (S502)."""
        self._waiting.setdefault(device, deque()).append(len(batch.changes))
        self._links.taken(device, len(batch.changes))
        self.cloud.upload(device, batch, quarantined)
        self._drain()

    def grant_requested(self, device: str, request: GrantRequest) -> None:
        """A secondary asks to take the primary's place [0245]; it is answered by ``grant-result``."""
        holder = self.cloud.holder(device)
        held = None if holder is None else (*holder, self._links.heard_at(holder[0]))
        result = self._leases.ask(request, held, self.cloud.cursors, self._now())
        if result.granted:
            self._report(self.name, Report("grant-given", device, result.reason))
        self._spawn(self._tell(device, switchover.encode_grant_result(result), "grant-result"))

    def lease_released(self, device: str, release: switchover.LeaseRelease) -> None:
        """The primary gives up its lease, since its own link is poor; or takes it back."""
        if release.taken_back:
            self._leases.take_back(device, release.epoch)
        else:
            self._leases.release(device, release.epoch, self._now())

    async def switch(self, device: str, *, force: bool) -> None:
        """Have a device become primary, as an operator wishes. Raises RpcError or NetconfClientError."""
        await self._links.rpc(
            device, switchover.encode_switch(switchover.SwitchIdentity(self.name, force=force))
        )

    def device_down(self, device: str, reason: str) -> None:
        """The session with the device is gone: what waits is not answered any more."""
        self._waiting.pop(device, None)
        self.cloud.device_down(device, reason)
        self._drain()

    def fetched(self, device: str, position: Position, sent: int, agrees: bool | None = None) -> None:
        """The device has fetched from ``position`` on and was given ``sent`` records.

        ``agrees`` is its answer to the digest of the page before.
        """
        if agrees is not None:
            self._audit.delivered(device, position.cursor, agrees)
        self.cloud.fetched(device, position, sent, self._now())
        self._drain()

    async def refresh(self) -> None:
        """Take where the store stands, after something other than an upload has changed it."""
        head = await self._store.head(self.name)
        self.cloud.moved(head.position, head.floor)
        self._drain()

    def resync(self, device: str) -> bool:
        """Send a secondary everything again; False where it is not delivered to."""
        done = self.cloud.resync(device, "an operator has asked for everything again")
        self._drain()
        return done

    async def close(self) -> None:
        """Stop: what the store has taken is finished by the store."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._flush_progress()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _drain(self) -> None:
        if self._closed:
            return
        while outputs := self.cloud.outputs(self._now()):
            for output in outputs:
                self._perform(output)
        self._rearm()

    def _perform(self, output: Output) -> None:  # noqa: PLR0912 - one branch for each kind of output
        match output:
            case Apply():
                self._spawn(self._apply(output))
            case Acknowledge():
                self._spawn(self._acknowledge(output))
                # Receipts come in the order of the uploads.
                self._links.released(output.device, self._waiting[output.device].popleft())
            case Deliver():
                self._spawn(self._deliver(output))
            case Read():
                self._read(output)
            case Relay():
                self._spawn(self._relay(output))
            case Delivered():
                self._note_progress(output.device, output.cursor)
                if self._trace is not None:
                    self._trace(self.name, Milestone.DELIVERED, output.cursor)
            case Report():
                self._report(self.name, output)
            case Claim():
                self._spawn(self._claim(output))
            case Keep():
                self._spawn(self._keep(output))
            case Identify():
                self._spawn(self._identify(output))
            case Instruct():
                self._spawn(self._instruct(output))
            case GiveUp():
                self._links.give_up(output.device, output.reason)

    # The store

    async def _apply(self, output: Apply) -> None:
        receipt = await self._store.apply(output.batch, output.quarantined, output.joins)
        await self._audit.uploaded(output.batch, receipt)
        if self._trace is not None:
            self._trace(self.name, Milestone.DURABLE, receipt.position.live)
        head = await self._store.head(self.name)
        self.cloud.moved(head.position, head.floor)
        self.cloud.applied(output.device, output.ticket, receipt)
        self._drain()

    async def _claim(self, output: Claim) -> None:
        receipt = await self._store.claim(self.name, output.epoch)
        head = await self._store.head(self.name)
        self.cloud.moved(head.position, head.floor)
        self.cloud.claimed(receipt, self._now())
        if receipt.result is Result.STORED:
            self._leases.claimed()
        self._drain()

    async def _keep(self, output: Keep) -> None:
        try:
            await self._store.put_entry(output.entry)
        except StoreError as error:
            self.cloud.keep_failed(str(error), self._now())
        else:
            self.cloud.kept(output.entry)
        self._drain()

    def _read(self, output: Read) -> None:
        want = output.want
        if not isinstance(want, WantPage):
            recent = self._store.recent(self.name, want.after, want.limit)
            if recent is not None:
                # Nothing to wait for: a secondary in sync costs no disk read and no task.
                self.cloud.read(output.device, output.ticket, recent, self._now())
                return
        self._spawn(self._read_store(output))

    async def _read_store(self, output: Read) -> None:
        want = output.want
        found: Slice | Page | NeedsSnapshot | None
        try:
            if isinstance(want, WantPage):
                found = await self._store.page(self.name, want.first, want.limit)
            else:
                found = await self._store.since(self.name, want.after, want.limit, output.upto)
        except StoreError as error:
            self.cloud.read_failed(output.device, output.ticket, str(error), self._now())
        else:
            answer = Forgotten(found.floor) if isinstance(found, NeedsSnapshot) else found
            self.cloud.read(output.device, output.ticket, answer, self._now())
        self._drain()

    def _note_progress(self, device: str, cursor: Version) -> None:
        """Have a secondary's progress noted soon: each note wakes the store's writer, and none is urgent."""
        if not self._progress:
            asyncio.get_running_loop().call_later(_PROGRESS_DELAY, self._flush_progress)
        self._progress[device] = cursor

    def _flush_progress(self) -> None:
        for device, cursor in self._progress.items():
            self._store.delivered(self.name, device, cursor)
        self._progress.clear()

    # The devices

    async def _acknowledge(self, output: Acknowledge) -> None:
        await self._tell(output.device, wire.encode_receipt(output.receipt), "acknowledge-user-info")

    async def _identify(self, output: Identify) -> None:
        await self._tell(output.device, wire.encode_identity_result(output.result), "identity-result")

    async def _tell(self, device: str, operation: etree._Element, name: str) -> None:
        """Send what has no answer of interest; a device that cannot take it has its session ended."""
        try:
            await self._links.rpc(device, operation)
        except SessionClosed:
            return
        except (RpcError, NetconfClientError) as error:
            self._links.give_up(device, f"{name} of group {self.name} was not taken: {error}")

    async def _deliver(self, output: Deliver) -> None:
        try:
            reply = await self._links.rpc(output.device, wire.encode_batch(output.batch, wire.DELIVER))
            receipt = wire.decode_receipt(reply)
        except SessionClosed:
            return
        except (RpcError, NetconfClientError, wire.WireError) as error:
            self.cloud.undelivered(output.device, output.ticket, str(error), self._now())
        else:
            self.cloud.delivered(output.device, output.ticket, receipt, self._now())
            if receipt.agrees is not None:
                self._audit.delivered(output.device, receipt.position.cursor, receipt.agrees)
        self._drain()

    async def _relay(self, output: Relay) -> None:
        offer = output.batch.offer
        try:
            reply = await self._links.rpc(output.primary, wire.encode_batch(output.batch, wire.DELIVER))
            receipt = wire.decode_receipt(reply)
        except (RpcError, NetconfClientError, wire.WireError) as error:
            position = Position(offer.shared) if offer is not None else Position()
            receipt = Receipt(self.name, Result.FAILED, position, f"{output.primary}: {error}")
        self.cloud.relayed(output.device, output.ticket, receipt)
        self._drain()

    async def _instruct(self, output: Instruct) -> None:
        operation = requests.encode_download(requests.Download(self.name, output.last))
        try:
            await self._links.rpc(output.device, operation)
        except SessionClosed:
            return
        except (RpcError, NetconfClientError) as error:
            self.cloud.uninstructed(output.device, str(error), self._now())
            self._drain()

    # Tasks and time

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("group-work-failed", group=self.name, exc_info=task.exception())

    def _rearm(self) -> None:
        due = self.cloud.next_deadline()
        if due == self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        wait = None if due is None else max(0.0, due - self._now())
        loop = asyncio.get_running_loop()
        self._timer = None if wait is None else loop.call_later(wait, self._on_timer)

    def _on_timer(self) -> None:
        self._due = None
        self.cloud.handle_timer(self._now())
        self._drain()
