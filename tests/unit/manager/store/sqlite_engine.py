"""The embedded engine, as the contract's tests open it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from manager.store import SqliteOptions, SqliteStore, open_sqlite
from tests.unit.manager.store.contract import Engine


@asynccontextmanager
async def opened(path: Path, options: SqliteOptions | None = None) -> AsyncIterator[SqliteStore]:
    store = await open_sqlite(path, options)
    try:
        yield store
    finally:
        await store.close()


class SqliteEngine(Engine):
    @asynccontextmanager
    async def open(
        self, directory: Path, *, tombstones: int = 1000, recent_bytes: int = 0
    ) -> AsyncIterator[SqliteStore]:
        options = SqliteOptions(tombstones=tombstones, recent_bytes=recent_bytes)
        async with opened(directory / "cloud.db", options) as store:
            yield store
