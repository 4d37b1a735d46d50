"""For every test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest
import structlog


def pytest_configure() -> None:
    """Heed SIGINT: in the background a shell has it ignored, and what a test starts would inherit that.

    Keep bytecode even where the surroundings say not to: hundreds of processes would each compile us anew.
    """
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Undo what a command that ran in this process set for its logs: its streams are closed by now."""
    yield
    structlog.reset_defaults()
