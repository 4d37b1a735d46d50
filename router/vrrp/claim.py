"""Claims a MAC address from the switches, again and again, whatever else the router is busy with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_EVERY = 0.002


class Claimer:
    """Repeats a frame on a thread of its own: what comes meanwhile to a former Master is lost.

    The loop that has just become Master has much to do at that moment.
    """

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, seconds: float, send: Callable[[], object]) -> None:
        """Call ``send``, every 2 ms, in the thread; an OSError of it costs that one frame."""
        self.stop()
        stopping = self._stopping = threading.Event()
        work = (stopping, time.monotonic() + seconds, send)
        self._thread = threading.Thread(target=_claim, args=work, name="vrrp-claim", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send no more; nothing is on its way when this returns."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def _claim(stopping: threading.Event, until: float, send: Callable[[], object]) -> None:
    while time.monotonic() < until and not stopping.wait(_EVERY):
        try:
            send()
        except OSError:
            continue  # the link is down, or its queue full: the next one may go
