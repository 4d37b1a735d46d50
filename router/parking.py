"""Logins whose answer waits until the record is safe, as the group's acknowledgement policy says."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from router.config import Acknowledgement, AcknowledgementPolicy
from rui.backup.member import Member
from rui.backup.version import Version

LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class _Parked:
    version: Version
    release: Callable[[], None]
    until: float


class Parking:
    """Answers in the order of their versions. Times are monotonic seconds.

    No answer leaves before its record is durable at this router. Beyond that it waits for the policy's
    replica, but no longer than ``max_wait``; ``unprotected`` counts those that went out without.
    """

    def __init__(self, policy: Acknowledgement) -> None:
        self._policy = policy
        self._waiting: deque[_Parked] = deque()
        self.unprotected = 0
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def park(self, version: Version, release: Callable[[], None], now: float) -> None:
        """Keep an answer until ``version`` is safe; when too many wait the oldest is forgotten."""
        if len(self._waiting) >= LIMIT:
            # Its client has asked again long ago
            self._waiting.popleft()
            self.forgotten += 1
        self._waiting.append(_Parked(version, release, now + self._policy.max_wait))

    def settle(self, durable: Version, protected: Version, now: float) -> None:
        """Release what is safe, or durable and has waited long enough."""
        lasting = self._policy.policy is AcknowledgementPolicy.ASYNC
        while self._waiting and self._waiting[0].version <= durable:
            parked = self._waiting[0]
            if not lasting and parked.version > protected:
                if now < parked.until:
                    return
                self.unprotected += 1
            self._waiting.popleft()
            parked.release()

    def next_deadline(self, durable: Version) -> float | None:
        """Return when a durable answer has waited long enough, None if none waits."""
        if not self._waiting or self._waiting[0].version > durable:
            return None
        return self._waiting[0].until


class Parkings:
    """Logins of one group: those that are written here, and those that are shared with the primary."""

    def __init__(self, policy: Acknowledgement) -> None:
        self._own = Parking(policy)
        self._shared = Parking(policy)

    @property
    def unprotected(self) -> int:
        """How many answers went out without the policy's replica."""
        return self._own.unprotected + self._shared.unprotected

    def park(self, member: Member, version: Version, release: Callable[[], None], now: float) -> None:
        """Keep an answer until ``version`` is safe."""
        parking = self._shared if member.sharing.active else self._own
        parking.park(version, release, now)

    def settle(self, member: Member, now: float) -> None:
        """Release what is safe; what is shared is so once the primary has it on its disk."""
        self._own.settle(member.durable, member.protected, now)
        self._shared.settle(member.sharing.durable, member.sharing.acknowledged, now)

    def next_deadline(self, member: Member) -> float | None:
        """Return when a durable answer has waited long enough, None if none waits."""
        times = (self._own.next_deadline(member.durable), self._shared.next_deadline(member.sharing.durable))
        return min((time for time in times if time is not None), default=None)
