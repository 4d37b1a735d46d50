"""What a deterministic world is made of: a clock, disks and links that fail, and the disk of the cloud."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from rui.backup.delivery import Forgotten
from rui.backup.identity import StorageEntry
from rui.backup.journal import Frame, decode
from rui.backup.table import Page, Slice
from rui.backup.version import ZERO, Version
from tests.replica import Replica


@dataclass(frozen=True)
class Odds:
    """What one seed's world is like; drawn by :func:`odds`."""

    users: int
    delay: float
    disk: float
    batch_records: int
    tombstones: int
    interval: float
    faults: float
    disk_full: float


def odds(chance: random.Random) -> Odds:
    """Draw a world."""
    return Odds(
        users=chance.choice([2, 5, 20, 60]),
        delay=chance.choice([0.001, 0.02, 0.3]),
        disk=chance.choice([0.0005, 0.01, 0.2]),
        batch_records=chance.choice([1, 3, 20]),
        tombstones=chance.choice([0, 2, 1000]),
        interval=chance.choice([0.0, 0.0, 0.5]),
        faults=chance.choice([0.0, 0.02, 0.1]),
        disk_full=chance.choice([0.0, 0.1]),
    )


class Clock:
    """Events in order of time; equal times in the order of their making."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._made = 0

    def after(self, delay: float, act: Callable[[], None]) -> None:
        self._made += 1
        heapq.heappush(self._queue, (self.now + delay, self._made, act))

    def step(self) -> bool:
        if not self._queue:
            return False
        self.now, _, act = heapq.heappop(self._queue)
        act()
        return True


class Disk:
    """Keeps committed bytes; what is being written when the power goes is lost, or cut short."""

    def __init__(self, clock: Clock, chance: random.Random, odds: Odds) -> None:
        self._clock, self._chance, self._odds = clock, chance, odds
        self.data = b""
        self.power = 0
        self.healthy = False

    def write(self, data: bytes, stored: Callable[[], None], failed: Callable[[], None]) -> None:
        power = self.power

        def commit() -> None:
            if power != self.power:
                return
            if not self.healthy and self._chance.random() < self._odds.disk_full:
                failed()
            else:
                self.data += data
                stored()

        self._clock.after(self._odds.disk * self._chance.random() * 2, commit)

    def crash(self, torn: bytes) -> None:
        self.power += 1
        self.data += torn[: self._chance.randrange(len(torn) + 1)]

    def read(self) -> list[Frame]:
        frames, end = [], 0
        for frame, behind in decode(self.data):
            frames.append(frame)
            end = behind
        self.data = self.data[:end]
        return frames


class Link:
    """The session between two ends; ``session`` tells a later one from an earlier one.

    A stalled direction keeps what arrives and hands it over when it flows again, as TCP does.
    """

    def __init__(self, clock: Clock, chance: random.Random, delay: float) -> None:
        self._clock, self._chance, self.delay = clock, chance, delay
        self.session = 0
        self.up = False
        self.stalled: set[bool] = set()
        self._last: dict[bool, float] = {}
        self._held: list[Callable[[], None]] = []

    def send(self, to_cloud: bool, act: Callable[[], None]) -> None:
        if not self.up:
            return
        session = self.session
        at = self._clock.now + self.delay * self._chance.random() * 2
        at = self._last[to_cloud] = max(at, self._last.get(to_cloud, 0.0))

        def arrive() -> None:
            if not self.up or session != self.session:
                return
            if to_cloud in self.stalled:
                self._held.append(arrive)
            else:
                act()

        self._clock.after(at - self._clock.now, arrive)

    def flow(self) -> None:
        """End all stalls."""
        self.stalled.clear()
        held, self._held = self._held, []
        for arrive in held:
            self._clock.after(0.0, arrive)

    def open(self) -> None:
        self.session += 1
        self.up = True
        self._last.clear()


@dataclass
class CloudStore(Replica):
    """What the cloud has on disk: a replica that is read as ``manager.store`` is."""

    entries: dict[str, StorageEntry] = field(default_factory=dict)

    def since(self, after: Version, limit: int, known_floor: Version) -> Slice | Forgotten:
        if self.position.snapshot:
            return Slice((), after, False)
        if ZERO < after < self.table.floor and self.table.floor > known_floor:
            return Forgotten(self.table.floor)
        part = self.table.since(after, limit, self.position.cursor)
        if part.more:
            return part
        early = tuple(
            change
            for change in self.table.since(self.position.cursor, 1 << 30, self.table.head).changes
            if change not in part.changes
        )
        return Slice(part.changes + early, max(after, self.position.cursor), False)

    def page(self, first: int, limit: int) -> Page | None:
        return None if self.position.snapshot else self.table.page(first, limit, self.table.head)
