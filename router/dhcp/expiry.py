"""Which leases run out when, without a second table of users.

Each key stands in one bucket per second, put there once. When the bucket is due, the caller's table says
when the lease really ends, and the key moves on to that second: a renewal therefore costs nothing here.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable

_REBUILD_AT_LEAST = 4096

ExpiryOf = Callable[[bytes], float | None]
"""Gives the monotonic second at which a key's lease ends; None for a user who is not online."""


class ExpiryBuckets:
    """Keys by the second in which their lease ends at the earliest."""

    def __init__(self) -> None:
        self._buckets: dict[int, list[bytes]] = {}
        self._seconds: list[int] = []
        self._entries = 0

    def __len__(self) -> int:
        return self._entries

    def add(self, key: bytes, expiry: float) -> None:
        """Put a key in; once for a user who gets online. An infinite expiry needs no place."""
        if math.isinf(expiry):
            return
        second = math.ceil(expiry)
        bucket = self._buckets.get(second)
        if bucket is None:
            self._buckets[second] = [key]
            heapq.heappush(self._seconds, second)
        else:
            bucket.append(key)
        self._entries += 1

    def next_second(self) -> int | None:
        """Return the next second at which something may be due."""
        return self._seconds[0] if self._seconds else None

    def take_due(self, now: float, expiry_of: ExpiryOf, limit: int) -> list[bytes]:
        """Return at most ``limit`` keys whose lease has run out, having looked at no more than ``limit``."""
        expired: list[bytes] = []
        looked_at = 0
        while self._seconds and self._seconds[0] <= now and looked_at < limit:
            second = self._seconds[0]
            bucket = self._buckets[second]
            take = bucket[looked_at - limit :]
            del bucket[looked_at - limit :]
            if not bucket:
                heapq.heappop(self._seconds)
                del self._buckets[second]
            looked_at += len(take)
            self._entries -= len(take)
            # A user who went and came again stands here twice until both entries fall in one second
            for key in dict.fromkeys(take):
                expiry = expiry_of(key)
                if expiry is None:
                    continue
                if expiry <= now:
                    expired.append(key)
                else:
                    self.add(key, expiry)
        return expired

    def rebuild_if_bloated(self, online: int, expiry_of: ExpiryOf) -> None:
        """Drop the entries of users who went or stand here twice, once these are more than those online.

        Users who come and go faster than their leases run out would otherwise pile up entries.
        """
        if self._entries <= 2 * online + _REBUILD_AT_LEAST:
            return
        keys: Iterable[bytes] = dict.fromkeys(key for bucket in self._buckets.values() for key in bucket)
        self._buckets, self._seconds, self._entries = {}, [], 0
        for key in keys:
            expiry = expiry_of(key)
            if expiry is not None:
                self.add(key, expiry)
