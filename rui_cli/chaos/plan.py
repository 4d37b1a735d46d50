"""What goes wrong and when: drawn from the seed alone, before anything has started."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from rui_cli.site import MANAGER

ROUTERS = ("bras-a", "bras-b")
DEVICES = (MANAGER, *ROUTERS)
LINKS = ((ROUTERS[0], MANAGER), (ROUTERS[1], MANAGER), ROUTERS)

_FIRST = 1.0
_MEAN_GAP = 1.5
_SHORTEST, _LONGEST = 0.3, 8.0


class Kind(StrEnum):
    """What can go wrong. Of links the target is one link, of processes one device."""

    CUT = "cut"
    """Nothing gets through, and nobody is told: a pulled cable."""
    ONE_WAY = "one-way"
    """The same in one direction."""
    RESET = "reset"
    """Connections break, and none can be made."""
    SLOW = "slow"
    """Everything comes later, by `extent` seconds each way."""
    LOSSY = "lossy"
    """So many segments, `extent` of all, are lost; TCP sends them again after a while."""
    ISOLATED = "isolated"
    """All links of one device are cut."""
    KILLED = "killed"
    """SIGKILL; started again at the end."""
    FROZEN = "frozen"
    """SIGSTOP; SIGCONT at the end."""
    DISK_FULL = "disk-full"
    """No file of the device grows."""
    CLOCK = "clock"
    """The wall clock jumps by `extent` seconds, and back at the end."""
    SWITCHOVER = "switchover"
    """Nothing breaks: an operator asks a router to be primary, who may refuse."""


_OF_LINKS = frozenset({Kind.CUT, Kind.ONE_WAY, Kind.RESET, Kind.SLOW, Kind.LOSSY})
OF_PROCESSES = frozenset({Kind.KILLED, Kind.FROZEN, Kind.DISK_FULL, Kind.CLOCK})
_WEIGHTS = {
    Kind.CUT: 3,
    Kind.ONE_WAY: 3,
    Kind.RESET: 2,
    Kind.SLOW: 2,
    Kind.LOSSY: 2,
    Kind.ISOLATED: 2,
    Kind.KILLED: 4,
    Kind.FROZEN: 2,
    Kind.DISK_FULL: 2,
    Kind.CLOCK: 2,
    Kind.SWITCHOVER: 2,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: it begins `at` seconds into the story and is over `lasts` seconds later.

    `target` holds one device, or the two ends of a link; where only one direction is meant, from the first
    to the second.
    """

    at: float
    kind: Kind
    target: tuple[str, ...]
    lasts: float
    extent: float = 0.0

    @property
    def end(self) -> float:
        """When it is over."""
        return self.at + self.lasts

    def __str__(self) -> str:
        arrow = " -> " if self.kind is Kind.ONE_WAY else " - "
        extent = f" {self.extent:g}" if self.extent else ""
        return f"{self.kind.value}{extent} {arrow.join(self.target)}, {self.lasts:.1f} s"


def plan(seed: int, seconds: float, *, clocks: bool = True) -> list[Fault]:
    """Return the faults of a story of so many seconds, in the order of their beginning; all end within it.

    Links and processes fail at the same time, several of them too. One link or one process has one fault at
    a time: so the end of one cannot undo another. Where no clock can be moved (`clocks`), the story is the
    same but for its jumps of clocks.
    """
    rng = random.Random(f"chaos/{seed}")  # noqa: S311 - a story, not a secret
    busy: dict[tuple[str, ...], float] = {}
    faults: list[Fault] = []
    at = _FIRST
    while True:
        at += rng.expovariate(1 / _MEAN_GAP)
        fault = _draw(rng, round(at, 3))
        if at >= seconds:
            return [fault for fault in faults if clocks or fault.kind is not Kind.CLOCK]
        places = _places(fault)
        if fault.end < seconds and all(busy.get(place, 0.0) <= at for place in places):
            busy.update(dict.fromkeys(places, fault.end))
            faults.append(fault)


def _draw(rng: random.Random, at: float) -> Fault:
    """Draw one fault; as many numbers are drawn for each kind, so that one story resembles the next."""
    kind = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    link, device, router = rng.choice(LINKS), rng.choice(DEVICES), rng.choice(ROUTERS)
    turned, share = rng.random() < 0.5, rng.random()
    lasts = round(rng.uniform(_SHORTEST, _LONGEST), 3)
    if kind in _OF_LINKS:
        target = link[::-1] if turned else link
        return Fault(at, kind, target, lasts, round(_EXTENTS.get(kind, _none)(share), 3))
    if kind is Kind.SWITCHOVER:
        return Fault(at, kind, (router,), 0.0)
    return Fault(at, kind, (device,), lasts, round(_EXTENTS.get(kind, _none)(share), 3))


def _none(_: float) -> float:
    return 0.0


_EXTENTS: dict[Kind, Callable[[float], float]] = {
    Kind.SLOW: lambda share: 0.02 + 0.38 * share,
    Kind.CLOCK: lambda share: 4 * 3600 * (share - 0.5),
    Kind.LOSSY: lambda share: 0.02 + 0.28 * share,
}


def _places(fault: Fault) -> list[tuple[str, ...]]:
    """Return what a fault keeps busy: links by their ends in order, processes by name."""
    if fault.kind in _OF_LINKS:
        return [tuple(sorted(fault.target))]
    if fault.kind is Kind.ISOLATED:
        return [tuple(sorted(link)) for link in links_of(fault.target[0])]
    return [fault.target] if fault.kind in OF_PROCESSES else []


def links_of(device: str) -> list[tuple[str, str]]:
    """Return the links that end at a device."""
    return [link for link in LINKS if device in link]
