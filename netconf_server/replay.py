"""The log behind a stream's replay (RFC 5277 3.3): on disk, bounded by size, readable while it grows.

The log is a row of files, the segments. Only the newest is written to; when it is full a new one is begun and
the oldest are deleted. A record is a header (length, checksum, time) and the notification's content. A record
that a crash has torn is cut off at the next start. What was appended outlives the process, not a loss of
power.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog

log = structlog.get_logger(__name__)

DEFAULT_MAX_SIZE: Final = 16 * 1024 * 1024
"""Bytes that the log of one stream takes at most on disk."""

_MAGIC: Final = b"NCEVENT1"
_HEAD: Final = struct.Struct(">8sqq")
_RECORD: Final = struct.Struct(">IIq")
_SEGMENTS: Final = 8
_NEVER: Final = -(2**63)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"\.(\d{8,})\.events$")


@dataclass(frozen=True, slots=True)
class Logged:
    """One notification of the log: when it happened, and its content as published."""

    time: datetime
    content: bytes


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two records: the number of a segment and an offset in it."""

    segment: int
    offset: int


@dataclass(slots=True)
class _Segment:
    number: int
    path: Path
    size: int
    last: int
    """Time of its last record, or of the last one before it."""


class ReplayLog:
    """The log of one stream in `folder`, which is made if missing; at most about `max_size` bytes on disk.

    `created` is when the log began (replayLogCreationTime), `aged` the time of the last record that was
    deleted to keep the bound, None while all are there. Raises OSError when the folder cannot be used.
    """

    def __init__(self, folder: Path, stream: str, now: datetime, *, max_size: int = DEFAULT_MAX_SIZE) -> None:
        self._folder = folder
        self._prefix = quote(stream, safe="")
        self._bound = max(max_size // _SEGMENTS, 4096)
        folder.mkdir(parents=True, exist_ok=True)
        self._created, self._aged = _micros(now), _NEVER
        self._segments = self._find()
        if not self._segments:
            self._begin(1, _NEVER)
        self._file = self._segments[-1].path.open("r+b", buffering=0)

    @property
    def created(self) -> datetime:
        """When the log began."""
        return _time(self._created)

    @property
    def aged(self) -> datetime | None:
        """The time of the last record that is no longer here."""
        return None if self._aged == _NEVER else _time(self._aged)

    def append(self, time: datetime, content: bytes) -> None:
        """Add a record. Raises OSError when the disk refuses; the log is then as it was before."""
        newest = self._segments[-1]
        if newest.size >= self._bound:
            newest = self._rotate()
        stamp = _micros(time)
        head = _RECORD.pack(len(content), zlib.crc32(content, stamp & 0xFFFFFFFF), stamp)
        data = head + content
        try:
            written = os.pwrite(self._file.fileno(), data, newest.size)
        except OSError:
            self._file.truncate(newest.size)
            raise
        if written != len(data):
            self._file.truncate(newest.size)
            raise OSError(28, "the disk is full", str(newest.path))
        newest.size += len(data)
        newest.last = stamp

    def first(self) -> Position:
        """The place before the oldest record."""
        return Position(self._segments[0].number, _HEAD.size)

    def read(self, position: Position, size: int) -> tuple[list[Logged], Position]:
        """The records behind `position`, about `size` bytes of them, and where they end.

        No record means that the end is reached. A place whose records were deleted meanwhile counts as the
        oldest one.
        """
        oldest = self._segments[0].number
        if position.segment < oldest:
            position = self.first()
        segment = self._segments[position.segment - oldest]
        found, offset = _records(segment, position.offset, size)
        if found or segment is self._segments[-1]:
            return found, Position(segment.number, offset)
        return self.read(Position(segment.number + 1, _HEAD.size), size)

    def close(self) -> None:
        """Close the file; nothing is appended any more."""
        self._file.close()

    def _find(self) -> list[_Segment]:
        """Take the segments of an earlier run, the newest without a torn end."""
        found: list[_Segment] = []
        for path in sorted(self._folder.glob(f"{self._prefix}.*.events")):
            match = _NAME.search(path.name)
            opened = _open_segment(path, int(match[1])) if match else None
            if opened is None:
                log.warning("event-log-ignored", file=str(path))
                continue
            segment, created, before = opened
            if found and found[-1].number + 1 == segment.number:
                found[-1].last = before
            else:
                found, self._created, self._aged = [], created, before
            found.append(segment)
        if found:
            _cut_torn_end(found[-1])
        return found

    def _begin(self, number: int, before: int) -> None:
        path = self._folder / f"{self._prefix}.{number:08d}.events"
        path.write_bytes(_HEAD.pack(_MAGIC, self._created, before))
        self._segments.append(_Segment(number, path, _HEAD.size, before))

    def _rotate(self) -> _Segment:
        newest = self._segments[-1]
        self._begin(newest.number + 1, newest.last)
        self._file.close()
        self._file = self._segments[-1].path.open("r+b", buffering=0)
        while len(self._segments) > _SEGMENTS:
            gone = self._segments.pop(0)
            self._aged = gone.last
            gone.path.unlink(missing_ok=True)
        return self._segments[-1]


def _open_segment(path: Path, number: int) -> tuple[_Segment, int, int] | None:
    """The segment with the times of its head: when the log was created, the last record before it."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
    if len(head) != _HEAD.size:
        return None
    magic, created, before = _HEAD.unpack(head)
    if magic != _MAGIC:
        return None
    return _Segment(number, path, path.stat().st_size, before), created, before


def _cut_torn_end(segment: _Segment) -> None:
    offset = _HEAD.size
    while True:
        found, end = _records(segment, offset, 1 << 20)
        if not found:
            break
        segment.last, offset = _micros(found[-1].time), end
    if offset < segment.size:
        log.warning("event-log-cut", file=str(segment.path), octet=offset, dropped=segment.size - offset)
        os.truncate(segment.path, offset)
        segment.size = offset


def _records(segment: _Segment, offset: int, size: int) -> tuple[list[Logged], int]:
    """Whole records from `offset`; a damaged one hides the rest of its segment."""
    with segment.path.open("rb", buffering=0) as file:
        data = os.pread(file.fileno(), min(size, segment.size - offset), offset)
        if len(data) >= _RECORD.size:
            length = _RECORD.unpack_from(data)[0]
            if len(data) < _RECORD.size + length <= segment.size - offset:
                data = os.pread(file.fileno(), _RECORD.size + length, offset)
    found: list[Logged] = []
    at = 0
    while at + _RECORD.size <= len(data):
        length, checksum, stamp = _RECORD.unpack_from(data, at)
        content = data[at + _RECORD.size : at + _RECORD.size + length]
        if len(content) != length or zlib.crc32(content, stamp & 0xFFFFFFFF) != checksum:
            break
        found.append(Logged(_time(stamp), content))
        at += _RECORD.size + length
    return found, offset + at


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
