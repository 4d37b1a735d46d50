"""The writing side of a member: numbers changes under an epoch, and keeps what waits for the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rui.backup.journal import Frame
from rui.backup.lineage import Lineage, extend
from rui.backup.messages import Change, Position, Quarantined
from rui.backup.origins import Origins
from rui.backup.version import NO_EPOCH, Epoch, Version


@dataclass(frozen=True, slots=True)
class _Step:
    """What is done under one epoch; without changes it is the claim itself."""

    epoch: Epoch
    lineage: Lineage
    changes: list[Change]

    def after(self, position: Position) -> Position:
        cursor = self.changes[-1].version if self.changes else position.cursor
        return Position(cursor, None, self.epoch, self.lineage)


class Writer:
    """Continues the history of ``position`` in the name of ``device``, one epoch after the other."""

    def __init__(self, device: str, position: Position) -> None:
        self.epoch = NO_EPOCH
        self.lineage = position.lineage
        self.newest = position.cursor
        """The newest version of this history: where the next epoch begins."""
        self.pending_bytes = 0
        """Octets of records that are not durable yet."""
        self._device = device
        self._seq = 0
        self._steps: deque[_Step] = deque()

    def continue_from(self, position: Position) -> None:
        """Go on behind what a replica holds whole: a snapshot in progress does not count."""
        self.lineage, self.newest = position.lineage, position.cursor

    def forget_epoch(self) -> None:
        """Take back the newest epoch from the lineage: another history has used its name before."""
        self.newest = self.lineage[-1].after
        self.lineage = self.lineage[:-1]

    def claim(self, *above: Epoch) -> None:
        """Take an epoch above all that are known."""
        counter = max(epoch.counter for epoch in (*above, self.epoch)) + 1
        self.epoch, self._seq = Epoch(counter, self._device), 0
        self.lineage = extend(self.lineage, self.epoch, self.newest)
        self._steps.append(_Step(self.epoch, self.lineage, []))

    @property
    def last(self) -> Version:
        """The newest version of this epoch; its claim where it has written nothing."""
        return self.newest if self.newest.epoch == self.epoch else Version(self.epoch, 0)

    def change(self, key: bytes, record: bytes | None) -> Change:
        """Number a change; it waits for :meth:`frames`."""
        self._seq += 1
        self.newest = Version(self.epoch, self._seq)
        change = Change(key, self.newest, record)
        if not self._steps:
            self._steps.append(_Step(self.epoch, self.lineage, []))
        self._steps[-1].changes.append(change)
        self.pending_bytes += len(record or b"")
        return change

    def frames(
        self, position: Position, origins: Origins, quarantined: Mapping[bytes, Quarantined]
    ) -> list[Frame]:
        """Return what waits, behind ``position``, for one append, with what is known of its records."""
        found = []
        while self._steps:
            step = self._steps.popleft()
            position = step.after(position)
            reasons = {
                key.decode(): quarantined[key].reason
                for key, version, _ in (step.changes if quarantined else ())
                if key in quarantined and quarantined[key].version == version
            }
            origin = origins.among(step.changes)
            found.append(Frame(position, step.changes, quarantined=reasons, origins=origin))
        return found

    def written(self, frames: Iterable[Frame]) -> None:
        """Frames are durable: their records wait no more."""
        self.pending_bytes -= sum(len(change.record or b"") for frame in frames for change in frame.changes)

    @property
    def waiting(self) -> int:
        """How many changes wait for :meth:`frames`."""
        return sum([len(step.changes) for step in self._steps])
