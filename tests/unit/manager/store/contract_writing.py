"""What any engine does with what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from manager.store import NeedsSnapshot, Store, StoreClosedError
from rui.backup.identity import Role, StorageEntry
from rui.backup.messages import (
    LAST_BUCKET,
    Batch,
    Change,
    Position,
    Quarantined,
    Result,
    Stream,
    bucket_of,
)
from rui.backup.replica import supersedes
from rui.backup.table import Page, Slice, Table
from rui.backup.version import NO_EPOCH, ZERO, Epoch, Version
from tests.unit.backup.histories import GROUP, A, applied, contents, gone, key, put, stream, version
from tests.unit.manager.store.contract import (
    B,
    Contract,
    Engine,
    agrees,
    all_since,
    by_bucket,
    held,
    snapshot_page,
)


class WritingContract(Contract):
    """What any engine does with what it is given."""

    # What is stored

    async def test_an_unknown_group_is_empty(self, store: Store) -> None:
        assert await store.position(GROUP) == Position()
        assert await store.since(GROUP, ZERO, 10) == Slice((), ZERO, False)
        assert await store.page(GROUP, 0, 10) == Page((), 0, LAST_BUCKET)
        assert list(store.users(GROUP)) == []
        assert await store.deliveries(GROUP) == {}
        await agrees(store, Table())

    async def test_a_batch_is_stored_with_its_position(self, store: Store) -> None:
        receipt = await store.apply(stream(0, 3, put(1, 1), put(2, 2), gone(1, 3)))
        assert (receipt.result, receipt.position) == (Result.STORED, Position(version(3), None, A))
        assert await store.position(GROUP) == receipt.position
        assert await store.groups() == [GROUP]
        await agrees(store, applied([put(1, 1), put(2, 2), gone(1, 3)]))
        assert (await store.digest(GROUP)).digest.cursor == version(3)

    async def test_everything_is_there_when_opened_again(self, engine: Engine, tmp_path: Path) -> None:
        entry = StorageEntry(GROUP, "bras-a", "192.0.2.1", Role.PRIMARY, A, "primary", 1.5)
        async with engine.open(tmp_path) as store:
            name = store.store_id
            await store.put_entry(entry)
            await store.apply(stream(0, 2, put(1, 1), gone(2, 2)))
            store.delivered(GROUP, "bras-b", version(1))
        async with engine.open(tmp_path) as store:
            assert store.store_id == name
            assert await store.entries() == [entry]
            assert await store.position(GROUP) == Position(version(2), None, A)
            assert await store.deliveries(GROUP) == {"bras-b": version(1)}
            assert await all_since(store, ZERO, 10) == [put(1, 1), gone(2, 2)]

    async def test_store_ids_differ(self, engine: Engine, tmp_path: Path) -> None:
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        async with engine.open(tmp_path / "one") as one, engine.open(tmp_path / "two") as two:
            assert one.store_id != two.store_id

    async def test_groups_do_not_meet(self, store: Store) -> None:
        await store.apply(stream(0, 1, put(1, 1)))
        other = Batch("g2", B, Stream(ZERO, version(1, B)), (put(1, 1, B),))
        await store.apply(other)
        assert await held(store) == {key(1): (version(1), put(1, 1).record)}
        assert await held(store, "g2") == {key(1): (version(1, B), put(1, 1, B).record)}

    async def test_a_newer_version_that_came_early_stays(self, store: Store) -> None:
        await store.apply(stream(0, 1, put(1, 5)))
        await store.apply(stream(1, 3, put(1, 3), put(2, 2)))
        assert await held(store) == contents(applied([put(1, 5), put(2, 2)]))

    @pytest.mark.parametrize("seq", [4, 5, 6])
    async def test_what_is_held_is_replaced_where_the_replica_core_says_so(
        self, store: Store, seq: int
    ) -> None:
        await store.apply(stream(0, 1, put(1, 5)))
        change = Change(key(1), version(seq), b"another record")
        await store.apply(stream(1, 9, change))
        newest = change if supersedes(change.version, version(5)) else put(1, 5)
        assert await held(store) == contents(applied([newest]))

    async def test_a_batch_that_is_held_is_acknowledged_again_and_changes_nothing(self, store: Store) -> None:
        await store.apply(stream(0, 2, put(1, 1), gone(1, 2)))
        receipt = await store.apply(stream(0, 1, put(1, 1)))
        assert (receipt.result, receipt.position.cursor) == (Result.STORED, version(2))
        assert await held(store) == {}

    async def test_a_gap_says_where_to_go_on(self, store: Store) -> None:
        await store.apply(stream(0, 2, put(1, 1)))
        receipt = await store.apply(stream(3, 4, put(1, 4)))
        assert (receipt.result, receipt.position.cursor) == (Result.GAP, version(2))
        assert await held(store) == {key(1): (version(1), put(1, 1).record)}

    async def test_any_octets_are_kept_as_they_are(self, store: Store) -> None:
        records = [b"\0", b"a\0b", bytes(range(256)), b"\xff\xfe", "ü €".encode(), b"'\";--" * 5000]
        changes = [Change(key(n), version(n + 1), record) for n, record in enumerate(records)]
        await store.apply(stream(0, len(changes), *changes))
        assert await all_since(store, ZERO, 2) == changes
        assert sorted(store.users(GROUP)) == sorted(changes)
        await agrees(store, applied(changes))

    async def test_numbers_as_large_as_the_model_allows(self, store: Store) -> None:
        large = Version(Epoch(10**19 - 1, "bras-z"), 10**19 - 1)
        change = Change(key(1), large, b"x")
        receipt = await store.apply(Batch(GROUP, large.epoch, Stream(ZERO, large), (change,)))
        assert receipt.position.cursor == large
        assert await all_since(store, version(1), 5) == [change]

    async def test_a_number_beyond_that_is_refused_and_named(self, store: Store) -> None:
        huge = Version(A, 2**64)
        receipt = await store.apply(Batch(GROUP, A, Stream(ZERO, huge), (Change(key(1), huge, b"x"),)))
        assert receipt.result is Result.FAILED
        assert receipt.reason
        assert (await store.apply(stream(0, 1, put(1, 1)))).result is Result.STORED

    # Who may write

    async def test_a_claim_makes_the_writer(self, store: Store) -> None:
        assert (await store.claim(GROUP, A)).result is Result.STORED
        assert (await store.claim(GROUP, A)).result is Result.STORED
        receipt = await store.claim(GROUP, B)
        assert (receipt.result, receipt.position) == (Result.STORED, Position(ZERO, None, B))

    async def test_an_older_claim_is_refused_and_so_is_what_its_writer_sends(self, store: Store) -> None:
        await store.claim(GROUP, B)
        receipt = await store.claim(GROUP, A)
        assert (receipt.result, receipt.position.writer) == (Result.REFUSED, B)
        assert "2@bras-b" in receipt.reason
        assert (await store.apply(stream(0, 1, put(1, 1)))).result is Result.REFUSED
        assert await held(store) == {}
        assert (await store.position(GROUP)).writer == B

    async def test_a_claim_leaves_an_unfinished_snapshot_alone(self, store: Store) -> None:
        await store.apply(snapshot_page(9, 0, 100))
        before = await store.position(GROUP)
        receipt = await store.claim(GROUP, B)
        assert receipt.position.snapshot == before.snapshot
        assert receipt.position.writer == B

    # Taking a snapshot

    async def test_a_snapshot_replaces_what_was_there(self, store: Store) -> None:
        await store.apply(stream(0, 3, put(1, 1), put(2, 2), put(3, 3)))
        fresh = by_bucket(put(2, 5), put(4, 6))
        middle = bucket_of(fresh[0].key)
        first = await store.apply(snapshot_page(6, 0, middle, fresh[0]))
        assert first.position.snapshot is not None
        assert first.position.cursor == version(3)
        last = await store.apply(snapshot_page(6, middle + 1, LAST_BUCKET, fresh[1]))
        assert last.position == Position(version(6), None, A)
        await agrees(store, applied(fresh))

    async def test_what_is_newer_than_a_snapshot_survives_it(self, store: Store) -> None:
        await store.apply(stream(0, 2, put(1, 1), put(2, 2)))
        await store.apply(snapshot_page(5, 0, 0))
        await store.apply(stream(5, 7, put(3, 6), gone(4, 7)))
        receipt = await store.apply(snapshot_page(5, 1, LAST_BUCKET, put(4, 4)))
        assert receipt.position.cursor == version(7)
        assert await held(store) == contents(applied([put(3, 6)])), "the delete of 4 came after the snapshot"

    async def test_an_unfinished_snapshot_is_not_handed_on(self, store: Store) -> None:
        await store.apply(stream(0, 3, put(1, 1), put(2, 3)))
        await store.apply(snapshot_page(6, 0, 1000, *(c for c in [put(1, 5)] if bucket_of(c.key) <= 1000)))
        assert await store.since(GROUP, version(1), 10) == Slice((), version(1), False)
        assert await store.page(GROUP, 0, 10) is None

    async def test_after_a_snapshot_whoever_is_behind_it_needs_one(self, store: Store) -> None:
        await store.apply(stream(0, 3, put(1, 1), put(2, 3)))
        await store.apply(snapshot_page(6, 0, LAST_BUCKET, put(2, 3)))
        assert (await store.head(GROUP)).floor == version(6)
        assert await store.since(GROUP, version(3), 10) == NeedsSnapshot(version(6))
        assert await store.since(GROUP, version(6), 10) == Slice((), version(6), False)

    async def test_a_snapshot_goes_on_after_a_restart(self, engine: Engine, tmp_path: Path) -> None:
        async with engine.open(tmp_path) as store:
            await store.apply(stream(0, 1, put(1, 1)))
            await store.apply(snapshot_page(6, 0, 100))
            position = await store.position(GROUP)
        async with engine.open(tmp_path) as store:
            assert await store.position(GROUP) == position
            assert (await store.apply(snapshot_page(6, 200, 300))).result is Result.GAP
            await store.apply(snapshot_page(6, 101, LAST_BUCKET, put(7, 6)))
            assert await held(store) == contents(applied([put(7, 6)]))

    # Quarantine

    async def test_a_quarantined_record_is_kept_and_counted(self, engine: Engine, tmp_path: Path) -> None:
        bad = Quarantined(key(2), version(2), "ip-address: not an address")
        async with engine.open(tmp_path) as store:
            receipt = await store.apply(stream(0, 2, put(1, 1), put(2, 2)), [bad])
            assert receipt.quarantined == (bad,)
        async with engine.open(tmp_path) as store:
            digest = (await store.digest(GROUP)).digest
            assert (digest.count, digest.quarantined) == (2, 1)
            assert await store.quarantined(GROUP, 10) == [bad]
            await agrees(store, applied([put(1, 1), put(2, 2)]))
            await store.apply(stream(2, 3, put(2, 3)))
            assert await store.quarantined(GROUP, 10) == []
            assert (await store.digest(GROUP)).digest.quarantined == 0

    async def test_a_newer_record_is_not_marked_for_an_older_ones_fault(self, store: Store) -> None:
        await store.apply(stream(0, 1, put(1, 9)))
        await store.apply(stream(1, 5, put(1, 4)), [Quarantined(key(1), version(4), "bad")])
        assert await store.quarantined(GROUP, 10) == []

    # Watchers

    async def test_a_watcher_is_told_what_was_held_until_then(self, store: Store) -> None:
        told: list[tuple[str, bytes, bytes | None]] = []
        await store.apply(stream(0, 1, put(1, 1)))
        end = store.watch(lambda *what: told.append(what))
        # Two batches that one transaction may write together
        await asyncio.gather(
            store.apply(stream(1, 3, put(1, 2), put(2, 3))), store.apply(stream(3, 4, gone(2, 4)))
        )
        one, two, three = put(1, 1).record, put(2, 3).record, put(1, 2).record
        assert told == [(GROUP, key(1), one), (GROUP, key(2), None), (GROUP, key(2), two)]
        told.clear()
        await store.apply(snapshot_page(9, 0, LAST_BUCKET, put(3, 8)))
        assert sorted(told) == sorted([(GROUP, key(3), None), (GROUP, key(1), three)])
        end()
        await store.apply(stream(9, 10, put(4, 10)))
        assert len(told) == 2

    # Entries, deliveries, deletes

    async def test_a_newer_entry_replaces_the_older(self, store: Store) -> None:
        older = StorageEntry(GROUP, "bras-a", "192.0.2.1", Role.PRIMARY, A, "primary", 1.0)
        newer = StorageEntry(GROUP, "bras-a", "192.0.2.1", Role.SECONDARY, NO_EPOCH, "secondary", 2.0)
        other = StorageEntry("g2", "bras-a", "192.0.2.1", Role.PRIMARY, B, "primary", 3.0)
        for entry in (older, newer, other):
            await store.put_entry(entry)
        assert await store.entries(GROUP) == [newer]
        assert sorted(await store.entries(), key=lambda entry: entry.group) == [newer, other]

    async def test_a_delivery_may_go_back(self, store: Store) -> None:
        store.delivered(GROUP, "bras-b", version(5))
        store.delivered(GROUP, "bras-b", version(2))
        store.delivered(GROUP, "bras-c", version(3))
        assert await store.deliveries(GROUP) == {"bras-b": version(2), "bras-c": version(3)}

    async def test_deletes_above_the_cursor_are_not_forgotten(self, store: Store) -> None:
        await store.apply(stream(0, 2, gone(1, 1), gone(2, 5)))
        assert await store.collect_tombstones(GROUP, version(9)) == 1
        assert (await store.head(GROUP)).floor == version(1)
        await store.apply(stream(2, 5, put(2, 4)))
        assert await held(store) == {}

    async def test_nothing_to_forget(self, store: Store) -> None:
        assert await store.collect_tombstones(GROUP, version(9)) == 0
        assert (await store.head(GROUP)).floor == ZERO
        assert await store.groups() == []

    async def test_deletes_are_bounded(self, engine: Engine, tmp_path: Path) -> None:
        async with engine.open(tmp_path, tombstones=100) as store:
            for seq in range(1, 301):
                await store.apply(stream(seq - 1, seq, gone(seq, seq)))
            floor = (await store.head(GROUP)).floor
            kept = await all_since(store, floor, 1000)
            assert 90 <= len(kept) <= 100
            assert kept[-1] == gone(300, 300)
            assert floor == version(300 - len(kept))

    # Many at once

    async def test_many_appliers_at_once(self, engine: Engine, tmp_path: Path) -> None:
        async with engine.open(tmp_path) as store:

            async def fill(group: str) -> None:
                for seq in range(1, 21):
                    prev = version(seq - 1) if seq > 1 else ZERO
                    receipt = await store.apply(Batch(group, A, Stream(prev, version(seq)), (put(seq, seq),)))
                    assert receipt.position.cursor == version(seq)

            await asyncio.gather(*(fill(f"g{n}") for n in range(16)))
        async with engine.open(tmp_path) as store:
            assert len(await store.groups()) == 16
            for group in await store.groups():
                await agrees(store, applied([put(n, n) for n in range(1, 21)]), group)

    async def test_batches_handed_in_at_once_are_stored_in_order(self, store: Store) -> None:
        batches = [stream(seq - 1, seq, put(seq % 5, seq)) for seq in range(1, 200)]
        receipts = await asyncio.gather(*(store.apply(batch) for batch in batches))
        assert [receipt.result for receipt in receipts] == [Result.STORED] * 199
        await agrees(store, applied([put(seq % 5, seq) for seq in range(1, 200)]))

    async def test_a_caller_that_is_cancelled_hurts_nobody(self, store: Store) -> None:
        tasks: Sequence[asyncio.Task[object]] = [
            asyncio.create_task(store.apply(stream(seq - 1, seq, put(seq, seq)))) for seq in range(1, 50)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        cursor = (await store.position(GROUP)).cursor
        receipt = await store.apply(Batch(GROUP, A, Stream(cursor, version(60)), (put(60, 60),)))
        assert receipt.result is Result.STORED

    async def test_a_closed_store_says_so(self, engine: Engine, tmp_path: Path) -> None:
        async with engine.open(tmp_path) as store:
            await store.apply(stream(0, 1, put(1, 1)))
            await store.close()
            receipt = await store.apply(stream(1, 2, put(2, 2)))
            assert receipt.result is Result.FAILED
            assert "closed" in receipt.reason
            with pytest.raises(StoreClosedError):
                await store.digest(GROUP)
            with pytest.raises(StoreClosedError):
                list(store.users(GROUP))
