"""What primaries have durably written, as the world itself saw it: the yardstick of every check."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence

from rui.backup.messages import Change
from rui.backup.version import ZERO, Epoch, Version
from rui_cli.sim.violation import Violation


class Truth:
    """Every change by its version, in version order."""

    def __init__(self) -> None:
        self.written: dict[Version, Change] = {}
        self.newest: dict[bytes, Change] = {}
        self.ends: dict[bytes, Version] = {}
        self.writers: dict[Epoch, str] = {}
        self._order: list[Version] = []

    def wrote(self, device: str, changes: Sequence[Change]) -> None:
        """A primary's journal holds these changes now."""
        for change in changes:
            key, version, record = change
            epoch = version.epoch
            if self.writers.setdefault(epoch, device) != device or epoch.device != device:
                raise Violation(4, f"{device} writes {version}, an epoch of {self.writers[epoch]}")
            if version in self.written:
                raise Violation(4, f"{device} has written {version} twice")
            self.written[version] = change
            if not self._order or version > self._order[-1]:
                self._order.append(version)
            else:
                insort(self._order, version)
            held = self.newest.get(key)
            if held is None or version > held.version:
                self.newest[key] = change
            if record is None:
                self.ends[key] = max(version, self.ends.get(key, version))

    def between(self, after: Version, upto: Version) -> Iterator[Change]:
        """Yield what was written after one version up to another, in order."""
        start = bisect_right(self._order, after) if after != ZERO else 0
        for number in range(start, bisect_right(self._order, upto)):
            yield self.written[self._order[number]]

    def gone(self, key: bytes) -> bool:
        """Whether the newest that was written of a key is its end."""
        newest = self.newest.get(key)
        return newest is None or newest.record is None

    def count_after(self, version: Version) -> int:
        """Return how many changes are newer."""
        return len(self._order) - (bisect_right(self._order, version) if version != ZERO else 0)

    def ended(self, change: Change) -> bool:
        """Whether a delete of the change's key came after it."""
        return self.ends.get(change.key, ZERO) > change.version

    def live(self) -> dict[bytes, Version]:
        """Return what every copy has to hold in the end."""
        return {key: change.version for key, change in self.newest.items() if change.record is not None}
