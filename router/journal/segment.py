"""One file of a journal: its name, its blocks, and writing to it so that nothing half-written stays."""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rui.backup.journal import MAGIC, Frame, JournalError, decode, encode_parts

_NAME = re.compile(r"(base|log)-([1-9][0-9]{0,15})")
_MARK = b"\xffRUI"
"""Begins a block; the first octet never occurs in UTF-8, so few places in a record can look like it."""
_BLOCK = struct.Struct(">4sI")


def base_path(directory: Path, number: int) -> Path:
    """Return the path of the base that the log of the same number continues."""
    return directory / f"base-{number}"


def log_path(directory: Path, number: int) -> Path:
    """Return the path of a log segment."""
    return directory / f"log-{number}"


@dataclass(frozen=True, slots=True)
class Listing:
    """The segments of a folder by number, and what an unfinished compaction left."""

    bases: tuple[int, ...]
    logs: tuple[int, ...]
    leftovers: tuple[Path, ...]


def list_segments(directory: Path) -> Listing:
    """Return what a group's folder holds; files of other names are none of ours."""
    numbers: dict[str, list[int]] = {"base": [], "log": []}
    leftovers = []
    for path in directory.iterdir():
        match = _NAME.fullmatch(path.name)
        if match:
            numbers[match[1]].append(int(match[2]))
        elif path.name.endswith(".tmp"):
            leftovers.append(path)
    return Listing(tuple(sorted(numbers["base"])), tuple(sorted(numbers["log"])), tuple(leftovers))


def encode_block(frames: Iterable[Frame]) -> bytes:
    """Return the bytes of one durable write; ValueError where a frame is over its limit."""
    parts = [part for frame in frames for part in encode_parts(frame)]
    return b"".join((_BLOCK.pack(_MARK, sum(map(len, parts))), *parts))


def read_blocks(file: BinaryIO, start: int) -> Iterator[tuple[list[Frame], int]]:
    """Yield the frames of each block from the octet ``start`` on, with the octet behind it.

    Ends at the first block that is cut short or damaged, or at the end of the file. Raises JournalError for
    frames of another release.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(start)
    while start + _BLOCK.size <= size:
        mark, length = _BLOCK.unpack(file.read(_BLOCK.size))
        end = start + _BLOCK.size + length
        if mark != _MARK or end > size:
            return
        frames = _frames(file.read(length))
        if frames is None:
            return
        start = end
        yield frames, end


def find_good_block(path: Path, after: int) -> int | None:
    """Return the octet of the first good block at or behind ``after``, None if there is none."""
    if path.stat().st_size <= after:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = data.find(_MARK, after)
        while place >= 0:
            if place + _BLOCK.size <= len(data):
                length = _BLOCK.unpack(data[place : place + _BLOCK.size])[1]
                begin = place + _BLOCK.size
                if begin + length <= len(data) and _frames(data[begin : begin + length]):
                    return place
            place = data.find(_MARK, place + 1)
    return None


def _frames(payload: bytes) -> list[Frame] | None:
    """Return a block's frames, None unless all of them are good; it holds at least one."""
    frames, end = [], 0
    for frame, offset in decode(payload):
        frames.append(frame)
        end = offset
    return frames if frames and end == len(payload) else None


class SegmentWriter:
    """A segment open for appending. What fails is taken back: after an error ``size`` is as before."""

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self.size = size
        self._descriptor = descriptor
        self._dirty = False

    @classmethod
    def create(cls, path: Path) -> SegmentWriter:
        """Begin a new segment; its header is durable only after :meth:`sync`. Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        writer = cls(path, descriptor, 0)
        try:
            writer.append(MAGIC)
        except OSError:
            writer.close()
            path.unlink(missing_ok=True)
            raise
        return writer

    @classmethod
    def reopen(cls, path: Path, size: int) -> SegmentWriter:
        """Continue a segment behind its last good octet; what is behind that is cut off. Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        writer = cls(path, descriptor, size)
        writer._dirty = True
        try:
            writer.repair()
            if size < len(MAGIC):
                writer._replace_header()
        except OSError:
            writer.close()
            raise
        return writer

    def append(self, data: bytes, *, sync: bool = False) -> None:
        """Write ``data`` as a whole or not at all; with ``sync`` it is durable on return. Raises OSError."""
        self.repair()
        self._dirty = True
        try:
            self._write(data)
            if sync:
                self._sync()
        except OSError:
            with suppress(OSError):  # else it is repaired before the next write
                self.repair()
            raise
        self._dirty = False
        self.size += len(data)

    def repair(self) -> None:
        """Take back what a failed write left behind. Raises OSError."""
        if self._dirty:
            self._truncate(self.size)
            self._sync()
            self._dirty = False

    def sync(self) -> None:
        """Make all that was appended durable. Raises OSError."""
        self._sync()

    def close(self) -> None:
        """Close the file; what was not synced is not certain to last."""
        os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        view, offset = memoryview(data), self.size
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            view, offset = view[written:], offset + written

    def _sync(self) -> None:
        os.fdatasync(self._descriptor)

    def _truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def _replace_header(self) -> None:
        self._truncate(0)
        self.size = 0
        self.append(MAGIC, sync=True)


def check_magic(file: BinaryIO) -> bool:
    """Read a segment's header; False where it is cut short (a crash). JournalError if it is not ours."""
    head = file.read(len(MAGIC))
    if head == MAGIC:
        return True
    if MAGIC.startswith(head) or not head.strip(b"\0"):
        return False
    raise JournalError("it is not a segment of this release")
