"""Under which version a primary was offered what it has written anew, kept with the journal.

Another replica may offer a change of the same user later: it is compared with the change that was offered,
not with the newer version under which that was written here. Origins travel with the primary's stream, so
that whoever holds its changes knows them, and offers what was adopted with what it was before. An origin is
only known for as long as the table holds what was adopted as it was written: a user's own next change makes
it void by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rui.backup.messages import Change
from rui.backup.version import Version

KEPT = 100_000
"""Of more adopted users the oldest are compared by the version that they were written under."""


class Origins:
    """By key: the version in the table, and the one that it was offered under."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: dict[bytes, tuple[Version, Version]] = {}
        # Of these the origin is no version of a change: somewhere before it the user has logged off. Not kept
        # with the journal.
        self._bounds: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._known)

    def note(self, key: bytes, written: Version, origin: Version, *, bound: bool = False) -> None:
        """What was offered under ``origin`` is written as ``written``; ``bound``: an end from before it."""
        self._known.pop(key, None)
        self._known[key] = (written, origin)
        self._bounds.discard(key)
        if bound:
            self._bounds.add(key)
        if len(self._known) > self._kept:
            self._forget(next(iter(self._known)))

    def bounds(self, held: Change) -> bool:
        """Say whether this is an end of which only the latest time is known."""
        return held.key in self._bounds and self.of(held) != held.version

    def of(self, held: Change | None) -> Version | None:
        """Return the version that an offer of this key has to be newer than; None where nothing is held."""
        if held is None:
            return None
        known = self._known.get(held.key)
        if known is None:
            return held.version
        if known[0] == held.version:
            return known[1]
        self._forget(held.key)
        return held.version

    def moved(self, held: Change, written: Version) -> None:
        """What is held is written again, unchanged, as ``written``."""
        origin = self.of(held) or held.version
        self.note(held.key, written, origin, bound=held.key in self._bounds)

    def among(self, changes: Iterable[Change]) -> Mapping[bytes, Version]:
        """Return those of changes that go into a frame of the journal or into a batch."""
        if not self._known:
            return {}
        found = {}
        for key, version, _ in changes:
            known = self._known.get(key)
            if known is not None and known[0] == version:
                found[key] = known[1]
            else:
                found.pop(key, None)  # Changed again in the same frame
        return found

    def recall(self, changes: Iterable[Change], origins: Mapping[bytes, Version]) -> None:
        """Take back what :meth:`among` has given for these changes."""
        if not origins:
            return
        for key, version, _ in changes:
            origin = origins.get(key)
            if origin is not None:
                self.note(key, version, origin)

    def _forget(self, key: bytes) -> None:
        del self._known[key]
        self._bounds.discard(key)
