"""The replica side of a member: batches that wait for the disk, judged together and then applied."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rui.backup.journal import Frame
from rui.backup.messages import Batch, Position, Quarantined, Receipt, Result
from rui.backup.origins import Origins
from rui.backup.replica import Judgement
from rui.backup.table import Table


@dataclass(frozen=True, slots=True)
class Incoming:
    """A batch, the records of it that the model refuses, who is to be answered, and the way it came."""

    batch: Batch
    quarantined: tuple[Quarantined, ...]
    tag: object
    via: str

    def receipt(self, judgement: Judgement, agrees: bool | None) -> Receipt:
        """Return the receipt that a judgement calls for; ``agrees`` as in the receipt."""
        facts = (self.batch.group, judgement.result, judgement.position, judgement.reason, self.quarantined)
        return Receipt(*facts, agrees=agrees)


class Intake:
    """Batches in the order in which they came; ``judged`` are those of the append under way."""

    def __init__(self) -> None:
        self.waiting: deque[Incoming] = deque()
        self.judged: list[tuple[Incoming, Judgement]] = []

    def judge(self, position: Position, judge: Callable[[Position, Batch], Judgement]) -> list[Frame]:
        """Judge all that waits, one after the other; return the frames that must be durable first."""
        frames = []
        while self.waiting:
            incoming = self.waiting.popleft()
            judgement = judge(position, incoming.batch)
            self.judged.append((incoming, judgement))
            if not judgement.apply:
                continue
            position = judgement.position
            if judgement.result is Result.STORED:
                quarantined = {bad.key.decode(): bad.reason for bad in incoming.quarantined}
                changes = incoming.batch.changes
                origins = incoming.batch.origins
                frames.append(
                    Frame(position, changes, judgement.clear, quarantined=quarantined, origins=origins)
                )
            else:
                frames.append(Frame(position))
        return frames

    def drop(self, via: str = "") -> list[Incoming]:
        """Return what waits, of one way or of all, and forget it."""
        dropped = [incoming for incoming in self.waiting if via in {"", incoming.via}]
        self.waiting = deque(incoming for incoming in self.waiting if via not in {"", incoming.via})
        return dropped

    def drain(self) -> list[tuple[Incoming, Judgement]]:
        """Return what was judged, and forget it: the append has succeeded or failed."""
        judged, self.judged = self.judged, []
        return judged


def apply(
    incoming: Incoming,
    judgement: Judgement,
    table: Table,
    quarantined: dict[bytes, Quarantined],
    origins: Origins,
) -> None:
    """Bring a stored batch into the table, and what is known of its records: refused ones, adopted ones."""
    changes = incoming.batch.changes
    bad = {entry.key: entry for entry in incoming.quarantined}
    taken = table.apply_all(changes)
    origins.recall(taken, incoming.batch.origins)
    if quarantined or bad:
        for change in taken:
            quarantined.pop(change.key, None)
            if change.key in bad:
                quarantined[change.key] = bad[change.key]
    if judgement.clear:
        table.clear(judgement.clear, {change.key for change in changes})
        for key in [key for key in quarantined if key not in table]:
            del quarantined[key]
