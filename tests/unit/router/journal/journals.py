"""Changes, frames and disks for the journal's tests."""

from __future__ import annotations

import asyncio
import errno
import shutil
from pathlib import Path

from router.journal import GroupJournal, Recovered, recover
from router.journal.segment import SegmentWriter
from rui.backup.journal import Frame
from rui.backup.messages import Change, Position
from rui.backup.version import ZERO, Epoch, Version

WRITER = Epoch(1, "bras-a")


def version(seq: int) -> Version:
    return Version(WRITER, seq) if seq else ZERO


def put(user: int, seq: int, record: bytes = b"<user/>") -> Change:
    return Change(b"02:00:00:00:00:%02x/0/0" % user, version(seq), record)


def gone(user: int, seq: int) -> Change:
    return Change(b"02:00:00:00:00:%02x/0/0" % user, version(seq), None)


def frame(*changes: Change) -> Frame:
    last = changes[-1].version if changes else ZERO
    return Frame(Position(last, None, WRITER), changes)


def held(recovered: Recovered) -> dict[bytes, Change]:
    """Return all that a table holds, tombstones too."""
    table = recovered.table
    return {key: change for key in table.held_keys() if (change := table.get(key)) is not None}


def files(directory: Path) -> list[str]:
    """Return the names of a folder's files."""
    return sorted(path.name for path in directory.iterdir())


def read_back(directory: Path) -> Recovered:
    """Recover a copy of a folder, as a restart after a crash at this moment would."""
    copy = directory.with_name(f"{directory.name}-copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy)
    recovered, writer = recover(copy)
    writer.close()
    return recovered


async def append(journal: GroupJournal, *frames: Frame) -> str | None:
    """Append frames; return the reason of a failure."""
    done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    journal.append(frames, done.set_result)
    return await done


class SmallDisk(SegmentWriter):
    """A segment on a disk that is full at ``limit`` octets; it writes what fits, as a real one does."""

    limit = 1 << 60
    sync_fails = False

    def _write(self, data: bytes) -> None:
        room = max(0, self.limit - self.size)
        super()._write(data[:room])
        if room < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def _sync(self) -> None:
        if self.sync_fails:
            raise OSError(errno.EIO, "Input/output error")
        super()._sync()
