"""How far a replica is behind what is durable here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rui.backup.version import Version

_SAMPLES = 2048


@dataclass(frozen=True, slots=True)
class Lag:
    """``records`` counts changes, superseded ones too; ``seconds`` is the age of the oldest of them."""

    records: int
    seconds: float


class LagMeter:
    """Remembers when versions became durable, in bounded space: old samples are thinned out."""

    def __init__(self, recovered: Version) -> None:
        """``recovered`` is where the journal ended at the start."""
        self._recovered = recovered
        self._samples: deque[tuple[Version, float]] = deque()
        self._durable = recovered

    def durable(self, version: Version, now: float) -> None:
        """Take note that all up to ``version`` is durable."""
        if version == self._durable:
            return
        self._durable = version
        self._samples.append((version, now))
        if len(self._samples) > _SAMPLES:
            # Every second one goes, the newest stays: what is long overdue is then dated less exactly
            self._samples = deque(list(self._samples)[::-2][::-1])

    def acknowledged(self, cursor: Version) -> None:
        """Forget what a replica holds."""
        while self._samples and self._samples[0][0] <= cursor:
            self._samples.popleft()

    def lag(self, cursor: Version, held: int, now: float) -> Lag:
        """Return the lag of a replica at ``cursor``; ``held`` is the size of the table."""
        if cursor >= self._durable:
            return Lag(0, 0.0)
        oldest = next((at for version, at in self._samples if version > cursor), now)
        return Lag(self._behind(cursor, held), max(0.0, now - oldest))

    def _behind(self, cursor: Version, held: int) -> int:
        if cursor.epoch == self._durable.epoch:
            return self._durable.seq - cursor.seq
        if cursor.epoch == self._recovered.epoch:
            return self._durable.seq + max(0, self._recovered.seq - cursor.seq)
        return held
