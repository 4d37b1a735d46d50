"""The simulated source: invented users get online at a group, renew, and leave."""

from __future__ import annotations

import asyncio
import random
import time

import structlog

from router.config import SimulatedSource
from router.group import Group
from router.subscribers.invented import Inventor
from router.subscribers.population import Event, Happening, Population
from rui.backup.member_outputs import JournalFullError, NotPrimaryError
from rui.backup.version import ZERO

log = structlog.get_logger(__name__)

_AT_ONCE = 200
"""Events in one turn of the loop: some milliseconds."""
_AHEAD = 20_000
"""Records of a burst that may wait for the disk."""
_SLOWEST_TICK = 0.002
_BEHIND = 1.0


class SimulatedSubscribers:
    """Drives one group. The users whom it finds in the table are online; those after them are new."""

    def __init__(self, group: Group, source: SimulatedSource, added: bytes = b"") -> None:
        config = group.config
        self._group = group
        self._source = source
        self._inventor = Inventor(config.id, source, config.ports, config.pools, added)
        self._task: asyncio.Task[None] | None = None
        self._first = 0

    async def start(self) -> None:
        """Begin; a secondary's users are its primary's affair."""
        if self._group.member.takes:
            self._begin()

    def change(self, source: SimulatedSource) -> None:
        """Go on with other rates and limits; who is online stays online."""
        self._source = source
        if self._task is not None:
            self._task.cancel()
            self._begin()

    async def close(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"simulated-{self._group.config.id}")
        self._task.add_done_callback(self._ended)

    async def _run(self) -> None:
        member = self._group.member
        # Another epoch, other chances: a restart does not play the same hour again
        rng = random.Random(f"{self._source.seed}/{member.epoch}")  # noqa: S311 - a simulation, not a secret
        first_start = member.position.cursor == ZERO
        # Beside the primary, which has the users that there are, others come
        self._first = 0 if member.serving else self._source.max_population
        keys = member.users.live_keys() if member.serving else []
        known = (self._inventor.number(key) for key in keys)
        population = Population(self._source, rng, (number for number in known if number is not None))
        log.info(
            "simulation-started",
            group=self._group.config.id,
            online=len(population),
            arrivals=self._source.arrivals,
            limit=self._source.max_population,
        )
        try:
            if first_start:
                await self._burst(population)
            await self._live(population)
        except NotPrimaryError:
            # The role is gone; the source is begun anew in the next one
            log.info("simulation-ended", group=self._group.config.id)

    async def _burst(self, population: Population) -> None:
        """Bring the initial population online, as fast as the journal takes it."""
        wanted = min(self._source.initial_population, self._source.max_population)
        started = asyncio.get_running_loop().time()
        while len(population) < wanted:
            now = time.time()
            for _ in range(min(_AT_ONCE, wanted - len(population))):
                if not self._happen(population, population.arrive(), now):
                    break
            if self._group.member.waiting_for_disk > _AHEAD:
                await self._group.room()
            await asyncio.sleep(0)
        if wanted:
            seconds = asyncio.get_running_loop().time() - started
            log.info("burst-done", group=self._group.config.id, users=wanted, seconds=round(seconds, 3))

    async def _live(self, population: Population) -> None:
        loop = asyncio.get_running_loop()
        due, wall, taken = loop.time(), time.time(), 0
        while (wait := population.wait()) is not None:
            # What is more than this machine can do is let go
            due = max(due + wait, loop.time() - _BEHIND)
            early = due - loop.time()
            if early > 0 or taken >= _AT_ONCE:
                await asyncio.sleep(max(early, _SLOWEST_TICK))
                wall, taken = time.time(), 0
            while not self._happen(population, population.next(), wall):
                await self._group.room()
            taken += 1

    def _happen(self, population: Population, event: Event, now: float) -> bool:
        """Tell the group, ``now`` in seconds since 1970; where it cannot take it: False, nothing happened."""
        group, inventor = self._group, self._inventor
        number = self._first + event.number
        key = inventor.key(number)
        try:
            match event.what:
                case Happening.ARRIVES:
                    group.put(key, inventor.record(number, now))
                case Happening.LEAVES:
                    group.delete(key)
                case Happening.RENEWS:
                    held = group.member.users.get(key)
                    if held is not None and held.record is not None:
                        group.put(key, inventor.renewed(held.record, now))
        except JournalFullError:
            population.undo(event)
            return False
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error("simulation-failed", group=self._group.config.id, exc_info=task.exception())
