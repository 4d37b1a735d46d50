"""The keys of a table by bucket, while pages of a snapshot are read or taken."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from rui.backup.messages import bucket_of


class BucketIndex:
    """Keys by bucket; who is dropped from the table stays, so whoever reads asks the table what it holds."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys: dict[int, list[bytes]] = {}
        for key in keys:
            self._keys.setdefault(bucket_of(key), []).append(key)
        self._filled = sorted(self._keys)

    def add(self, key: bytes) -> None:
        """Take up a key, unless it was there before."""
        bucket = bucket_of(key)
        keys = self._keys.get(bucket)
        if keys is None:
            self._keys[bucket] = [key]
            insort(self._filled, bucket)
        elif key not in keys:
            keys.append(key)

    def between(self, first: int, last: int) -> Iterator[tuple[int, list[bytes]]]:
        """Yield the buckets ``first`` to ``last`` that have keys, and those; none may be added meanwhile."""
        filled = self._filled
        for place in range(bisect_left(filled, first), len(filled)):
            bucket = filled[place]
            if bucket > last:
                return
            yield bucket, self._keys[bucket]
