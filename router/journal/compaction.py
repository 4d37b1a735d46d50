"""Keeping the journal's size in proportion: the table is copied to a new base beside the running router.

The order makes a crash harmless at any point: a new log begins; the table goes to ``base-N.tmp`` slice by
slice; once all that the copy holds is durable in the logs too, the base is synced and renamed, and only then
is what it replaces removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from router.journal.directory import sync_directory
from router.journal.segment import SegmentWriter, base_path, encode_block, list_segments, log_path
from router.journal.writer import GroupJournal
from rui.backup.journal import Frame
from rui.backup.messages import Change, Position, Quarantined
from rui.backup.origins import Origins
from rui.backup.sharing import Sharing
from rui.backup.table import Table

SLICE = 1000
"""Records copied without a pause: about a millisecond of the loop's time."""
SYNC_EVERY = 32 << 20
SPARE = 50_000
"""Superseded changes that are let be on disk, however small the table is."""


class Copied(Protocol):
    """What a base is made of: the member whose journal it is."""

    @property
    def table(self) -> Table: ...  # noqa: D102
    @property
    def position(self) -> Position: ...  # noqa: D102
    @property
    def facts(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def quarantined(self) -> Mapping[bytes, Quarantined]: ...  # noqa: D102
    @property
    def origins(self) -> Origins: ...  # noqa: D102
    @property
    def sharing(self) -> Sharing: ...  # noqa: D102


Settled = Callable[[], Awaitable[None]]
"""Waits until everything that the table holds at the call is durable in the journal."""


class Compactor:
    """Compacts one group's journal; never twice at a time."""

    def __init__(
        self, journal: GroupJournal, member: Copied, settled: Settled, *, spare: int = SPARE
    ) -> None:
        self._journal = journal
        self._member = member
        self._settled = settled
        self._spare = spare

    def due(self) -> bool:
        """Say whether more than half of what is on disk, and enough to be worth it, is superseded."""
        table = self._member.table
        kept = len(table) + table.tombstones
        return self._journal.changes > 2 * kept + self._spare

    async def run(self) -> int:
        """Write a base and remove what it replaces; return how many octets that freed. Raises OSError.

        After an error the journal is as before, but for one more log segment.
        """
        journal = self._journal
        number = await journal.rotate()
        path = base_path(journal.directory, number)
        temporary = path.with_name(f"{path.name}.tmp")
        writer = await asyncio.to_thread(SegmentWriter.create, temporary)
        try:
            copied = await self._copy(writer)
            await self._settled()
            member = self._member
            last = Frame(
                member.position,
                floor=member.table.floor,
                facts=dict(member.facts),
                shared=list(member.sharing),
                settled=member.sharing.settled,
            )
            await asyncio.to_thread(writer.append, encode_block([last]), sync=True)
        except BaseException:
            writer.close()
            temporary.unlink(missing_ok=True)
            raise
        writer.close()
        freed = await asyncio.to_thread(_replace, journal.directory, temporary, path, number)
        journal.replaced(copied, writer.size, freed)
        return freed - writer.size

    async def _copy(self, writer: SegmentWriter) -> int:
        member = self._member
        keys = member.table.held_keys()
        unsynced = 0
        copied = 0
        for start in range(0, len(keys), SLICE):
            frame = self._slice(keys[start : start + SLICE])
            size = writer.size
            copied += len(frame.changes)
            await asyncio.to_thread(_append, writer, frame, unsynced >= SYNC_EVERY)
            unsynced = 0 if unsynced >= SYNC_EVERY else unsynced + writer.size - size
        return copied

    def _slice(self, keys: Sequence[bytes]) -> Frame:
        table, quarantined = self._member.table, self._member.quarantined
        changes: list[Change] = [change for key in keys if (change := table.get(key)) is not None]
        refused = {}
        if quarantined:
            refused = {key.decode(): quarantined[key].reason for key in keys if key in quarantined}
        origins = self._member.origins.among(changes)
        return Frame(self._member.position, changes, quarantined=refused, origins=origins)


def _append(writer: SegmentWriter, frame: Frame, sync: bool) -> None:
    writer.append(encode_block([frame]), sync=sync)


def _replace(directory: Path, temporary: Path, path: Path, number: int) -> int:
    """Put the base in place, then remove what it stands for; return how many octets that freed."""
    temporary.rename(path)
    sync_directory(directory)
    listing = list_segments(directory)
    replaced = [base_path(directory, n) for n in listing.bases if n < number]
    replaced += [log_path(directory, n) for n in listing.logs if n < number]
    freed = sum(old.stat().st_size for old in replaced)
    for old in replaced:
        old.unlink()
    return freed
