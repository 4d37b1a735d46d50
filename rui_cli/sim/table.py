"""The product's table, and a record of what became of each key in it."""

from __future__ import annotations

from collections.abc import Iterable

from rui.backup.messages import Change
from rui.backup.table import Table
from rui.backup.version import ZERO, Version
from rui_cli.sim.truth import Truth
from rui_cli.sim.violation import Violation


class Ledger:
    """What one node has ever held of each key, checked change by change.

    While ``writing``, as the primary, what comes is new and not durable yet.
    """

    def __init__(self, node: str, truth: Truth) -> None:
        self.node = node
        self.truth = truth
        self.writing = False
        self.newest: dict[bytes, Version] = {}
        self._cleared: set[bytes] = set()
        # Keys of a history that was left, of which nothing is remembered: the one joined may have them yet
        self._left: set[bytes] = set()
        self._doubt: Violation | None = None

    def taken(self, change: Change) -> None:
        """The table has taken a change."""
        key, version, record = change
        last = self.newest.get(key)
        if last is not None and version <= last:
            invariant = 5 if record is not None and self.truth.gone(key) else 6
            found = Violation(
                invariant, f"{self.node} takes {key.decode()} of {version} where it has held {last}"
            )
            if not self.truth.may_return(change):
                raise found
            if key not in self._left:
                self._doubt = self._doubt or found
        self.newest[key] = version
        self._cleared.discard(key)
        self._left.discard(key)
        if not self.writing:
            written = self.truth.written.get(version)
            if written != change:
                raise Violation(4, f"{self.node} takes {version}, which no journal holds like this")

    def dropped(self, change: Change) -> None:
        """The table has let go of what it held of a key."""
        if change.record is not None:
            self._cleared.add(change.key)
        # Who was written anew since comes under that version, which no cursor passes before it is held
        if change.record is not None and not self.truth.superseded(change):
            raise Violation(1, f"{self.node} drops {change.key.decode()} of {change.version}: it is alive")

    def holds(self, change: Change) -> bool:
        """Whether a replica holds a change durably, or a newer one of its key."""
        return not self.writing and self.newest.get(change.key, ZERO) >= change.version

    def paged(self, *, whole: bool) -> None:
        """A snapshot has come to its end, or was given up: then what it has cleared may yet come again."""
        if not whole:
            for key in self._cleared:
                self.newest.pop(key, None)
        self._cleared.clear()

    def settled(self) -> None:
        """No other history is followed than before: what has come twice had no reason to."""
        if self._doubt is not None:
            raise self._doubt

    def joined(self, table: Table, shared: Version) -> None:
        """Another history is followed behind ``shared``: what is forgotten of this one may come again."""
        self._doubt = None
        gone = (key for key, version in self.newest.items() if version > shared and table.get(key) is None)
        self._left.update(gone)

    def restart(self, table: Table) -> None:
        """Go on with what a new process, or another copy of the store, holds."""
        durable = {key: version for key, version in self.newest.items() if version in self.truth.written}
        for key in table.held_keys():
            held = table.get(key)
            if held is not None:
                durable[key] = max(held.version, durable.get(key, held.version))
        self.newest = durable


class WatchedTable(Table):
    """A table that tells its ledger, once it has one."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger: Ledger | None = None
        self.looked_up: dict[int, Version] = {}
        """Versions by their ordinals, each of which the table's code has made once."""

    def apply_all(self, changes: Iterable[Change]) -> list[Change]:
        """Take changes as any table does, and tell the ledger of each that was taken."""
        taken = super().apply_all(changes)
        if self.ledger is not None:
            for change in taken:
                self.ledger.taken(change)
        return taken

    def _version(self, ordinal: int) -> Version:
        known = self.looked_up.get(ordinal)
        if known is None:
            known = self.looked_up[ordinal] = super()._version(ordinal)
        return known

    def _drop(self, key: bytes) -> None:
        if self.ledger is not None:
            held = self.get(key)
            if held is not None:
                self.ledger.dropped(held)
        super()._drop(key)
