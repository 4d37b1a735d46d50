"""Stand-ins for a group's surroundings: devices that answer at once, and a store whose disk can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from lxml import etree

from manager.group import Group
from manager.store import Store
from netconf_client import SessionClosed
from rui.backup import wire
from rui.backup.cloud import Cloud, CloudOptions
from rui.backup.cloud_outputs import Report
from rui.backup.identity import IdentityNotification, IdentityResult, Role
from rui.backup.messages import Batch, Position, Receipt
from rui.backup.source import SourceOptions
from rui.backup.version import NO_EPOCH, Epoch
from rui.netconf.errors import RpcError
from tests.unit.backup.histories import GROUP, A

OPTIONS = CloudOptions(source=SourceOptions(batch_records=10, retry_pause=0.02), retry_pause=0.02)


class FakeLinks:
    """Devices that take everything; ``answer`` makes the receipt of a delivery."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.results: list[IdentityResult] = []
        self.delivered: list[Batch] = []
        self.given_up: list[str] = []
        self.waiting = 0
        self.gone: set[str] = set()
        self.answer: Callable[[Batch], Receipt] | None = None
        self.refusal: RpcError | None = None
        self._changed = asyncio.Event()

    async def rpc(self, device: str, operation: etree._Element | Sequence[bytes]) -> etree._Element:
        if device in self.gone:
            raise SessionClosed(device, "gone")
        if self.refusal is not None:
            raise self.refusal
        element = (
            operation
            if isinstance(operation, etree._Element)
            else etree.fromstring(raw := b"".join(operation))
        )
        reply = etree.Element("reply")
        if element.tag == wire.ACKNOWLEDGE:
            self.receipts.append(wire.decode_receipt(element))
        elif element.tag == wire.IDENTITY_RESULT:
            self.results.append(wire.decode_identity_result(element))
        elif element.tag == wire.DELIVER:
            batch = wire.decode_batch(element, raw)
            self.delivered.append(batch)
            if self.answer is not None:
                reply.extend(wire.receipt_children(self.answer(batch)))
        self._changed.set()
        return reply

    def heard_at(self, device: str) -> float | None:
        return None

    def give_up(self, device: str, reason: str) -> None:
        self.given_up.append(f"{device}: {reason}")
        self._changed.set()

    def taken(self, device: str, records: int) -> None:
        self.waiting += records

    def released(self, device: str, records: int) -> None:
        self.waiting -= records

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something that devices were told holds."""
        async with asyncio.timeout(30):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


def group_of(store: Store, links: FakeLinks, reports: list[Report] | None = None) -> Group:
    """A group over a store, with nothing known of it."""
    told = reports if reports is not None else []
    cloud = Cloud(GROUP, store.store_id, options=OPTIONS)
    return Group(cloud, store, links, lambda _, report: told.append(report))


def first_identity(epoch: Epoch = A) -> IdentityNotification:
    return IdentityNotification(GROUP, epoch.device, "192.0.2.1", Role.PRIMARY, epoch, Position())


def second_identity(device: str = "bras-b", position: Position | None = None) -> IdentityNotification:
    return IdentityNotification(GROUP, device, "192.0.2.2", Role.SECONDARY, NO_EPOCH, position or Position())
