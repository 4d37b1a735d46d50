"""The latest changes of a device's identity in one group, for operators to read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from rui.backup.identity import Role
from rui.backup.version import Epoch

LENGTH = 64


@dataclass(frozen=True, slots=True)
class Identity:
    """One identity that the device had; ``since`` is wall-clock time, for people."""

    index: int
    role: Role
    epoch: Epoch
    reason: str
    since: datetime


class History:
    """Bounded; the newest entry is the last."""

    def __init__(self) -> None:
        self.entries: deque[Identity] = deque(maxlen=LENGTH)
        self._count = 0

    def note(self, role: Role, epoch: Epoch, reason: str, now: datetime) -> bool:
        """Take the identity as it is now; say whether it is another one than before."""
        if self.entries and (self.entries[-1].role, self.entries[-1].epoch) == (role, epoch):
            return False
        self._count += 1
        self.entries.append(Identity(self._count, role, epoch, reason, now))
        return True
