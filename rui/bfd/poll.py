"""The intervals that a session states, those in use, and the poll sequence between them.

RFC 5880 sections 6.5 and 6.8.3. While a session is up, what would make either end see a failure that
is none (sending slower, waiting shorter) is put off until the remote system has answered.
"""

from __future__ import annotations


class Timing:
    """Both intervals of this system, in microseconds."""

    def __init__(self, desired_min_tx: int, required_min_rx: int) -> None:
        self.desired_min_tx = desired_min_tx
        self.required_min_rx = required_min_rx
        self.tx_in_use = desired_min_tx
        self.rx_in_use = required_min_rx
        self.polling = False
        """Whether periodic packets carry the P bit."""
        self._again = False

    def change(self, desired_min_tx: int, required_min_rx: int, *, up: bool) -> bool:
        """State other intervals and poll; return False where they are the stated ones."""
        if (desired_min_tx, required_min_rx) == (self.desired_min_tx, self.required_min_rx):
            return False
        self.desired_min_tx, self.required_min_rx = desired_min_tx, required_min_rx
        if up:
            self.tx_in_use = min(self.tx_in_use, desired_min_tx)
            self.rx_in_use = max(self.rx_in_use, required_min_rx)
        else:
            self._settle()
        # The answer to a poll under way may be to the old intervals: another poll follows it
        self._again = self.polling or self._again
        self.polling = self.polling or not self._again
        return True

    def answered(self) -> bool:
        """The F bit came; return whether the intervals in use may have changed by it."""
        if not self.polling:
            return False
        self.polling = False
        if not self._again:
            self._settle()
        return True

    def was_sent(self) -> None:
        """A periodic packet went out; one without P stands between two polls, so that they are told apart."""
        if self._again and not self.polling:
            self._again = False
            self.polling = True

    def _settle(self) -> None:
        self.tx_in_use = self.desired_min_tx
        self.rx_in_use = self.required_min_rx
