"""The latest changes of the storage entries (S403), for operators to read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from rui.backup.identity import StorageEntry


@dataclass(frozen=True, slots=True)
class Recorded:
    """One storage entry as it was; ``index`` counts the group's changes since the start."""

    index: int
    entry: StorageEntry


class IdentityHistory:
    """One group's, bounded; the newest entry is the last. What the store held at the start comes first."""

    def __init__(self, entries: Iterable[StorageEntry] = ()) -> None:
        self.entries: deque[Recorded] = deque()
        self._count = 0
        self._latest: dict[str, StorageEntry] = {}
        for entry in sorted(entries, key=lambda entry: entry.since):
            self.note(entry, len(self.entries) + 1)

    def note(self, entry: StorageEntry, limit: int) -> None:
        """Take an entry as it is now, unless nothing has changed; keep so many at most."""
        if self._latest.get(entry.device) == entry:
            return
        self._latest[entry.device] = entry
        self._count += 1
        self.entries.append(Recorded(self._count, entry))
        while len(self.entries) > limit:
            self.entries.popleft()
