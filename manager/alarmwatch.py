"""Looks once a second at what the cloud device sees of routers and deliveries, and says which alarms hold."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from manager.alarms import Alarms
from manager.devices import LinkState
from manager.group import Group
from manager.service import Service
from rui.backup.alarms import AlarmType
from rui.backup.delivery import DirectDelivery

log = structlog.get_logger()

_PERIOD = 1.0


class AlarmWatch:
    """One manager's. A router is missed once it was away for the shortest link timeout of all groups."""

    def __init__(
        self, alarms: Alarms, service: Service, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._alarms = alarms
        self._service = service
        self._now = now
        self._away: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="alarm-watch")

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def look(self) -> None:
        """Say of every condition whether it holds now."""
        self._devices()
        for name, group in self._service.groups.items():
            self._deliveries(name, group)

    async def _watch(self) -> None:
        while True:
            try:
                self.look()
            except Exception:
                # One thing that could not be seen must not end the operator's view of all others.
                log.exception("alarm-watch-failed")
            await asyncio.sleep(_PERIOD)

    def _devices(self) -> None:
        now, links = self._now(), self._service.links
        patience = 5 * self._service.probe_interval
        for name, link in links.items():
            if link.state in (LinkState.CONNECTED, LinkState.DISABLED):
                self._away.pop(name, None)
                self._alarms.set(AlarmType.DEVICE_UNREACHABLE, False, peer=name)
            elif now - self._away.setdefault(name, now) >= patience:
                why = link.last_error or "it has not called"
                text = f"there is no session with {name} ({why}): look at it and at the way to it"
                self._alarms.set(AlarmType.DEVICE_UNREACHABLE, True, text, peer=name)
        for name in [name for name in self._away if name not in links]:
            del self._away[name]
            self._alarms.set(AlarmType.DEVICE_UNREACHABLE, False, "it is not configured any more", peer=name)

    def _deliveries(self, name: str, group: Group) -> None:
        behind: dict[str, str] = {
            device: delivery.reason
            for device, delivery in group.cloud.deliveries.items()
            if isinstance(delivery, DirectDelivery) and delivery.source.snapshot_under_way
        }
        for device, reason in behind.items():
            text = f"{device} is sent everything: {reason}"
            self._alarms.set(AlarmType.NEEDS_SNAPSHOT, True, text, group=name, peer=device)
        for key in self._alarms.book.raised_of(AlarmType.NEEDS_SNAPSHOT):
            if key.group == name and key.peer not in behind:
                self._alarms.set(AlarmType.NEEDS_SNAPSHOT, False, group=name, peer=key.peer)
