"""What is done beside the router's work: counting for digests, and compactions, one at a time with pauses."""

from __future__ import annotations

import asyncio

import structlog

from router.journal.compaction import Compactor
from router.journal.counting import Counting
from router.journal.writer import GroupJournal

log = structlog.get_logger(__name__)

_PAUSE = 5.0


class Upkeep:
    """Runs a group's compactions. After a failure the next look is as late as after a success."""

    def __init__(self, group: str, journal: GroupJournal, compactor: Compactor, counting: Counting) -> None:
        self._group = group
        self._journal = journal
        self._compactor = compactor
        self._counting = counting
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._stopped = False

    def look(self, now: float) -> None:
        """Begin to count, and a compaction, if that is due; ``now`` is the loop's time."""
        self._counting.look()
        if self._task is None and not self._stopped and now >= self._not_before and self._compactor.due():
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"compaction-{self._group}")

    async def stop(self) -> None:
        """Give up what is under way, and begin nothing more."""
        self._stopped = True
        self._counting.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            freed = await self._compactor.run()
            log.info(
                "journal-compacted",
                group=self._group,
                freed=freed,
                octets=self._journal.octets,
                seconds=round(loop.time() - started, 3),
            )
        except OSError as error:
            log.error(
                "journal-not-compacted", group=self._group, reason=error.strerror, remedy="free disk space"
            )
        finally:
            self._not_before = loop.time() + _PAUSE
            self._task = None
