"""Keeps the data plane in step with a router's groups: for whom it forwards, and when.

The users follow the tables of the groups, whatever the role; the gate follows the election, or the role where
there is none. A gate that has lapsed is opened again only once the election had its turn to notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from router.dataplane import DataPlane, DataPlaneConfig, DataPlaneError, Subscriber
from rui.backup.record import RecordError
from rui.backup.sharing import Users
from rui.backup.table import Table, Watcher

log = structlog.get_logger(__name__)

_USERS_A_TURN = 500
_TRY_AGAIN = 1.0

Forwards = Callable[[str], bool]
"""Whether this router is to forward for a group now."""


class Forwarding:
    """``open`` before the elections start, ``close`` after they have ended. Belongs to the loop's thread."""

    def __init__(
        self, config: DataPlaneConfig, users: Mapping[str, Users | Table], forwards: Forwards
    ) -> None:
        self.plane = DataPlane(config)
        self._tables = {group.id: users[group.id] for group in config.groups}
        self._forwards = forwards
        self._loop = asyncio.get_running_loop()
        self._due: dict[str, set[bytes]] = {name: set() for name in self._tables}
        self._watchers = {name: self._watcher(name) for name in self._tables}
        self._draining = False
        self._told: set[str] = set()
        self._again: set[str] = set()
        self._not_before = 0.0
        self._later: asyncio.TimerHandle | None = None
        self._refresher: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Set the kernel up and begin. Raises DataPlaneError, with all undone."""
        await self.plane.open()
        for name, table in self._tables.items():
            self._due[name].update(table.live_keys())
            table.watchers += (self._watchers[name],)
        self._refresher = asyncio.create_task(self._refresh(), name="dataplane-gate")
        self._refresher.add_done_callback(_ended)
        self._arm()
        self.moved()

    async def close(self) -> None:
        """Stop forwarding and leave the kernel as it was."""
        if self._refresher is None:
            return
        for name, table in self._tables.items():
            table.watchers = tuple(known for known in table.watchers if known is not self._watchers[name])
        refresher, self._refresher = self._refresher, None
        refresher.cancel()
        await asyncio.gather(refresher, return_exceptions=True)
        if self._later is not None:
            self._later.cancel()
        await self.plane.close()

    def moved(self) -> None:
        """An election or a role has changed: follow it at once, users wait for it."""
        if self._refresher is None:
            return
        for name in self._tables:
            try:
                self._settle(name)
            except DataPlaneError as error:
                log.error("dataplane-role-refused", group=name, reason=str(error), retry=_TRY_AGAIN)
                self._look_again(self._loop.time() + _TRY_AGAIN)
        if self._again and self._loop.time() < self._not_before:
            self._look_again(self._not_before)

    def _look_again(self, when: float) -> None:
        if self._later is not None:
            self._later.cancel()
        self._later = self._loop.call_at(when, self.moved)

    # --- users

    def _watcher(self, name: str) -> Watcher:
        due = self._due[name]

        def changed(key: bytes, _before: bytes | None) -> None:
            due.add(key)
            self._arm()

        return changed

    def _arm(self) -> None:
        if not self._draining:
            self._draining = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        """Bring some of what has changed to the data plane; a flood of changes leaves turns to others."""
        self._draining = False
        if self._refresher is None:
            return
        left = _USERS_A_TURN
        for name, due in self._due.items():
            while due and left:
                self._bring(name, due.pop())
                left -= 1
        if any(self._due.values()):
            self._arm()

    def _bring(self, name: str, key: bytes) -> None:
        held = self._tables[name].get(key)
        if held is None or held.record is None:
            self.plane.delete(name, key)
            return
        try:
            self.plane.put(name, key, Subscriber.from_record(held.record))
        except RecordError as error:
            log.warning("user-not-forwarded", group=name, key=key.decode(errors="replace"), reason=str(error))
            self.plane.delete(name, key)

    # --- roles

    async def _refresh(self) -> None:
        while True:
            if not self.plane.refresh_gate():
                self._again |= self._told
                self._not_before = self._loop.time() + self.plane.gate_interval
                self.moved()
            await asyncio.sleep(self.plane.gate_interval)

    def _settle(self, name: str) -> None:
        """Do for a group what its election says; it is asked anew each time, and the last answer counts."""
        if not self._forwards(name):
            self._again.discard(name)
            if name in self._told:
                self.plane.become_secondary(name)
                self._told.discard(name)
            return
        if name not in self._told:
            self._told.add(name)
            self._again.add(name)
        if name in self._again and self._loop.time() >= self._not_before:
            self._again.discard(name)
            try:
                self.plane.become_primary(name)
            except DataPlaneError:
                self._again.add(name)
                raise


def _ended(task: asyncio.Task[None]) -> None:
    """A task that ends by itself has a fault; the gate then closes by itself."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("dataplane-task-failed", exc_info=error, remedy="restart the router and report this")
