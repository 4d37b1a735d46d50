"""However a history is cut into batches, repeated and shuffled, the store holds what the history says."""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from manager.store import Store
from rui.backup.messages import LAST_BUCKET, Batch, Change, Result, SnapshotPage, Stream, bucket_of
from rui.backup.table import Slice, Table
from rui.backup.version import ZERO, Version
from tests.unit.backup.histories import GROUP, applied, changes, contents
from tests.unit.manager.store.contract import agrees, all_since, held
from tests.unit.manager.store.sqlite_engine import SqliteEngine


class Sender:
    """Cuts a history into batches, as often and as oddly as it is asked to."""

    def __init__(self, history: list[Change], chance: random.Random) -> None:
        self._history = history
        self._chance = chance
        self.head = history[-1].version
        self._versions = [ZERO, *(change.version for change in history)]

    def cut(self, start: int, end: int) -> Batch:
        """The changes of positions ``start`` to ``end``, some of them coalesced with later ones."""
        part = self._history[start:end]
        if self._chance.random() < 0.5:
            known = self._history[: self._chance.randint(end, len(self._history))]
            newest = {change.key: change for change in known}
            part = [newest[name] for name in dict.fromkeys(change.key for change in part)]
            self._chance.shuffle(part)
        stream = Stream(self._versions[start], self._versions[end])
        return Batch(GROUP, self.head.epoch, stream, tuple(part))

    def any_cut(self) -> Batch:
        start, end = sorted(self._chance.choices(range(len(self._versions)), k=2))
        return self.cut(start, end)

    def behind(self, version: Version) -> Batch:
        start = self._versions.index(version)
        return self.cut(start, self._chance.randint(start, len(self._history)))

    def page(self, at: int, first: int) -> Batch:
        """Buckets as of position ``at`` or later."""
        table = applied(self._history[: self._chance.randint(at, len(self._history))])
        last = self._chance.choice([LAST_BUCKET, self._chance.randint(first, LAST_BUCKET)])
        found = [change for change in table.live() if first <= bucket_of(change.key) <= last]
        page = SnapshotPage(self._versions[at], first, last)
        return Batch(GROUP, self.head.epoch, page, tuple(found))


async def by_stream(store: Store, history: list[Change], chance: random.Random) -> None:
    sender = Sender(history, chance)
    batches = [sender.any_cut() for _ in range(20)]
    batches += chance.choices(batches, k=10)
    chance.shuffle(batches)
    at_once = chance.randint(1, 5)
    for start in range(0, len(batches), at_once):
        await asyncio.gather(*(store.apply(batch) for batch in batches[start : start + at_once]))
        await matches_its_cursor(store, history)
    while (cursor := (await store.position(GROUP)).cursor) != sender.head:
        assert (await store.apply(sender.behind(cursor))).result is Result.STORED
    newest = applied(history).since(ZERO, 999, sender.head).changes
    assert await all_since(store, ZERO, 3) == sorted(newest, key=lambda change: change.version)


async def matches_its_cursor(store: Store, history: list[Change]) -> None:
    """Every change up to the cursor is there, or a newer one of its key."""
    cursor = (await store.position(GROUP)).cursor
    holds = {change.key: change for change in await all_since(store, ZERO, 1000)}
    newest = {change.key: change for change in history if change.version <= cursor}
    for name, change in newest.items():
        assert holds[name].version >= change.version


async def by_snapshot(store: Store, history: list[Change], chance: random.Random) -> None:
    sender = Sender(history, chance)
    await store.apply(sender.cut(0, chance.randint(0, len(history))))
    cursor = (await store.position(GROUP)).cursor
    start = next((n for n, change in enumerate(history, 1) if change.version == cursor), 0)
    at = chance.randint(start, len(history))
    sent = [sender.page(at, 0)]
    await store.apply(sent[0])
    while (progress := (await store.position(GROUP)).snapshot) is not None:
        kind = chance.randint(0, 4)
        if kind <= 1:
            sent.append(sender.page(at, progress.next_bucket))
        elif kind <= 3:
            sent.append(sender.behind(progress.upper))
        await store.apply(sent[-1] if kind <= 3 else chance.choice(sent))
    for batch in chance.choices(sent, k=5):
        if isinstance(batch.part, Stream):
            await store.apply(batch)
    while (cursor := (await store.position(GROUP)).cursor) != sender.head:
        await store.apply(sender.behind(cursor))


def check(history: list[Change], chance: random.Random, *, snapshot: bool) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with SqliteEngine().open(Path(directory)) as store:
                await (by_snapshot if snapshot else by_stream)(store, history, chance)
                await agrees(store, applied(history))
            async with SqliteEngine().open(Path(directory)) as store:
                await agrees(store, applied(history))

    asyncio.run(run())


@settings(max_examples=40, deadline=None)
@given(changes(), st.integers(0, 2**32))
def test_any_order_repetition_and_cutting_gives_the_same_table(history: list[Change], seed: int) -> None:
    check(history, random.Random(seed), snapshot=False)


@settings(max_examples=40, deadline=None)
@given(changes(keys=20), st.integers(0, 2**32))
def test_a_snapshot_among_live_changes_gives_the_same_table(history: list[Change], seed: int) -> None:
    check(history, random.Random(seed), snapshot=True)


@settings(max_examples=40, deadline=None)
@given(changes(keys=20), st.integers(1, 9), st.sampled_from([0, 600, 1500, 4000]), st.integers(0, 2**32))
def test_a_replica_fed_from_the_store_equals_it(
    history: list[Change], limit: int, memory: int, seed: int
) -> None:
    """Whatever comes from memory and what from the disk, at whatever distance behind the writer."""
    chance = random.Random(seed)
    sender = Sender(history, chance)

    async def run(directory: str) -> None:
        async with SqliteEngine().open(Path(directory), recent_bytes=memory) as store:
            replica, cursor = Table(), ZERO
            while cursor != sender.head:
                if chance.random() < 0.5:
                    await store.apply(sender.behind((await store.position(GROUP)).cursor))
                    continue
                part = await store.since(GROUP, cursor, limit)
                assert isinstance(part, Slice)
                for change in part.changes:
                    replica.apply(change)
                cursor = part.last
            assert contents(replica) == await held(store)

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(directory))
