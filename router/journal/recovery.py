"""Reading a group's journal at start: the newest base, then the logs behind it, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from router.journal.directory import sync_directory
from router.journal.errors import DataDirectoryError
from router.journal.segment import (
    SegmentWriter,
    base_path,
    check_magic,
    find_good_block,
    list_segments,
    log_path,
    read_blocks,
)
from rui.backup.journal import MAGIC, Frame, JournalError
from rui.backup.messages import Position, Quarantined, Shared
from rui.backup.origins import Origins
from rui.backup.table import Table


@dataclass(frozen=True, slots=True)
class Cut:
    """A write that a crash left half done: ``dropped`` octets of ``path`` from ``octet`` on were cut off."""

    path: Path
    octet: int
    dropped: int


@dataclass(slots=True)
class Recovered:
    """What a journal held; ``log`` is the segment to go on with.

    ``octets`` and ``changes`` count what is on disk, superseded changes too.
    """

    table: Table = field(default_factory=Table)
    position: Position = field(default_factory=Position)
    facts: dict[str, str] = field(default_factory=dict)
    quarantined: dict[bytes, Quarantined] = field(default_factory=dict)
    origins: Origins = field(default_factory=Origins)
    shared: dict[bytes, Shared] = field(default_factory=dict)
    cuts: tuple[Cut, ...] = ()
    log: int = 1
    octets: int = 0
    changes: int = 0

    def replay(self, frame: Frame) -> None:
        """Take one frame, as the member took it when it was written."""
        table, quarantined = self.table, self.quarantined
        taken = table.apply_all(frame.changes)
        if quarantined or frame.quarantined:
            for change in taken:
                quarantined.pop(change.key, None)
                self._quarantine(change.key, frame.quarantined)
        if frame.origins:
            self.origins.recall(frame.changes, frame.origins)
        if frame.cleared:
            table.clear(frame.cleared, {change.key for change in frame.changes})
            for key in [key for key in quarantined if key not in table]:
                del quarantined[key]
        if frame.floor is not None:
            table.floor = max(table.floor, frame.floor)
        self.shared |= {shared.key: shared for shared in frame.shared}
        if frame.settled is not None and self.shared:
            self.shared = {key: one for key, one in self.shared.items() if one.version > frame.settled}
        self.position = frame.position
        self.changes += count_changes((frame,))
        self.facts.update(frame.facts)

    def _quarantine(self, key: bytes, reasons: Mapping[str, str]) -> None:
        reason = reasons.get(key.decode())
        held = self.table.get(key)
        if reason is not None and held is not None:
            self.quarantined[key] = Quarantined(key, held.version, reason)


def count_changes(frames: Iterable[Frame]) -> int:
    """Count what frames put on disk; one without changes counts as one."""
    return sum(len(frame.changes) + len(frame.shared) or 1 for frame in frames)


def recover(directory: Path) -> tuple[Recovered, SegmentWriter]:
    """Read a group's folder and open its last log for appending. Blocks; the files are read in blocks.

    Raises DataDirectoryError for a journal that is damaged, incomplete or another release's, naming file and
    octet, and for a disk that cannot be read or written.
    """
    try:
        return _recover(directory)
    except OSError as error:
        place = error.filename or directory
        raise DataDirectoryError(
            f"{place}: {error.strerror}", "free or repair the disk, then start again"
        ) from error


def _recover(directory: Path) -> tuple[Recovered, SegmentWriter]:
    listing = list_segments(directory)
    recovered = Recovered()
    first = listing.bases[-1] if listing.bases else 1
    for path in listing.leftovers:
        path.unlink()
    if listing.bases:
        _load(base_path(directory, first), recovered)
        # The base has no slots of what was superseded before it (see Table.complete_from)
        recovered.table.complete_from = recovered.table.head
    logs = [number for number in listing.logs if number >= first]
    if not logs and not listing.bases:
        writer = _first_log(directory)
        recovered.octets = writer.size
        return recovered, writer
    expected = list(range(first, first + len(logs)))
    if not logs or logs != expected:
        missing = next((number for number in expected if number not in logs), first)
        raise DataDirectoryError(
            f"{log_path(directory, missing)} is missing", f"restore that file, or move {directory} away"
        )
    for number in logs[:-1]:
        _load(log_path(directory, number), recovered)
    recovered.log = logs[-1]
    writer = _load_last(log_path(directory, recovered.log), recovered)
    _remove_replaced(directory, listing.bases[:-1], [n for n in listing.logs if n < first])
    return recovered, writer


def _first_log(directory: Path) -> SegmentWriter:
    writer = SegmentWriter.create(log_path(directory, 1))
    writer.sync()
    sync_directory(directory)
    return writer


def _load(path: Path, recovered: Recovered) -> None:
    """Read a segment that was complete before the next one began."""
    end, size = _replay(path, recovered)
    if end != size:
        raise _damaged(path, end)


def _load_last(path: Path, recovered: Recovered) -> SegmentWriter:
    """Read the segment that was being written, and cut off what a crash left half done."""
    end, size = _replay(path, recovered)
    if end != size:
        if find_good_block(path, end) is not None:
            raise _damaged(path, end)
        recovered.cuts = (Cut(path, end, size - end),)
    return SegmentWriter.reopen(path, end)


def _replay(path: Path, recovered: Recovered) -> tuple[int, int]:
    """Return the octet behind the last good block, and the file's size."""
    size = path.stat().st_size
    end = 0
    try:
        with path.open("rb") as file:
            if check_magic(file):
                end = len(MAGIC)
                for frames, behind in read_blocks(file, end):
                    for frame in frames:
                        recovered.replay(frame)
                    end = behind
    except JournalError as error:
        raise DataDirectoryError(
            f"{path}, block at octet {end}: {error}",
            f"start with the release that wrote it, or move {path.parent} away",
        ) from error
    recovered.octets += end
    return end, size


def _remove_replaced(directory: Path, bases: tuple[int, ...], logs: list[int]) -> None:
    """Finish a compaction that a crash cut short after its base was in place."""
    for path in [base_path(directory, n) for n in bases] + [log_path(directory, n) for n in logs]:
        path.unlink()


def _damaged(path: Path, octet: int) -> DataDirectoryError:
    return DataDirectoryError(
        f"{path} is damaged at octet {octet}, with good data behind it or a later segment",
        f"restore the file from a copy, or move {path.parent} away and start with an empty group",
    )
