"""Which address of a client a server calls next (RFC 8071 section 4.1; terms of ietf-netconf-server)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Generic, TypeVar

E = TypeVar("E")


class StartWith(StrEnum):
    """The endpoint with which a server begins once a connection is lost."""

    FIRST_LISTED = "first-listed"
    LAST_CONNECTED = "last-connected"
    RANDOM_SELECTION = "random-selection"


class Rotation(Generic[E]):
    """The endpoints of one client, each tried `attempts` times before the next; the first is behind the last.

    `endpoints` are in the order of the configuration, at least one. Randomness is handed in.
    """

    def __init__(
        self, endpoints: Sequence[E], start_with: StartWith, attempts: int, rng: random.Random
    ) -> None:
        if not endpoints or attempts < 1:
            raise ValueError("a client that is called needs an endpoint, and a try of it")
        self._endpoints = tuple(endpoints)
        self._start_with = start_with
        self._attempts = attempts
        self._rng = rng
        self._failures = 0
        self._index = 0
        if start_with is StartWith.RANDOM_SELECTION:
            self._begin()

    @property
    def current(self) -> E:
        """The endpoint to try now."""
        return self._endpoints[self._index]

    def failed(self) -> bool:
        """Take note that no session came about; say whether another endpoint is next, which needs no wait."""
        self._failures += 1
        if self._failures < self._attempts or len(self._endpoints) == 1:
            return False
        self._failures = 0
        self._index = (self._index + 1) % len(self._endpoints)
        return self._index != 0

    def lost(self) -> None:
        """Take note that a session there was is over."""
        self._failures = 0
        self._begin()

    def _begin(self) -> None:
        match self._start_with:
            case StartWith.FIRST_LISTED:
                self._index = 0
            case StartWith.LAST_CONNECTED:
                pass
            case StartWith.RANDOM_SELECTION:
                self._index = self._rng.randrange(len(self._endpoints))
