"""Whose batches are under way on each session, so that a receipt is taken for the batch that it answers.

Exactly one receipt answers each batch of a session, in order, and does not say which. What sends may have
ended meanwhile, and another stream or an offer may have begun on the same session: its receipts come only
after those of the first.
"""

from __future__ import annotations

from collections import deque

from rui.backup.source import Source


class Ways:
    """By the name of the far end. Bounded: each source has a window, and a time after which it gives up."""

    def __init__(self) -> None:
        self._under_way: dict[str, deque[Source]] = {}

    def sent(self, via: str, source: Source) -> None:
        """A batch of this source goes out."""
        self._under_way.setdefault(via, deque()).append(source)

    def answered(self, via: str) -> Source | None:
        """Return whose batch is answered by the receipt that has come; None where none is under way."""
        waiting = self._under_way.get(via)
        return waiting.popleft() if waiting else None

    def gone(self, via: str) -> None:
        """The session is gone; what is under way on it is answered no more."""
        self._under_way.pop(via, None)
