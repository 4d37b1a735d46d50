"""Bringing records into the digest beside the router's work, so that who stores them need not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rui.backup.table import Table

_PAUSE = 0.05
_SHORT_PAUSE = 0.005
_AT_ONCE = 500
"""Records: some three milliseconds of the loop's time."""
_BESIDE_WORK = 100
_SHARE = 100
_FOR_SOMEBODY = 2000
"""Records, where somebody waits: more than come meanwhile."""


class Counting:
    """Counts in slices: few records while more come than are counted, a good part of the time once that ends.

    ``done`` is called when none is left. All methods belong to the loop's thread.
    """

    def __init__(self, table: Table, done: Callable[[], None]) -> None:
        self._table = table
        self._done = done
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Begin to count, unless that is under way or nothing is left."""
        if self._timer is None and self._table.uncounted:
            self._left = self._table.uncounted
            self._wait(_PAUSE)

    def stop(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self, pause: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(pause, self._turn)

    def _turn(self) -> None:
        self._timer = None
        table = self._table
        quiet = table.uncounted <= self._left
        table.count(_AT_ONCE if quiet else max(_BESIDE_WORK, table.uncounted // _SHARE))
        self._left = table.uncounted
        if self._left:
            self._wait(_SHORT_PAUSE if quiet else _PAUSE)
        else:
            self._done()


async def counted(table: Table) -> None:
    """Count what is left now, in slices between which others have their turn."""
    for _ in range(0, table.uncounted, _FOR_SOMEBODY):
        table.count(_FOR_SOMEBODY)
        await asyncio.sleep(0)
