"""The embedded engine keeps the store's contract."""

from __future__ import annotations

import pytest

from tests.unit.manager.store.contract import Engine, StoreContract
from tests.unit.manager.store.sqlite_engine import SqliteEngine


class TestSqlite(StoreContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return SqliteEngine()
