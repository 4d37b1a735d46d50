"""Time of the deterministic world, and the places where processes run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush

Act = Callable[[], None]


class Clock:
    """Events in order of time; equal times in the order of their making."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self._queue: list[tuple[float, int, Act]] = []
        self._made = 0

    def at(self, when: float, act: Act) -> None:
        """Have ``act`` called at a time that has not passed."""
        self._made += 1
        heappush(self._queue, (when, self._made, act))

    def after(self, delay: float, act: Act) -> None:
        """Have ``act`` called so many seconds from now."""
        self._made += 1
        heappush(self._queue, (self.now + delay, self._made, act))

    def clear(self) -> None:
        """Nothing more is to happen."""
        self._queue.clear()

    def run(self, until: int) -> None:
        """Let events happen until there have been so many, or no more are to come."""
        queue = self._queue
        while queue and self.steps < until:
            self.now, _, act = heappop(queue)
            self.steps += 1
            act()

    def step(self) -> bool:
        """Let the next event happen; say whether there was one."""
        if not self._queue:
            return False
        self.now, _, act = heappop(self._queue)
        self.steps += 1
        act()
        return True


class Host:
    """Where one process runs, is frozen, ends and is started again.

    What was meant for a process that has ended never reaches the next one; what comes while a process is
    frozen waits, timers too. ``wall`` is this host's idea of the time of day.
    """

    def __init__(self, clock: Clock, name: str, skew: float) -> None:
        self.name = name
        self.clock = clock
        self.life = 0
        self.up = False
        self.frozen = False
        self.skew = skew
        self._held: deque[Act] = deque()

    @property
    def wall(self) -> float:
        """Seconds since 1970 by this host's clock, which may be wrong and may jump."""
        return 1_800_000_000.0 + self.skew + self.clock.now

    @property
    def awake(self) -> bool:
        """Whether a process runs here and is not frozen."""
        return self.up and not self.frozen

    def start(self) -> None:
        """A process begins."""
        self.life += 1
        self.up = True

    def stop(self) -> None:
        """The process is gone with all that waited for it."""
        self.life += 1
        self.up = self.frozen = False
        self._held.clear()

    def freeze(self) -> None:
        """The process gets no time."""
        self.frozen = self.up

    def thaw(self) -> None:
        """The process goes on, with what has waited for it first, in order."""
        self.frozen = False
        self.clock.after(0.0, partial(self._catch_up, self.life))

    def at(self, when: float, act: Act) -> None:
        """Have this process do something then."""
        self.clock.at(when, partial(self._run, self.life, act))

    def after(self, delay: float, act: Act) -> None:
        """Have this process do something so many seconds from now."""
        self.clock.after(delay, partial(self._run, self.life, act))

    def take(self, act: Act) -> None:
        """Have this process do something now, or once it is no longer frozen."""
        if self.frozen or self._held or not self.up:
            self._run(self.life, act)
        else:
            act()

    def _run(self, life: int, act: Act) -> None:
        if life != self.life or not self.up:
            return
        if self.frozen or self._held:
            self._held.append(act)
        else:
            act()

    def _catch_up(self, life: int) -> None:
        if life != self.life or self.frozen or not self._held:
            return
        act = self._held.popleft()
        if self._held:
            self.clock.after(0.0, partial(self._catch_up, life))
        act()


_SOONEST = 0.001
"""A deadline that stays in the past must not take the whole world's time, as in the product's shells."""


class Alarm:
    """One timer of a process, moved as its owner says."""

    def __init__(self, host: Host, act: Act) -> None:
        self._host = host
        self._act = act
        self._due = float("inf")
        self._set = float("inf")

    def move(self, due: float | None) -> None:
        """Ring at ``due`` instead; None for never."""
        if due is None:
            self._due = float("inf")
            return
        soonest = self._host.clock.now + _SOONEST
        self._due = due if due > soonest else soonest
        if self._due < self._set:
            self._set = self._due
            self._host.at(self._due, partial(self._ring, self._due))

    def _ring(self, when: float) -> None:
        if when != self._set:
            return
        self._set = float("inf")
        due = self._due
        if due <= self._host.clock.now:
            self._due = float("inf")
            self._act()
        elif due != float("inf"):
            # It was moved to later meanwhile
            self._set = due
            self._host.at(due, partial(self._ring, due))
