"""What is between two hosts: a wire with its faults, and the sessions that run over it."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from rui_cli.sim.clock import Act, Clock, Host

RESENT_AFTER = 0.25
"""Seconds until what was lost is sent again, as TCP does; all behind it on that session waits."""


class Wire:
    """The way between two hosts. Directions are 0, from the first to the second, and 1, back.

    A stalled direction keeps what arrives and hands it over when it flows again. What is not ``reachable``
    ends every session over it at once, and lets none begin.
    """

    def __init__(self, clock: Clock, chance: random.Random, ends: tuple[Host, Host], delay: float) -> None:
        self.clock = clock
        self.chance = chance
        self.ends = ends
        self.delay = self.usual = delay
        self.loss = 0.0
        self.reachable = True
        self.stalled = [False, False]
        self.sessions: list[Session] = []
        self._held: list[Act] = []

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.reachable and self.delay == self.usual and not self.loss and not any(self.stalled)

    @property
    def passable(self) -> bool:
        """Whether a session can be set up over it now."""
        return self.reachable and not any(self.stalled) and self.ends[0].awake and self.ends[1].awake

    def cut(self) -> None:
        """Make each end unreachable for the other; both learn of it."""
        self.reachable = False
        self.reset("cut")

    def reset(self, reason: str) -> None:
        """End all sessions; the wire itself is as it was."""
        for session in list(self.sessions):
            session.close(reason)

    def stall(self, direction: int) -> None:
        """Let nothing through in one direction, and let nobody know."""
        self.stalled[direction] = True

    def mend(self) -> None:
        """Make the wire good; what was stalled arrives now."""
        self.reachable, self.loss, self.delay = True, 0.0, self.usual
        self.stalled = [False, False]
        held, self._held = self._held, []
        for arrive in held:
            self.clock.after(0.0, arrive)

    def travel(self) -> float:
        """Return how long a message takes."""
        seconds = self.delay * self.chance.random() * 2
        while self.loss and self.chance.random() < self.loss:
            seconds += RESENT_AFTER * (1 + self.chance.random())
        return seconds

    def hold(self, arrive: Act) -> None:
        """Keep what arrived in a stalled direction."""
        self._held.append(arrive)


class Session:
    """One connection over a wire: in order in each direction, until it ends.

    Its end 0 is the ``dialler``, one of the wire's ends. ``closed`` is called for each end's process, a bit
    later, with the end's number and why.
    """

    def __init__(self, wire: Wire, dialler: int, closed: Callable[[int, str], None]) -> None:
        self.wire = wire
        self._dialler = dialler
        self.open = True
        self._closed = closed
        self._last = [0.0, 0.0]
        wire.sessions.append(self)

    def send(self, end: int, act: Act) -> None:
        """Send from an end; ``act`` is what the other end's process does with it."""
        if not self.open:
            return
        wire = self.wire
        soonest, last = wire.clock.now + wire.travel(), self._last[end]
        at = self._last[end] = soonest if soonest > last else last
        wire.clock.at(at, partial(self._arrive, end ^ self._dialler, act))

    def close(self, reason: str) -> None:
        """End it: what is under way is lost."""
        if not self.open:
            return
        self.open = False
        self.wire.sessions.remove(self)
        for place, host in enumerate(self.wire.ends):
            if host.up:
                delay = self.wire.delay * self.wire.chance.random()
                host.after(delay, partial(self._closed, place ^ self._dialler, reason))

    def _arrive(self, direction: int, act: Act) -> None:
        if not self.open:
            return
        if self.wire.stalled[direction]:
            self.wire.hold(partial(self._arrive, direction, act))
        else:
            self.wire.ends[1 - direction].take(act)
