"""The latest changes of a device's identity and of its paths in one group, for operators to read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from rui.backup.failover import PathChanged
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
    step: str = ""


class History:
    """Identities, bounded; the newest entry is the last."""

    def __init__(self) -> None:
        self.entries: deque[Identity] = deque(maxlen=LENGTH)
        self._count = 0

    def note(self, role: Role, epoch: Epoch, reason: str, now: datetime, step: str = "") -> bool:
        """Take the identity as it is now; say whether it is another one than before."""
        if self.entries and (self.entries[-1].role, self.entries[-1].epoch) == (role, epoch):
            return False
        self._count += 1
        self.entries.append(Identity(self._count, role, epoch, reason, now, step))
        return True


@dataclass(frozen=True, slots=True)
class PathMove:
    """One change of the path between this device and ``peer``."""

    index: int
    peer: str
    change: PathChanged
    at: datetime


class PathHistory:
    """Changes of path, bounded; the newest entry is the last."""

    def __init__(self) -> None:
        self.entries: deque[PathMove] = deque(maxlen=LENGTH)
        self._latest: dict[str, PathMove] = {}
        self._count = 0

    def note(self, peer: str, change: PathChanged, now: datetime) -> None:
        """Take a change of path."""
        self._count += 1
        move = PathMove(self._count, peer, change, now)
        self.entries.append(move)
        self._latest[peer] = move

    def latest(self, peer: str) -> PathMove | None:
        """Return the newest change of the path to a peer, however long ago; None where there was none."""
        return self._latest.get(peer)
