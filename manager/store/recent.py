"""The newest batches in memory, so that handing them on to a secondary in sync reads no disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from rui.backup.messages import Batch, Change, Stream
from rui.backup.table import Slice
from rui.backup.version import Version

_OVERHEAD = 250
"""Octets of Python objects that hold one change or one batch, beside keys and records."""


class _Recent(NamedTuple):
    part: Stream
    changes: tuple[Change, ...]
    origins: Mapping[bytes, Version]


class RecentBatches:
    """A bounded memory of stream batches per group; the oldest of any group goes first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._order: deque[tuple[str, int]] = deque()
        self._groups: dict[str, deque[_Recent]] = {}

    def add(self, batch: Batch, before: Version) -> None:
        """Keep a stream batch that has moved the group's cursor on from ``before``."""
        part = batch.part
        if not isinstance(part, Stream) or part.last <= before:
            return
        size = _OVERHEAD + sum(
            len(change.key) + len(change.record or b"") + _OVERHEAD for change in batch.changes
        )
        self._groups.setdefault(batch.group, deque()).append(_Recent(part, batch.changes, batch.origins))
        self._order.append((batch.group, size))
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._drop_oldest()

    def forget(self, group: str) -> None:
        """Forget a group's batches: what comes next does not continue them."""
        if self._groups.pop(group, None):
            self._order = deque(item for item in self._order if item[0] != group)
            self._bytes = sum(size for _, size in self._order)

    def after(self, group: str, cursor: Version, limit: int) -> Slice | None:
        """Return what leads on from ``cursor`` in whole batches, or None if its beginning is not there.

        More than ``limit`` records only where the first batch alone holds them.
        """
        wanted: deque[_Recent] = deque()
        for batch in reversed(self._groups.get(group, ())):
            if batch.part.last <= cursor:
                break
            wanted.appendleft(batch)
        if not wanted or wanted[0].part.prev > cursor:
            return None
        first = wanted.popleft()
        taken, count = [first], len(first.changes)
        while wanted and count + len(wanted[0].changes) <= limit:
            taken.append(wanted.popleft())
            count += len(taken[-1].changes)
        # Of a key that is in several batches only the newest goes out, as the message promises
        newest: dict[bytes, Change] = {}
        origins: dict[bytes, Version] = {}
        for batch in taken:
            for change in batch.changes:
                held = newest.get(change.key)
                if held is None or change.version > held.version:
                    newest[change.key] = change
                    origins.pop(change.key, None)
                    if change.key in batch.origins:
                        origins[change.key] = batch.origins[change.key]
        return Slice(tuple(newest.values()), taken[-1].part.last, bool(wanted), origins)

    def _drop_oldest(self) -> None:
        group, size = self._order.popleft()
        held = self._groups[group]
        held.popleft()
        if not held:
            del self._groups[group]
        self._bytes -= size
