"""How long to wait before the next try: growing, bounded, and spread so that peers do not retry in step."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """Delays in seconds: `initial`, times `factor` after each failure, at most `maximum`.

    Each is spread by `jitter` (0.2: 20 % up or down, never above `maximum`). A connection that lasted
    `stable_after` seconds starts anew at `initial`; one that broke sooner counts as another failure, so a
    peer that accepts and drops at once is not hammered.
    """

    initial: float = 0.5
    factor: float = 2.0
    maximum: float = 30.0
    jitter: float = 0.2
    stable_after: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.initial <= self.maximum or self.factor < 1 or not 0 <= self.jitter < 1:
            raise ValueError(f"no bounded, growing delay: {self}")


class Backoff:
    """The delays of one peer. Times are monotonic seconds handed in; randomness is handed in too."""

    def __init__(self, policy: BackoffPolicy, rng: random.Random) -> None:
        self._policy = policy
        self._rng = rng
        self._opened: float | None = None
        self.failures = 0

    def opened(self, now: float) -> None:
        """Take note that the connection stands."""
        self._opened = now

    def failed(self, now: float) -> float:
        """Take note that a try failed or the connection broke; return the seconds to wait."""
        if self._opened is not None and now - self._opened >= self._policy.stable_after:
            self.failures = 0
        self._opened = None
        delay = self._base()
        self.failures += 1
        spread = 1 + self._policy.jitter * (2 * self._rng.random() - 1)
        return min(self._policy.maximum, delay * spread)

    def _base(self) -> float:
        delay = self._policy.initial
        for _ in range(self.failures):
            delay *= self._policy.factor
            if delay >= self._policy.maximum or self._policy.factor == 1:
                break
        return min(delay, self._policy.maximum)
