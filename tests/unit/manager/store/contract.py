"""What every engine behind the Store interface must do; subclass it and hand in the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from manager.store import Store
from rui.backup.messages import (
    Batch,
    Change,
    SnapshotPage,
    bucket_of,
)
from rui.backup.table import Slice, Table
from rui.backup.version import Epoch, Version
from tests.unit.backup.histories import GROUP, A, contents, version

B = Epoch(2, "bras-b")


class Engine(ABC):
    """How a test opens the engine; what was stored under a directory is there when it is opened again."""

    @abstractmethod
    def open(
        self, directory: Path, *, tombstones: int = 1000, recent_bytes: int = 0
    ) -> AbstractAsyncContextManager[Store]:
        """Open a store that keeps at most so many tombstones a group and so many octets in memory."""


def snapshot_page(at: int, first: int, last: int, *changes: Change, writer: Epoch = A) -> Batch:
    return Batch(GROUP, writer, SnapshotPage(version(at), first, last), changes)


def by_bucket(*changes: Change) -> list[Change]:
    return sorted(changes, key=lambda change: bucket_of(change.key))


async def held(store: Store, group: str = GROUP) -> dict[bytes, tuple[Version, bytes | None]]:
    return {change.key: (change.version, change.record) for change in store.users(group)}


async def all_since(store: Store, after: Version, limit: int, group: str = GROUP) -> list[Change]:
    changes: list[Change] = []
    while True:
        part = await store.since(group, after, limit)
        assert isinstance(part, Slice)
        changes += part.changes
        after = part.last
        if not part.more:
            return changes


async def agrees(store: Store, table: Table, group: str = GROUP) -> None:
    """Say that a store holds what a table does."""
    assert await held(store, group) == contents(table)
    digest = await store.digest(group)
    assert list(digest.buckets) == list(table.buckets)
    assert digest.digest.count == len(table)


class Contract:
    """What the contract's tests need: an engine, and a fresh store of it."""

    @pytest.fixture
    def engine(self) -> Engine:
        raise NotImplementedError

    @pytest.fixture
    async def store(self, engine: Engine, tmp_path: Path) -> AsyncIterator[Store]:
        async with engine.open(tmp_path) as store:
            yield store
