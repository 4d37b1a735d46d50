"""The shell of a group over the real store: order, durability, and a store that fails for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from manager.group import Group
from manager.store import SqliteStore, StoreIOError, open_sqlite
from rui.backup.cloud import Cloud
from rui.backup.cloud_outputs import Report
from rui.backup.identity import StorageEntry
from rui.backup.messages import Batch, Position, Quarantined, Receipt, Result, Stream
from rui.backup.replica import Join
from rui.backup.version import ZERO
from rui.netconf.errors import RpcError
from tests.unit.backup.histories import GROUP, A, gone, put, stream, version
from tests.unit.manager.fakes import OPTIONS, FakeLinks, first_identity, group_of, second_identity


def stored_by(device_position: list[Position]) -> Receipt:
    return Receipt(GROUP, Result.STORED, device_position[-1])


def taking_all(links: FakeLinks) -> list[Position]:
    """Have the secondary store whatever it is given; return its positions."""
    positions = [Position()]

    def answer(batch: Batch) -> Receipt:
        assert isinstance(batch.part, Stream)
        assert batch.part.prev <= positions[-1].cursor
        positions.append(Position(max(batch.part.last, positions[-1].cursor)))
        return stored_by(positions)

    links.answer = answer
    return positions


async def test_many_uploads_are_acknowledged_in_order_and_delivered(tmp_path: Path) -> None:
    store, links = await open_sqlite(tmp_path / "store.sqlite"), FakeLinks()
    positions = taking_all(links)
    group = group_of(store, links)
    group.identify("bras-a", first_identity())
    group.identify("bras-b", second_identity())
    await links.until(lambda: len(links.results) == 2)
    for seq in range(1, 101):
        group.upload("bras-a", stream(seq - 1, seq, put(seq % 7, seq)), ())
    await links.until(lambda: len(links.receipts) == 100 and positions[-1].cursor == version(100))
    cursors = [receipt.position.cursor for receipt in links.receipts]
    assert cursors == sorted(cursors)
    assert all(receipt.position.cursor >= version(seq) for seq, receipt in enumerate(links.receipts, 1))
    assert links.waiting == 0
    assert len(links.delivered) < 100, "what waits is delivered together"
    await group.close()
    await store.close()


async def test_killed_between_commit_and_acknowledgement(tmp_path: Path) -> None:
    """What was committed is in the next life's cursor, so the primary goes on behind it."""
    store, links = await open_sqlite(tmp_path / "store.sqlite"), FakeLinks()
    group = group_of(store, links)
    group.identify("bras-a", first_identity())
    await links.until(lambda: bool(links.results))
    links.gone.add("bras-a")
    group.upload("bras-a", stream(0, 2, put(1, 1), put(2, 2)), ())
    await asyncio.sleep(0)
    await store.claim(GROUP, A)  # the store works in order, so the upload is committed now
    assert (await store.position(GROUP)).cursor == version(2)
    await group.close()
    assert links.receipts == []
    await store.close()

    store, links = await open_sqlite(tmp_path / "store.sqlite"), FakeLinks()
    head = await store.head(GROUP)
    cloud = Cloud(
        GROUP,
        store.store_id,
        position=head.position,
        floor=head.floor,
        entries=await store.entries(GROUP),
        options=OPTIONS,
    )
    group = Group(cloud, store, links, lambda *_: None)
    group.identify("bras-a", first_identity())
    await links.until(lambda: bool(links.results))
    assert links.results[0].position.cursor == version(2)
    group.upload("bras-a", stream(0, 2, put(1, 1), put(2, 2)), ())
    group.upload("bras-a", stream(2, 3, gone(1, 3)), ())
    await links.until(lambda: len(links.receipts) == 2)
    assert [receipt.result for receipt in links.receipts] == [Result.STORED, Result.STORED]
    assert (await store.digest(GROUP)).digest.count == 1
    await group.close()
    await store.close()


