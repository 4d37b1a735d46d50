"""What routers have durably written, as the world itself saw it: the yardstick of every check."""

from __future__ import annotations

import re
from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence

from rui.backup.lineage import Lineage
from rui.backup.messages import Change
from rui.backup.version import ZERO, Epoch, Version
from rui_cli.sim.violation import Violation

_NUMBER = re.compile(rb"<user>(\d+)")


def record(number: int, extra: bytes = b"") -> bytes:
    """Return the record of a login that is the ``number``-th thing that users did."""
    return b"<user>%d%s</user>" % (number, extra)


class Truth:
    """Every change by its version, and what users did last, in the order of their doing.

    Changes that a primary takes over from another's history are the same deeds under new versions.
    ``contested`` are the keys that two primaries at once have changed: either may win. Who is in
    ``may_be_back`` may be held although he has logged off: that was forgotten.
    """

    def __init__(self) -> None:
        self.written: dict[Version, Change] = {}
        self.newest: dict[bytes, Change] = {}
        self.ends: dict[bytes, Version] = {}
        self.contested: set[bytes] = set()
        self.may_be_back: set[bytes] = set()
        self._order: list[Version] = []
        self._deeds: dict[Version, int] = {}
        self._last: dict[bytes, tuple[int, bytes | None]] = {}
        self._logoffs: dict[bytes, int] = {}
        self._done: set[int] = set()
        self._deed_of: dict[bytes, tuple[int, Version]] = {}
        # The history that was asked for last, and where its epochs end
        self._lineage: Lineage = ()
        self._ends: dict[Epoch, Version | None] = {}

    def logged_off(self, version: Version, number: int) -> None:
        """The user's ``number``-th deed was a logoff, taken under a version."""
        self._deeds[version] = number

    def wrote(self, device: str, changes: Sequence[Change]) -> None:
        """A router's journal holds these changes now: its own, or another's that has known them before."""
        for change in changes:
            known = self.written.get(change.version)
            if known is None and change.version.epoch.device == device:
                self._new(change)
            elif known != change:
                was = "nothing" if known is None else f"{known.key.decode()}: {known.record!r}"
                raise Violation(
                    4, f"{device} writes {change.version} of {change.key.decode()}, which was {was}"
                )

    def _new(self, change: Change) -> None:
        key, version, content = change
        self.written[version] = change
        if not self._order or version > self._order[-1]:
            self._order.append(version)
        else:
            insort(self._order, version)
        held = self.newest.get(key)
        if held is None or version > held.version:
            self.newest[key] = change
        if content is None:
            self.ends[key] = max(version, self.ends.get(key, version))
        number = self._number(key, version, content)
        if number not in self._done:
            self._done.add(number)
            last, newest = self._deed_of.get(key, (number, version))
            if (number > last) != (version > newest) and number != last:
                # Two writers that did not know of each other: the later deed has the lower version
                self.contested.add(key)
            self._deed_of[key] = max((last, newest), (number, version))
        if number >= self._last.get(key, (0, None))[0]:
            self._last[key] = number, content

    def _number(self, key: bytes, version: Version, content: bytes | None) -> int:
        if content is not None:
            found = _NUMBER.match(content)
            return int(found[1]) if found is not None else 0
        number = self._deeds.pop(version, None)
        if number is None:
            return self._logoffs.get(key, 0)
        self._logoffs[key] = max(number, self._logoffs.get(key, 0))
        return number

    def between(self, after: Version, upto: Version, lineage: Lineage) -> Iterator[Change]:
        """Yield what a history holds after one version up to another, in order."""
        if lineage is not self._lineage:
            self._lineage, self._ends = lineage, _ends(lineage)
        ends = self._ends
        start = bisect_right(self._order, after) if after != ZERO else 0
        for version in self._order[start : bisect_right(self._order, upto, start)]:
            end = ends.get(version[0], ZERO)
            if end is None or version <= end:
                yield self.written[version]

    def count_after(self, version: Version) -> int:
        """Return how many changes are newer."""
        return len(self._order) - (bisect_right(self._order, version) if version != ZERO else 0)

    def ended(self, change: Change) -> bool:
        """Whether a delete of the change's key came after it."""
        return self.ends.get(change.key, ZERO) > change.version

    def superseded(self, change: Change) -> bool:
        """Whether a change of the same key under a newer version came after it."""
        return self.newest[change.key].version > change.version

    def gone(self, key: bytes) -> bool:
        """Whether the newest that was written of a key is its end."""
        newest = self.newest.get(key)
        return newest is None or newest.record is None

    def may_return(self, change: Change) -> bool:
        """Whether a copy that has forgotten a key may take this as it follows another history.

        A delete, a login after every logoff, or what that history has written over since: that comes too.
        """
        key, version, content = change
        if content is None or self.superseded(change):
            return True
        return self._number(key, version, content) > self._logoffs.get(key, 0)

    def online(self) -> dict[bytes, bytes]:
        """Return the record of each user that is online in the end."""
        return {key: content for key, (_, content) in self._last.items() if content is not None}


def _ends(lineage: Lineage) -> dict[Epoch, Version | None]:
    """Return up to where each epoch's changes belong to a history; None where it goes on."""
    ends: dict[Epoch, Version | None] = {}
    for fork, following in zip(lineage, [*lineage[1:], None], strict=True):
        ends[fork.epoch] = following.after if following is not None else None
    return ends
