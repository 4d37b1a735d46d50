"""Many sessions: which one a packet is for (RFC 5880 section 6.8.6, RFC 5881 section 3), which one is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from random import Random

from rui.bfd.fsm import Session
from rui.bfd.packet import Discard, PacketError, decode

_HIGHEST = 0xFFFFFFFF
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Path:
    """Where a session runs: addresses as text, and the interface where the session is bound to one."""

    local: str
    remote: str
    interface: str = ""


class Sessions:
    """All sessions of one system. Times are monotonic seconds."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._by_discriminator: dict[int, Session] = {}
        self._by_path: dict[Path, Session] = {}
        self._paths: dict[int, Path] = {}
        self._due: list[tuple[float, int]] = []
        self._scheduled: dict[int, float] = {}
        self.discarded: Counter[Discard] = Counter()
        """Packets that were no session's, or not even packets."""

    def discriminator(self) -> int:
        """Return a discriminator that no session here has; not guessable from another one."""
        while True:
            number = self._rng.randint(1, _HIGHEST)
            if number not in self._by_discriminator:
                return number

    def add(self, session: Session, path: Path) -> None:
        """Take a session in. Raises ValueError where its path or discriminator is taken."""
        if path in self._by_path or session.discriminator in self._by_discriminator:
            raise ValueError(f"there is a BFD session from {path.local} to {path.remote} already")
        self._by_path[path] = session
        self._by_discriminator[session.discriminator] = session
        self._paths[session.discriminator] = path
        self.schedule(session)

    def remove(self, session: Session) -> None:
        """Forget a session."""
        del self._by_discriminator[session.discriminator]
        del self._by_path[self._paths.pop(session.discriminator)]
        self._scheduled.pop(session.discriminator, None)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._by_discriminator.values())

    def __len__(self) -> int:
        return len(self._by_discriminator)

    def receive(self, data: bytes, ttl: int, path: Path, now: float) -> Session | None:
        """Take the payload of a datagram that came to ``path``; return its session unless it was discarded.

        ``path.interface`` is the one that it came in by.
        """
        try:
            packet = decode(data)
        except PacketError as error:
            self.discarded[error.reason] += 1
            return None
        number = packet.your_discriminator
        session = self._by_discriminator.get(number) if number else self._at(path)
        if session is None or (number and not self._belongs(number, path)):
            missing = Discard.UNKNOWN_DISCRIMINATOR if number else Discard.UNKNOWN_SESSION
            self.discarded[missing] += 1
            return None
        refused = session.receive(packet, ttl, now)
        self.schedule(session)
        return session if refused in (None, Discard.ADMIN_DOWN) else None

    def schedule(self, session: Session) -> None:
        """Note when a session is due, after anything that may have changed it.

        A deadline that moved later stays where it was and is looked at again then: hearing a packet, which
        moves the detection time, costs no sorting.
        """
        number, deadline = session.discriminator, session.next_deadline()
        if deadline < self._scheduled.get(number, _NEVER):
            self._scheduled[number] = deadline
            heappush(self._due, (deadline, number))
            if len(self._due) > 4 * len(self._by_discriminator) + 64:
                self._due = [(at, known) for known, at in self._scheduled.items()]
                heapify(self._due)

    def next_deadline(self) -> float:
        """Return when :meth:`handle_timer` is due next."""
        return self._due[0][0] if self._due else _NEVER

    def handle_timer(self, now: float) -> list[Session]:
        """Let every session do what is due; return those that were asked."""
        asked = []
        while self._due and self._due[0][0] <= now:
            at, number = heappop(self._due)
            if self._scheduled.get(number) != at:
                continue
            del self._scheduled[number]
            session = self._by_discriminator[number]
            session.handle_timer(now)
            self.schedule(session)
            asked.append(session)
        return asked

    def _at(self, path: Path) -> Session | None:
        """Find the session of a remote system that knows no discriminator of ours yet."""
        return self._by_path.get(path) or self._by_path.get(Path(path.local, path.remote))

    def _belongs(self, number: int, path: Path) -> bool:
        """Whether a packet with our discriminator came the way that the session runs.

        A discriminator alone would let any neighbour on any link speak for the remote system.
        """
        own = self._paths[number]
        if own.interface and path.interface and own.interface != path.interface:
            return False
        return own.remote == path.remote
