"""What is loaded once for these tests."""

import pytest

from rui.schema import Schema, router_schema


@pytest.fixture(scope="session")
def schema() -> Schema:
    return router_schema()
