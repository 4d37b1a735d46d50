"""How the role may move, checked as it moves, by what the world has seen of grants and advertisements."""

from __future__ import annotations

from collections.abc import Mapping

from rui.backup.identity import Role, StorageEntry
from rui.backup.lease import GrantRequest, GrantResult
from rui.backup.version import Epoch
from rui.vrrp.packet import RESIGNING
from rui.vrrp.values import YIELDING
from rui_cli.sim.options import Odds
from rui_cli.sim.violation import Violation

_NEVER = float("-inf")
_SLACK = 1e-6
_YIELDED = 10.0
"""Seconds for which what a Master has advertised may still be under way to the cloud, through its Backup."""
_ORDERED = 5.0
"""Seconds for which an order lets a router preempt."""
_ON_THE_WAY = 8.0
"""Seconds that a grant may spend on a wire that is stalled: then the session is given up."""


class Witness:
    """One group's moves. Times are the world's."""

    def __init__(self, odds: Odds) -> None:
        self._odds = odds
        self._cloud_began = 0.0
        self._heard_by_cloud: dict[str, float] = {}
        self._released: dict[str, tuple[Epoch, float]] = {}
        self._open: dict[str, float] = {}
        # Until when each router may act on a grant or an order
        self._granted: dict[str, float] = {}
        self._ordered: dict[str, float] = {}
        self._yielded: dict[str, float] = {}
        self._heard: dict[str, tuple[float, int]] = {}
        self._synced_since: dict[str, float | None] = {}

    # The cloud

    def cloud_begins(self, now: float) -> None:
        """The cloud's process starts."""
        self._cloud_began = now
        self._open.clear()

    def reaches_cloud(self, device: str, now: float) -> None:
        """The cloud has got something of a device."""
        self._heard_by_cloud[device] = now

    def released(self, device: str, epoch: Epoch, now: float) -> None:
        """The cloud is told that a primary gives up its lease."""
        self._released[device] = (epoch, now)

    def taken_back(self, device: str, epoch: Epoch) -> None:
        """The cloud is told that the primary holds its lease again."""
        if self._released.get(device, (None,))[0] == epoch:
            del self._released[device]

    def claimed(self) -> None:
        """The cloud has accepted a claim: what was granted before it is used up."""
        self._open.clear()

    def answered(
        self, request: GrantRequest, result: GrantResult, entries: Mapping[str, StorageEntry], now: float
    ) -> None:
        """The cloud answers a router that asks; ``entries`` are those of its store."""
        if not result.granted:
            return
        lease, device = self._odds.lease.lease, request.device
        if now - self._cloud_began < lease - _SLACK:
            raise Violation(10, f"a grant {now - self._cloud_began:.2f} s after the cloud's start")
        other = next((name for name, until in self._open.items() if name != device and now < until), None)
        if other is not None:
            raise Violation(10, f"{device} is granted what {other} has been granted")
        primaries = [entry for entry in entries.values() if entry.role is Role.PRIMARY]
        primary = max(primaries, key=lambda entry: entry.epoch, default=None)
        if primary is not None and primary.device != device:
            self._in_touch(request, primary, now)
        self._open[device] = now + result.seconds
        self._granted[device] = now + result.seconds + _ON_THE_WAY

    def _in_touch(self, request: GrantRequest, primary: StorageEntry, now: float) -> None:
        """A primary's place is nobody's while it is heard of, unless it has given it up itself."""
        silent = now - self._heard_by_cloud.get(primary.device, _NEVER)
        if silent >= self._odds.lease.lease - _SLACK:
            return
        epoch, released = self._released.get(primary.device, (primary.epoch, _NEVER))
        # Its entry may not be durable yet
        if epoch >= primary.epoch and not request.poor and now - released < self._odds.lease.lease:
            return
        if request.yielding and now - self._yielded.get(primary.device, _NEVER) < _YIELDED:
            return
        raise Violation(
            10, f"{request.device} is granted the place of {primary.device}, heard of {silent:.2f} s ago"
        )

    # Routers

    def ordered(self, device: str, now: float) -> None:
        """An operator has had a router become primary."""
        self._ordered[device] = now + _ORDERED + _SLACK

    def looks(self, device: str, *, synced: bool, now: float) -> None:
        """A router looks at what it reaches, and whether its copy is in sync."""
        if not synced:
            self._synced_since[device] = None
        elif self._synced_since.get(device) is None:
            self._synced_since[device] = now

    def begins(self, device: str) -> None:
        """A router's process starts, or has lost the role: it has to be in sync anew."""
        self._synced_since[device] = None
        self._heard.pop(device, None)

    def promoted(self, device: str, now: float) -> None:
        """A router becomes primary where no election decides."""
        if not self._allowed(device, now):
            raise Violation(10, f"{device} becomes primary without a grant, and nobody has ordered it")

    def _allowed(self, device: str, now: float) -> bool:
        return now <= self._granted.get(device, _NEVER) or now <= self._ordered.get(device, _NEVER)

    # The election

    def advertised(self, device: str, priority: int, now: float) -> None:
        """A Master speaks."""
        if priority == YIELDING:
            self._yielded[device] = now

    def hears(self, device: str, priority: int, now: float) -> None:
        """A router takes another's advertisement."""
        self._heard[device] = (now, priority)

    def mastered(self, device: str, reason: str, now: float) -> None:
        """A router becomes Master: the last one is silent, or it may preempt, or the cloud lets it."""
        at, priority = self._heard.get(device, (_NEVER, RESIGNING))
        silent = now - at >= 3 * self._odds.vrrp_interval / 100 - _SLACK
        if priority == RESIGNING or silent or self._allowed(device, now):
            return
        if priority == YIELDING:
            raise Violation(10, f"{device} takes over from a Master that yields, without a grant: {reason}")
        since = self._synced_since.get(device)
        if since is None or now - since < self._odds.wait_to_restore - _SLACK:
            synced = "out of sync" if since is None else f"in sync for {now - since:.2f} s"
            raise Violation(10, f"{device} preempts {synced}: {reason}")
