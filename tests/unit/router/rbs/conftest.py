from __future__ import annotations

import pytest

from rui.schema import Schema


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.load(["rui-failover", "rui-backup", "rui-link-status", "rui-audit"])
