"""The embedded engine keeps the store's contract."""

from __future__ import annotations

import pytest

from tests.unit.manager.store.contract import Engine
from tests.unit.manager.store.contract_reading import ReadingContract
from tests.unit.manager.store.contract_writing import WritingContract
from tests.unit.manager.store.sqlite_engine import SqliteEngine


class TestSqlite(WritingContract, ReadingContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return SqliteEngine()
