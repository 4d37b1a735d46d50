"""What any engine gives, and to whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from manager.store import NeedsSnapshot, Store
from rui.backup.messages import (
    LAST_BUCKET,
    Batch,
    Change,
    Stream,
    bucket_of,
)
from rui.backup.table import Slice
from rui.backup.version import ZERO, Epoch
from tests.unit.backup.histories import GROUP, gone, key, put, stream, version
from tests.unit.manager.store.contract import (
    B,
    Contract,
    Engine,
    all_since,
    snapshot_page,
)


class ReadingContract(Contract):
    """What any engine gives, and to whom."""

    # Reading behind a cursor

    async def test_changes_come_in_version_order_with_their_deletes(self, store: Store) -> None:
        changes = [put(3, 1), put(1, 2), gone(2, 3), put(4, 4)]
        await store.apply(stream(0, 4, *reversed(changes)))
        assert await store.since(GROUP, ZERO, 2) == Slice(tuple(changes[:2]), version(2), True)
        assert await store.since(GROUP, version(2), 2) == Slice(tuple(changes[2:]), version(4), False)
        assert await store.since(GROUP, version(4), 2) == Slice((), version(4), False)

    async def test_the_last_slice_reaches_the_cursor_where_it_is_above_every_record(
        self, store: Store
    ) -> None:
        await store.apply(stream(0, 8, put(1, 1)))
        assert await store.since(GROUP, ZERO, 5) == Slice((put(1, 1),), version(8), False)

    async def test_what_came_early_goes_with_the_slice_that_reaches_the_cursor(self, store: Store) -> None:
        await store.apply(stream(0, 2, put(1, 9), put(2, 2)))
        assert await store.since(GROUP, ZERO, 5) == Slice((put(2, 2), put(1, 9)), version(2), False)
        assert await store.since(GROUP, version(2), 5) == Slice((), version(2), False)
        await store.apply(stream(2, 9, put(1, 9)))
        assert await store.since(GROUP, version(2), 5) == Slice((put(1, 9),), version(9), False)

    async def test_more_that_came_early_than_a_slice_holds_follows_when_the_cursor_passes_it(
        self, store: Store
    ) -> None:
        early = [put(n, 10 + n) for n in range(5)]
        await store.apply(stream(0, 2, put(8, 1), put(9, 2), *early))
        assert await store.since(GROUP, ZERO, 4) == Slice(
            (put(8, 1), put(9, 2), *early[:2]), version(2), False
        )
        assert await store.since(GROUP, ZERO, 2) == Slice((put(8, 1), put(9, 2)), version(2), False)
        await store.apply(stream(2, 14, *early))
        assert await all_since(store, version(2), 4) == early

    async def test_epochs_are_ordered_by_number_then_device(self, store: Store) -> None:
        epochs = [Epoch(2, "z"), Epoch(10, "a"), Epoch(10, "ab"), Epoch(10, "b"), Epoch(300, "a")]
        changes = [put(n, 1, epoch) for n, epoch in enumerate(epochs)]
        last = changes[-1].version
        await store.apply(Batch(GROUP, last.epoch, Stream(ZERO, last), tuple(reversed(changes))))
        assert await all_since(store, ZERO, 2) == changes

    async def test_a_cursor_behind_the_forgotten_deletes_needs_a_snapshot(self, store: Store) -> None:
        await store.apply(stream(0, 5, put(1, 1), gone(2, 4), put(3, 5)))
        assert await store.collect_tombstones(GROUP, version(5)) == 1
        assert (await store.head(GROUP)).floor == version(4)
        assert await store.since(GROUP, version(3), 9) == NeedsSnapshot(version(4))
        assert await store.since(GROUP, version(4), 9) == Slice((put(3, 5),), version(5), False)

    async def test_so_does_an_empty_one_for_it_will_pass_on_what_it_holds(self, store: Store) -> None:
        await store.apply(stream(0, 5, put(1, 1), gone(2, 4), put(3, 5)))
        assert await store.since(GROUP, ZERO, 1) == Slice((put(1, 1),), version(1), True)
        await store.collect_tombstones(GROUP, version(5))
        assert await store.since(GROUP, ZERO, 1) == NeedsSnapshot(version(4))

    async def test_memory_gives_what_the_disk_would(self, engine: Engine, tmp_path: Path) -> None:
        async with engine.open(tmp_path, recent_bytes=1 << 20) as store:
            for seq in range(1, 10):
                await store.apply(stream(seq - 1, seq, put(seq % 3, seq)))
            assert store.recent(GROUP, version(7), 9) == Slice((put(2, 8), put(0, 9)), version(9), False)
            assert store.recent(GROUP, version(3), 2) == Slice((put(1, 4), put(2, 5)), version(5), True)
            assert await store.since(GROUP, version(8), 9) == Slice((put(0, 9),), version(9), False)

    async def test_memory_gives_nothing_on_while_a_snapshot_is_unfinished(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        async with engine.open(tmp_path, recent_bytes=1 << 20) as store:
            await store.apply(stream(0, 3, put(1, 1)))
            await store.apply(snapshot_page(6, 0, 100))
            await store.apply(stream(6, 8, put(2, 7)))
            assert store.recent(GROUP, version(6), 9) is None
            assert await store.since(GROUP, version(6), 9) == Slice((), version(6), False)
            await store.apply(snapshot_page(6, 101, LAST_BUCKET))
            assert await store.since(GROUP, version(6), 9) == Slice((put(2, 7),), version(8), False)

    async def test_what_was_adopted_keeps_its_origin_until_it_changes(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        old, older = version(3, B), version(2, B)
        first = replace(stream(0, 4, put(1, 1), gone(2, 3), put(3, 4)), origins={key(1): old, key(2): older})
        async with engine.open(tmp_path, recent_bytes=1 << 20) as store:
            await store.apply(first)
            assert store.recent(GROUP, ZERO, 9) == Slice(first.changes, version(4), False, first.origins)
        async with engine.open(tmp_path, recent_bytes=1 << 20) as store:
            assert await store.since(GROUP, ZERO, 9) == Slice(first.changes, version(4), False, first.origins)
            assert await store.since(GROUP, ZERO, 1) == Slice(
                first.changes[:1], version(1), True, {key(1): old}
            )
            page = await store.page(GROUP, 0, 9)
            assert page is not None
            assert page.origins == {key(1): old}
            await store.apply(stream(4, 6, put(1, 6)))
            assert await store.since(GROUP, version(1), 9) == Slice(
                (gone(2, 3), put(3, 4), put(1, 6)), version(6), False, {key(2): older}
            )

    async def test_of_a_key_in_several_batches_memory_gives_the_newest_origin(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        async with engine.open(tmp_path, recent_bytes=1 << 20) as store:
            await store.apply(replace(stream(0, 1, put(1, 1)), origins={key(1): version(9, B)}))
            await store.apply(stream(1, 2, put(2, 2)))
            await store.apply(replace(stream(2, 4, put(2, 3)), origins={key(2): version(8, B)}))
            await store.apply(stream(4, 5, put(1, 5)))
            expected = Slice((put(1, 5), put(2, 3)), version(5), False, {key(2): version(8, B)})
            assert store.recent(GROUP, ZERO, 9) == expected

    # Giving one

    async def test_pages_are_whole_buckets_without_deletes(self, store: Store) -> None:
        changes = [put(n, n + 1) for n in range(60)]
        await store.apply(stream(0, 61, *changes, gone(99, 61)))
        first = 0
        seen: list[Change] = []
        while first <= LAST_BUCKET:
            page = await store.page(GROUP, first, 7)
            assert page is not None
            assert page.first == first
            assert all(page.first <= bucket_of(change.key) <= page.last for change in page.changes)
            assert len(page.changes) <= 7
            seen += page.changes
            first = page.last + 1
        assert sorted(seen) == sorted(changes)

    async def test_a_page_holds_at_least_one_bucket(self, store: Store) -> None:
        full = [n for n in range(40_000) if bucket_of(key(n)) == 77][:5]
        assert len(full) == 5
        await store.apply(stream(0, 5, *(put(n, at) for at, n in enumerate(full, 1))))
        page = await store.page(GROUP, 77, 2)
        assert page is not None
        assert (page.first, page.last, len(page.changes)) == (77, 77, 5)

    # Streaming read

    async def test_users_are_read_in_slices_each_once_while_others_change(self, store: Store) -> None:
        steady = [put(n, n + 1) for n in range(100)]
        await store.apply(stream(0, 100, *steady))
        reader = store.users(GROUP, slice_records=9)
        seen = [next(reader)]
        await store.apply(stream(100, 200, *(put(n, n + 1) for n in range(100, 200))))
        seen += reader
        names = [change.key for change in seen]
        assert len(names) == len(set(names))
        assert set(names) >= {change.key for change in steady}

    async def test_users_by_key(self, store: Store) -> None:
        await store.apply(stream(0, 301, *(put(n, n + 1) for n in range(300)), gone(5, 301)))
        wanted = [key(n) for n in (1, 5, 299, 500)]
        assert sorted(store.users(GROUP, wanted)) == [put(1, 2), put(299, 300)]
        assert len(list(store.users(GROUP, [key(n) for n in range(300)]))) == 299
        assert list(store.users(GROUP, [])) == []
        mac = key(7).partition(b"/")[0] + b"/"
        expected = [change for change in store.users(GROUP) if change.key.startswith(mac)]
        assert sorted(store.users(GROUP, prefix=mac)) == sorted(expected)
        assert key(7) in [change.key for change in expected]
