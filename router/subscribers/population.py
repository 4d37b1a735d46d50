"""Who of the invented users is online, and what happens next: seeded, without a clock of its own."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from router.config import SimulatedSource


class Happening(Enum):
    """What a user does."""

    ARRIVES = "arrives"
    LEAVES = "leaves"
    RENEWS = "renews"


class Event(NamedTuple):
    """User ``number`` does ``what``."""

    what: Happening
    number: int


class Population:
    """Arrivals come at a rate; each user leaves at random after the mean hold time, and renews twice a lease.

    A number is four octets in three arrays, so that a million users cost little beside their records.
    """

    def __init__(self, source: SimulatedSource, rng: random.Random, online: Iterable[int] = ()) -> None:
        """``online`` are the users that are there already."""
        self._source = source
        self._rng = rng
        self._online = array("I", online)
        self._free = array("I")
        self._never = 0
        self._adopt()

    def __len__(self) -> int:
        return len(self._online)

    @property
    def full(self) -> bool:
        """Whether the population limit is reached."""
        return len(self._online) >= self._source.max_population

    def wait(self) -> float | None:
        """Return the seconds until the next event, None if nothing will ever happen."""
        rate = sum(self._rates())
        return self._rng.expovariate(rate) if rate else None

    def next(self) -> Event:
        """Return what happens; the population is as after it. Only where :meth:`wait` gave a time."""
        arrive, leave, _ = rates = self._rates()
        point = self._rng.random() * sum(rates)
        if point < arrive or not self._online:
            return self.arrive()
        place = self._rng.randrange(len(self._online))
        number = self._online[place]
        if point < arrive + leave:
            self._online[place] = self._online[-1]
            self._online.pop()
            self._free.append(number)
            return Event(Happening.LEAVES, number)
        return Event(Happening.RENEWS, number)

    def arrive(self) -> Event:
        """Let one more user come; the limit is the caller's to look at."""
        if self._never < self._source.max_population or not self._free:
            number = self._never
            self._never += 1
        else:
            place = self._rng.randrange(len(self._free))
            number = self._free[place]
            self._free[place] = self._free[-1]
            self._free.pop()
        self._online.append(number)
        return Event(Happening.ARRIVES, number)

    def undo(self, event: Event) -> None:
        """Take the latest event back: the router could not take it."""
        match event.what:
            case Happening.ARRIVES:
                self._online.pop()
                self._free.append(event.number)
            case Happening.LEAVES:
                self._free.pop()
                self._online.append(event.number)
            case Happening.RENEWS:
                pass

    def _rates(self) -> tuple[float, float, float]:
        source, online = self._source, len(self._online)
        return (
            0.0 if self.full else source.arrivals,
            online / source.hold_time if source.hold_time else 0.0,
            2.0 * online / source.lease_time,
        )

    def _adopt(self) -> None:
        """Find out which numbers have gone: those below the highest that are not online."""
        if not self._online:
            return
        self._never = max(self._online) + 1
        there = bytearray(self._never)
        for number in self._online:
            there[number] = 1
        self._free.extend(number for number in range(self._never) if not there[number])
