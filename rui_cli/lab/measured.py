"""What one subscriber felt: pings answered or not, and a TCP stream that comes back as it was sent."""

from __future__ import annotations

from array import array
from struct import Struct

PATIENCE = 1.0
"""Seconds after which an answer is none any more."""
STILL_SERVED = 3.0
"""A subscriber who was answered so many seconds ago, or later, is served."""
CHUNK = 128
_MOST_UNANSWERED = 64 * CHUNK
_NUMBER = Struct("!Q")


class Pings:
    """The last ``size`` pings of one subscriber, by the time that each was sent.

    An outage is counted from sending to sending: it does not matter when whoever measures got around to
    reading the answers, nor that nothing was sent while he did not run.
    """

    def __init__(self, size: int) -> None:
        self._sent = array("d", bytes(8 * size))
        self._answered = bytearray(size)
        self._size = size
        self.count = 0
        self.last_answered = 0.0

    def send(self, now: float) -> int:
        """Note that a ping leaves; return its number."""
        number = self.count
        place = number % self._size
        self._sent[place] = now
        self._answered[place] = 0
        self.count += 1
        return number

    def answer(self, number: int, now: float) -> None:
        """Note an answer, unless it is late or for none of ours."""
        if not self.count - self._size <= number < self.count:
            return
        place = number % self._size
        if now - self._sent[place] <= PATIENCE:
            self._answered[place] = 1
            self.last_answered = max(self.last_answered, self._sent[place])

    def outage(self, since: float, now: float, every: float) -> float:
        """Return the longest time without an answered ping, beyond the pause ``every`` between two; seconds.

        Those sent from one second before ``since`` on count; those still under way at ``now`` do not.
        """
        longest = 0.0
        good: float | None = None
        lost = False
        first = self.count
        while first > max(0, self.count - self._size) and self._sent[(first - 1) % self._size] >= since - 1:
            first -= 1
        for number in range(first, self.count):
            place = number % self._size
            sent = self._sent[place]
            if not self._answered[place]:
                lost = lost or now - sent > PATIENCE
                continue
            if lost and good is not None:
                longest = max(longest, sent - good - every)
            good, lost = sent, False
        if lost and good is not None:
            longest = max(longest, now - good - every)
        return longest

    def served(self, now: float) -> bool:
        """Whether a ping of the last seconds was answered."""
        return now - self.last_answered <= STILL_SERVED


class Stream:
    """Numbered chunks sent over one connection, and what an echo makes of them."""

    def __init__(self, now: float) -> None:
        self.failure = ""
        self.longest_pause = 0.0
        self._sent = 0
        self._back = 0
        self._last = now
        self._rest = b""

    def more(self) -> bytes:
        """Return what to send next: nothing while too much is unanswered, or after a failure."""
        if self.failure or self._sent - self._back > _MOST_UNANSWERED:
            return b""
        return self._chunk(self._sent // CHUNK)[self._sent % CHUNK :]

    def sent(self, length: int) -> None:
        """Note that so many octets were taken by the connection."""
        self._sent += length

    def receive(self, data: bytes, now: float) -> None:
        """Take what came back; nothing means that the connection has ended."""
        if not data:
            self.failure = self.failure or "the server closed the connection"
            return
        self.longest_pause = max(self.longest_pause, now - self._last)
        self._last = now
        self._rest += data
        while len(self._rest) >= CHUNK:
            if self._rest[:CHUNK] != self._chunk(self._back // CHUNK):
                self.failure = f"after {self._back} octets something else came back than was sent"
                return
            self._rest = self._rest[CHUNK:]
            self._back += CHUNK

    def mark(self) -> None:
        """Count pauses anew."""
        self.longest_pause = 0.0

    def pause(self, now: float) -> float:
        """Return the longest time without an octet since the mark, the present one included; seconds."""
        return max(self.longest_pause, now - self._last)

    def survives(self, now: float) -> bool:
        """Whether it is still the same connection, and something came back in the last seconds."""
        return not self.failure and bool(self._back) and now - self._last <= STILL_SERVED

    @staticmethod
    def _chunk(number: int) -> bytes:
        return _NUMBER.pack(number) * (CHUNK // _NUMBER.size)
