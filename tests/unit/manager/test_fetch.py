"""Downloads page by page from the real store, by a replica that remembers nothing but its position."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manager.fetch import Fetcher
from manager.store import SqliteOptions, Store, open_sqlite
from rui.backup.messages import Position, Result
from rui.backup.replica import judge
from rui.backup.requests import Fetch, Fetched
from rui.backup.table import Table
from rui.backup.version import ZERO
from tests.unit.backup.histories import GROUP, A, contents, gone, put, stream, version


class Replica:
    """A secondary's table that downloads."""

    def __init__(self, fetcher: Fetcher, limit: int = 3) -> None:
        self.fetcher = fetcher
        self.limit = limit
        self.table = Table()
        self.position = Position()

    async def fetch(self) -> Fetched:
        fetched = await self.fetcher.fetch(Fetch(GROUP, "bras-b", self.position, self.limit))
        judgement = judge(self.position, fetched.batch)
        assert judgement.result is Result.STORED, judgement.reason
        for change in fetched.batch.changes:
            self.table.apply(change)
        if judgement.clear:
            self.table.clear(judgement.clear, {change.key for change in fetched.batch.changes})
        self.position = judgement.position
        return fetched

    async def fetch_all(self) -> int:
        for times in range(1, 10_000):
            if not (await self.fetch()).more:
                return times
        raise AssertionError("it never ends")


async def held(store: Store) -> dict[bytes, object]:
    return {change.key: (change.version, change.record) for change in store.users(GROUP)}


async def test_an_empty_replica_fetches_everything_in_pages(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.sqlite", SqliteOptions(recent_bytes=0))
    await store.apply(stream(0, 20, *(put(n, n) for n in range(1, 20)), gone(3, 20)))
    replica = Replica(Fetcher(store))
    assert await replica.fetch_all() >= 6
    assert contents(replica.table) == await held(store)
    assert replica.position.cursor == version(20)
    last = await replica.fetch()
    assert (last.batch.changes, last.more) == ((), False)
    await store.close()


async def test_a_group_without_primary_has_nothing_to_fetch(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.sqlite")
    with pytest.raises(LookupError, match="g1 has no primary"):
        await Replica(Fetcher(store)).fetch()
    await store.close()


async def test_a_replica_behind_forgotten_deletes_gets_a_snapshot(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.sqlite", SqliteOptions(recent_bytes=0))
    await store.apply(stream(0, 5, *(put(n, n) for n in range(1, 6))))
    fetcher = Fetcher(store)
    replica = Replica(fetcher)
    await replica.fetch_all()
    await store.apply(stream(5, 9, gone(1, 6), gone(2, 7), put(6, 8), put(7, 9)))
    await store.collect_tombstones(GROUP, version(8))
    await replica.fetch_all()
    assert contents(replica.table) == await held(store)
    await store.close()


async def test_an_empty_replica_gets_a_snapshot_where_deletes_are_forgotten(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.sqlite", SqliteOptions(recent_bytes=0))
    await store.apply(stream(0, 30, *(put(n, n) for n in range(1, 28)), gone(1, 28), gone(2, 29), put(3, 30)))
    await store.collect_tombstones(GROUP, version(29))
    replica = Replica(Fetcher(store), limit=5)
    pages = await replica.fetch_all()
    assert pages <= 10, "whole buckets, several in a page"
    assert contents(replica.table) == await held(store)
    assert replica.table.floor > ZERO, "what it does not know of, it does not take for alive"
    await store.close()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 9)),
        st.tuples(st.just("gone"), st.integers(0, 9)),
        st.tuples(st.just("collect"), st.integers(0, 40)),
        st.tuples(st.just("fetch"), st.integers(1, 4)),
        st.tuples(st.just("forget"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
async def test_any_history_with_fetches_in_between_ends_equal(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    store = await open_sqlite(folder / "store.sqlite", SqliteOptions(recent_bytes=0))
    await store.claim(GROUP, A)
    replica = Replica(Fetcher(store))
    seq = 0
    for what, number in steps:
        match what:
            case "put":
                seq += 1
                await store.apply(stream(seq - 1, seq, put(number, seq)))
            case "gone":
                seq += 1
                await store.apply(stream(seq - 1, seq, gone(number, seq)))
            case "collect":
                await store.collect_tombstones(GROUP, version(min(number, seq)) if seq else ZERO)
            case "fetch":
                replica.limit = number
                await replica.fetch()
            case "forget":
                replica.fetcher = Fetcher(store)
    replica.limit = 1000
    await replica.fetch_all()
    assert contents(replica.table) == await held(store)
    await store.close()
