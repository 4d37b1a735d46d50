from pathlib import Path

import pytest

from rui.schema import Schema
from tests.models import manager_model, router_model


@pytest.fixture(scope="session")
def router() -> Schema:
    return router_model()


@pytest.fixture(scope="session")
def manager() -> Schema:
    return manager_model()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for modules of the test's own."""
    path = tmp_path / "yang"
    path.mkdir()
    return path
