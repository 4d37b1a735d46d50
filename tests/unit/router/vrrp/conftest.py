"""What is loaded once for these tests."""

import pytest

from rui.schema import Schema
from tests.models import router_model


@pytest.fixture(scope="session")
def schema() -> Schema:
    return router_model()
