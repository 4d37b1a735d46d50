from pathlib import Path

import pytest

from rui.schema import Schema, manager_schema, router_schema


@pytest.fixture(scope="session")
def router() -> Schema:
    return router_schema()


@pytest.fixture(scope="session")
def manager() -> Schema:
    return manager_schema()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for modules of the test's own."""
    path = tmp_path / "yang"
    path.mkdir()
    return path
