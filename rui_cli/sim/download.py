"""S504, instruct to download: a secondary fetches from the cloud page by page, as ``router.download``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rui.backup.messages import Position, Receipt, Result
from rui.backup.requests import Fetch, Fetched
from rui_cli.sim.line import OTHER

if TYPE_CHECKING:
    from rui_cli.sim.router import Router

TRIES = 5
PAUSE = 0.3


class Downloader:
    """One fetch at a time; an instruction that comes meanwhile makes it look once more."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._again = False
        self._running = False
        self._failures = 0

    def instruct(self) -> None:
        """Begin to fetch what the cloud holds."""
        self._again = True
        if not self._running:
            self._running, self._failures = True, 0
            self._next()

    def _next(self) -> None:
        if not self._again or self._failures >= TRIES:
            self._again = self._running = False
            return
        self._again = False
        self._fetch()

    def _fetch(self) -> None:
        router, world = self._router, self._router.world
        asked = router.member.wanted
        question = Fetch(router.member.group, router.name, asked, world.odds.batch_records)
        line = world.cloud_lines[router.name]
        line.request(
            OTHER,
            lambda: world.cloud.fetch(router.name, question),
            partial(self._got, asked),
            self._failed,
        )

    def _got(self, asked: Position, fetched: object) -> None:
        if not isinstance(fetched, Fetched):
            self._failed()
            return
        self._router.receive(fetched.batch, lambda receipt: self._stored(asked, fetched.more, receipt))

    def _stored(self, asked: Position, more: bool, receipt: Receipt) -> None:
        # In a turn of its own: what was fetched is in place then
        if receipt.result is not Result.STORED:
            self._failed()
        elif more or self._router.member.wanted != asked:
            self._router.host.after(0.0, self._fetch)
        else:
            self._router.host.after(0.0, self._next)

    def _failed(self) -> None:
        self._failures += 1
        self._again = True
        self._router.host.after(PAUSE * self._failures, self._next)
