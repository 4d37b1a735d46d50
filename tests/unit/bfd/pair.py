"""Two real sessions on one clock, joined by a link that can be cut in either direction."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from rui.bfd.fsm import Session, SessionOptions, StateChanged, Transmit
from rui.bfd.packet import ControlPacket, State, decode

DEFAULTS = SessionOptions()


class Pair:
    """Sessions a and b; each packet takes ``delay`` seconds."""

    def __init__(
        self,
        a: SessionOptions = DEFAULTS,
        b: SessionOptions = DEFAULTS,
        *,
        delay: float = 0.001,
    ) -> None:
        self.now = 0.0
        self.delay = delay
        self.a = Session(a, 0xA, Random(1), self.now)
        self.b = Session(b, 0xB, Random(2), self.now)
        self.cut: set[Session] = set()
        """Whose packets are lost."""
        self.sent: dict[Session, list[tuple[float, ControlPacket]]] = {self.a: [], self.b: []}
        self.states: dict[Session, list[State]] = {self.a: [], self.b: []}
        self._under_way: list[tuple[float, Session, ControlPacket]] = []

    def run(self, seconds: float) -> None:
        """Let the time pass."""
        end = self.now + seconds
        while True:
            self._drain()
            arrival = min((at for at, _, _ in self._under_way), default=float("inf"))
            step = min(arrival, self.a.next_deadline(), self.b.next_deadline())
            if step > end:
                self.now = end
                return
            self.now = max(self.now, step)
            for item in [item for item in self._under_way if item[0] <= self.now]:
                self._under_way.remove(item)
                item[1].receive(item[2], 255, self.now)
                self._drain()
            for session in (self.a, self.b):
                session.handle_timer(self.now)

    def last(self, session: Session) -> ControlPacket:
        return self.sent[session][-1][1]

    def gaps(self, session: Session, since: float) -> list[float]:
        """Return the times between a session's packets, answers to polls left out."""
        times = [at for at, packet in self.sent[session] if at >= since and not packet.final]
        return [later - earlier for earlier, later in pairwise(times)]

    def _drain(self) -> None:
        for session, other in ((self.a, self.b), (self.b, self.a)):
            for output in session.outputs():
                match output:
                    case Transmit(data):
                        packet = decode(data)
                        self.sent[session].append((self.now, packet))
                        if session not in self.cut:
                            self._under_way.append((self.now + self.delay, other, packet))
                    case StateChanged(state=state):
                        self.states[session].append(state)


def up(a: SessionOptions = DEFAULTS, b: SessionOptions = DEFAULTS) -> Pair:
    """Return a pair that is up and has told its intervals."""
    pair = Pair(a, b)
    pair.run(10)
    assert pair.a.state is pair.b.state is State.UP
    return pair
