"""The cloud as witness: the primary's lease, and the grant that lets a secondary take its place [0245].

A primary holds its lease as long as the cloud hears of it. A grant is given only when the lease has run out
or was released, or when the asker says that the primary itself yields; one at a time, and to the replica
that has come furthest. After its own start the cloud gives none for one whole lease: it cannot know what was
promised before. Neither a lease that runs out nor a grant makes anybody secondary; a claim under a newer
epoch does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rui.backup.version import NO_EPOCH, Epoch, Version


@dataclass(frozen=True, slots=True)
class LeaseOptions:
    """How long a lease lasts without a sign of life, and a grant without a claim; seconds."""

    lease: float = 9.0
    grant: float = 5.0


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """A secondary asks to take the primary's place; ``yielding`` says that the primary has yielded.

    ``writer`` is the newest epoch that it has followed: it may not know a primary that came since.
    ``poor`` says that the asker's own link to the cloud is poor: no better than that of a primary that has
    released its lease. ``number`` tells the asker's requests apart.
    """

    group: str
    device: str
    cursor: Version
    yielding: bool = False
    poor: bool = False
    number: int = 0
    writer: Epoch = NO_EPOCH


@dataclass(frozen=True, slots=True)
class GrantResult:
    """The cloud's answer to request ``number``.

    A grant lasts for ``seconds``, a refusal says why in ``reason``.
    """

    group: str
    granted: bool
    seconds: float
    reason: str
    number: int = 0


class Leases:
    """The lease and the grants of one group. Times are the cloud's monotonic seconds."""

    def __init__(self, options: LeaseOptions, now: float) -> None:
        self.options = options
        self._quiet_until = now + options.lease
        self._released: tuple[str, Epoch, float] | None = None
        self._grant: tuple[str, float] | None = None

    def release(self, device: str, epoch: Epoch, now: float) -> None:
        """The primary gives up its lease, which lasts again unless it repeats this: its link is poor."""
        self._released = (device, epoch, now + self.options.lease)

    def take_back(self, device: str, epoch: Epoch) -> None:
        """The primary holds again the lease that it gave up: its link is good."""
        if self._released is not None and self._released[:2] == (device, epoch):
            self._released = None

    def claimed(self) -> None:
        """A primary has claimed: what was granted is used up, what was released is of before."""
        self._grant = self._released = None

    def ask(
        self,
        request: GrantRequest,
        primary: tuple[str, Epoch, float | None] | None,
        cursors: Mapping[str, Version],
        now: float,
    ) -> GrantResult:
        """Decide on a request.

        ``primary`` is the newest one, its epoch, and when it was last heard of by this cloud, None for never;
        ``cursors`` are those of the replicas that are in touch. The asker's own part in them does not count.
        """
        reason = self._against(request, primary, cursors, now)
        if reason:
            return GrantResult(request.group, False, 0.0, reason, request.number)
        self._grant = (request.device, now + self.options.grant)
        seconds = self.options.grant
        return GrantResult(request.group, True, seconds, "the primary is not heard of", request.number)

    def _against(
        self,
        request: GrantRequest,
        primary: tuple[str, Epoch, float | None] | None,
        cursors: Mapping[str, Version],
        now: float,
    ) -> str:
        if now < self._quiet_until:
            return f"the cloud has started a moment ago: ask again in {self._quiet_until - now:.1f} s"
        if self._grant is not None and self._grant[0] != request.device and now < self._grant[1]:
            return f"{self._grant[0]} has been granted it"
        yielded = request.yielding and primary is not None and request.writer == primary[1]
        if primary is not None and primary[0] != request.device and not yielded:
            device, epoch, heard = primary
            left = 0.0 if heard is None else heard + self.options.lease - now
            if left > 0 and (request.poor or not self._is_released(device, epoch, now)):
                return f"{device} holds its lease for {left:.1f} s more"
        others = {name: cursor for name, cursor in cursors.items() if name != request.device}
        ahead = max(others.items(), key=lambda item: item[1], default=("", request.cursor))
        if ahead[1] > request.cursor:
            return f"{ahead[0]} has come further, up to {ahead[1]}"
        return ""

    def _is_released(self, device: str, epoch: Epoch, now: float) -> bool:
        released = self._released
        return released is not None and released[:2] == (device, epoch) and now < released[2]