class FailingStore(SqliteStore):
    """A store whose disk is full while ``full`` says so."""

    full = False

    async def apply(
        self, batch: Batch, quarantined: Sequence[Quarantined] = (), joins: Join | None = None
    ) -> Receipt:
        if self.full:
            return Receipt(batch.group, Result.FAILED, await self.position(batch.group), "disk full")
        return await super().apply(batch, quarantined, joins)

    async def put_entry(self, entry: StorageEntry) -> None:
        if self.full:
            raise StoreIOError("disk full")
        await super().put_entry(entry)


async def test_a_full_disk_fails_uploads_and_passes(tmp_path: Path) -> None:
    store, links = await open_sqlite(tmp_path / "store.sqlite"), FakeLinks()
    store.__class__ = FailingStore
    assert isinstance(store, FailingStore)
    reports: list[Report] = []
    positions = taking_all(links)
    group = group_of(store, links, reports)
    store.full = True
    group.identify("bras-b", second_identity())
    await asyncio.sleep(0.05)
    assert links.results == []
    store.full = False
    await links.until(lambda: bool(links.results))
    group.identify("bras-a", first_identity())
    await links.until(lambda: len(links.results) == 2)
    store.full = True
    group.upload("bras-a", stream(0, 1, put(1, 1)), ())
    await links.until(lambda: bool(links.receipts))
    assert links.receipts[0].result is Result.FAILED
    assert links.receipts[0].position.cursor == ZERO
    store.full = False
    group.upload("bras-a", stream(0, 1, put(1, 1)), ())
    await links.until(lambda: positions[-1].cursor == version(1))
    assert links.receipts[1].result is Result.STORED
    assert {report.event for report in reports} == {
        "store-failed",
        "store-recovered",
        "identity-accepted",
    }
    await group.close()
    await store.close()


async def test_an_empty_secondary_is_filled_page_by_page(tmp_path: Path) -> None:
    store, links = await open_sqlite(tmp_path / "store.sqlite"), FakeLinks()
    await store.claim(GROUP, A)
    await store.apply(stream(0, 95, *(put(n, n) for n in range(1, 96))))
    await store.close()
    store = await open_sqlite(tmp_path / "store.sqlite")
    positions = taking_all(links)
    head = await store.head(GROUP)
    cloud = Cloud(GROUP, store.store_id, position=head.position, floor=head.floor, options=OPTIONS)
    group = Group(cloud, store, links, lambda *_: None)
    group.identify("bras-b", second_identity())
    await links.until(lambda: positions[-1].cursor == version(95))
    keys = {change.key for batch in links.delivered for change in batch.changes}
    assert len(keys) == 95
    assert len(links.delivered) >= 9, "no batch is larger than it may be"
    await group.close()
    assert (await store.deliveries(GROUP))["bras-b"] == version(95)
    await store.close()


async def test_a_device_that_does_not_take_its_receipt_is_given_up(tmp_path: Path) -> None:
    store, links = await open_sqlite(tmp_path / "store.sqlite"), FakeLinks()
    group = group_of(store, links)
    group.identify("bras-a", first_identity())
    await links.until(lambda: bool(links.results))
    links.refusal = RpcError.operation_failed("what receipt?")
    group.upload("bras-a", stream(0, 1, put(1, 1)), ())
    await links.until(lambda: bool(links.given_up))
    assert "acknowledge-user-info" in links.given_up[0]
    assert "what receipt?" in links.given_up[0]
    await group.close()
    await store.close()


async def test_a_delivery_that_is_answered_by_an_error_is_sent_again(tmp_path: Path) -> None:
    store, links = await open_sqlite(tmp_path / "store.sqlite"), FakeLinks()
    reports: list[Report] = []
    group = group_of(store, links, reports)
    group.identify("bras-b", second_identity())
    group.identify("bras-a", first_identity())
    await links.until(lambda: len(links.results) == 2)
    group.upload("bras-a", stream(0, 1, put(1, 1)), ())
    await links.until(lambda: len(links.delivered) > 1)
    positions = taking_all(links)
    await links.until(lambda: positions[-1].cursor == version(1))
    assert "delivery-failed" in {report.event for report in reports}
    await group.close()
    await store.close()
