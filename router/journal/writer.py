"""The writing end of a group's journal: one thread, one write and one fdatasync per append."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from router.journal.directory import sync_directory
from router.journal.recovery import Recovered, count_changes, recover
from router.journal.segment import SegmentWriter, encode_block, log_path
from rui.backup.journal import MAGIC, Frame

Written = Callable[[str | None], None]
"""Called on the loop when an append is durable (None) or has failed (the reason)."""


@dataclass(slots=True)
class JournalCounters:
    """What a journal has done since it was opened."""

    appends: int = 0
    failures: int = 0
    octets: int = 0
    compactions: int = 0


class GroupJournal:
    """One group's journal, open for writing. All methods belong to the loop's thread.

    What comes in while an append is under way goes with the next one: the member hands over one at a time.
    """

    def __init__(self, directory: Path, writer: SegmentWriter, recovered: Recovered) -> None:
        self.directory = directory
        self.counters = JournalCounters()
        self.octets = recovered.octets
        self.changes = recovered.changes
        self.busy = 0
        """How many appends are under way."""
        self._older_changes = 0
        """How many changes are on disk, superseded ones too."""
        self._writer = writer
        self._number = recovered.log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"journal-{directory.name}")

    @classmethod
    def open(cls, directory: Path) -> tuple[GroupJournal, Recovered]:
        """Recover a group's folder and open it for appending; raises DataDirectoryError. Blocks."""
        recovered, writer = recover(directory)
        return cls(directory, writer, recovered), recovered

    def append(self, frames: Sequence[Frame], written: Written) -> None:
        """Write frames durably as one block, then call ``written`` on the loop that is running now."""
        loop = asyncio.get_running_loop()

        changes = count_changes(frames)

        def done(future: Future[int]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._appended, future, changes, written)

        self.busy += 1
        self._thread.submit(self._append, frames).add_done_callback(done)

    async def rotate(self) -> int:
        """Begin the next log segment behind all appends so far; return its number. Raises OSError."""
        number = await asyncio.wrap_future(self._thread.submit(self._rotate))
        self._older_changes = self.changes
        self.octets += len(MAGIC)
        return number

    def replaced(self, changes: int, octets: int, freed: int) -> None:
        """Note that a base of ``changes`` and ``octets`` stands for what was there before the rotation."""
        self.changes += changes - self._older_changes
        self.octets += octets - freed
        self.counters.compactions += 1

    async def close(self) -> None:
        """Finish the append under way, then close the file."""
        await asyncio.to_thread(self._thread.shutdown)
        self._writer.close()

    def _append(self, frames: Sequence[Frame]) -> int:
        data = encode_block(frames)
        self._writer.append(data, sync=True)
        return len(data)

    def _appended(self, future: Future[int], changes: int, written: Written) -> None:
        error = future.exception()
        self.busy -= 1
        if error is None:
            self.counters.appends += 1
            self.counters.octets += future.result()
            self.octets += future.result()
            self.changes += changes
            written(None)
        elif isinstance(error, (OSError, ValueError)):
            self.counters.failures += 1
            written(f"{self._writer.path}: {getattr(error, 'strerror', None) or error}")
        else:
            raise error

    def _rotate(self) -> int:
        number = self._number + 1
        writer = SegmentWriter.create(log_path(self.directory, number))
        try:
            writer.sync()
            sync_directory(self.directory)
            # Nothing half-written may stay in a segment that another one follows
            self._writer.repair()
        except OSError:
            writer.close()
            writer.path.unlink(missing_ok=True)
            raise
        self._writer.close()
        self._writer, self._number = writer, number
        return number
