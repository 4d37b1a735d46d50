"""For every test."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Heed SIGINT: in the background a shell has it ignored, and what a test starts would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
