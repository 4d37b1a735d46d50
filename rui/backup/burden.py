"""Whether a session carries bulk at the moment, so that a probe on it would measure the backlog.

A probe waits its turn behind whatever goes ahead of it on the same session. Behind a catch-up its round trip
says how much data is under way and nothing of the link, so it counts as a sign of life only.
"""

from __future__ import annotations

BULK = 64 << 10
"""Octets; a message from this size on takes milliseconds at each end."""

LINGER = 2.0
"""Seconds for which such a message may still hold up what came behind it."""


class Burden:
    """The bulk on one session. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._until = float("-inf")

    def carries(self, octets: int, now: float) -> None:
        """A message of this size is sent, answered or received."""
        if octets >= BULK:
            self._until = now + LINGER

    def heavy(self, now: float) -> bool:
        """Whether a probe that is under way now measures the backlog."""
        return now < self._until
