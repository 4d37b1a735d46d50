"""The journal's bytes: how a router keeps a group's table and position on disk.

A file is a sequence of frames, each ``length crc32 payload``. One frame holds changes, the position after
them and facts about the group, so data and cursor commit together. A frame that was cut short by a crash
is recognised and left out as a whole. Frames are idempotent under the table's version guard.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from rui.backup import lineage
from rui.backup.messages import Change, Position, Shared, SnapshotPage, SnapshotProgress
from rui.backup.version import Epoch, Version

MAGIC = b"RUIJ0001"
MAX_FRAME = 1 << 28
"""Octets; a longer length field can only be damage."""

_FRAME = struct.Struct(">II")
_HEAD = struct.Struct(">I")
_CHANGE = struct.Struct(">IQHI")
_TOMBSTONE = 0xFFFFFFFF


class JournalError(Exception):
    """A journal that cannot be read; says at which octet and what to do."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What one durable write holds.

    ``cleared`` are the buckets that a snapshot page replaced (see ``Table.clear``); ``floor`` is the
    table's at that moment; ``facts`` are small texts that must survive with it (the cloud's store-id);
    ``quarantined`` gives the reason for each record of ``changes`` that the model refused, ``origins`` the
    version under which it was offered for each that a primary has taken over (rui.backup.origins).
    ``shared`` is what this router has taken beside the primary, ``settled`` up to where that is done with.
    """

    position: Position
    changes: Sequence[Change] = ()
    cleared: SnapshotPage | None = None
    floor: Version | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    quarantined: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[bytes, Version] = field(default_factory=dict)
    shared: Sequence[Shared] = ()
    settled: Version | None = None


def encode(frame: Frame) -> bytes:
    """Return the bytes of one frame."""
    return b"".join(encode_parts(frame))


def encode_parts(frame: Frame) -> tuple[bytes, bytes]:
    """Return the bytes of one frame in two parts, so that many frames are laid end to end only once."""
    epochs: dict[Epoch, int] = {}
    parts: list[bytes] = []
    epoch, number = None, 0
    own = (Change(key, version, record) for key, version, _, record in frame.shared)
    for key, version, record in chain(own, frame.changes) if frame.shared else frame.changes:
        if version.epoch is not epoch:
            epoch = version.epoch
            number = epochs.setdefault(epoch, len(epochs))
        if record is None:
            parts += (_CHANGE.pack(number, version.seq, len(key), _TOMBSTONE), key)
        else:
            parts += (_CHANGE.pack(number, version.seq, len(key), len(record)), key, record)
    head = json.dumps(_head(frame, list(epochs)), separators=(",", ":")).encode()
    payload = b"".join([_HEAD.pack(len(head)), head, *parts])
    if len(payload) > MAX_FRAME:
        raise ValueError(
            f"a frame of {len(payload)} octets is over the limit of {MAX_FRAME}: write smaller batches"
        )
    return _FRAME.pack(len(payload), zlib.crc32(payload)), payload


def decode(data: bytes | memoryview, offset: int = 0) -> Iterator[tuple[Frame, int]]:
    """Yield the frames from ``offset`` on, each with the offset behind it.

    Ends at the first frame that is cut short or fails its checksum; the caller compares the last offset with
    the length of the data to learn whether there was one. Raises JournalError where a frame with a good
    checksum makes no sense, since that is not a crash's doing.
    """
    view = memoryview(data)
    while offset + _FRAME.size <= len(view):
        length, checksum = _FRAME.unpack_from(view, offset)
        end = offset + _FRAME.size + length
        if not _HEAD.size <= length <= MAX_FRAME or end > len(view):
            return  # a length of 0 is a block that was never written: its checksum would be good
        payload = bytes(view[offset + _FRAME.size : end])
        if zlib.crc32(payload) != checksum:
            return
        try:
            frame = _payload(payload)
        except (ValueError, KeyError, IndexError, TypeError, struct.error) as error:
            raise JournalError(
                f"the frame at octet {offset} has a good checksum but cannot be read ({error}); "
                "it was written by another release: start with that release, or move the data directory away "
                "and let the group be filled from its peers"
            ) from error
        offset = end
        yield frame, offset


def _head(frame: Frame, epochs: list[Epoch]) -> dict[str, object]:
    position = frame.position
    head: dict[str, object] = {
        "c": str(position.cursor),
        "w": str(position.writer),
        "e": [str(epoch) for epoch in epochs],
    }
    if position.snapshot:
        progress = position.snapshot
        head["s"] = [str(progress.version), progress.next_bucket, str(progress.upper)]
    if position.lineage:
        head["l"] = [str(fork) for fork in position.lineage]
    if frame.cleared:
        head["p"] = [str(frame.cleared.version), frame.cleared.first, frame.cleared.last]
    if frame.floor is not None:
        head["f"] = str(frame.floor)
    if frame.facts:
        head["k"] = dict(frame.facts)
    if frame.quarantined:
        head["q"] = dict(frame.quarantined)
    if frame.origins:
        head["o"] = {key.decode(): str(origin) for key, origin in frame.origins.items()}
    if frame.shared:
        head["h"] = [str(shared.base) for shared in frame.shared]
    if frame.settled is not None:
        head["u"] = str(frame.settled)
    return head


def _payload(payload: bytes) -> Frame:
    (length,) = _HEAD.unpack_from(payload)
    start = _HEAD.size + length
    head = json.loads(payload[_HEAD.size : start])
    epochs = [Epoch.parse(text) for text in head["e"]]
    changes: list[Change] = []
    while start < len(payload):
        number, seq, key_length, record_length = _CHANGE.unpack_from(payload, start)
        start += _CHANGE.size
        key = payload[start : start + key_length]
        start += key_length
        record = None
        if record_length != _TOMBSTONE:
            record = payload[start : start + record_length]
            start += record_length
        changes.append(Change(key, Version(epochs[number], seq), record))
    if start != len(payload):
        raise ValueError("the last record is cut short")
    snapshot = None
    if "s" in head:
        version, next_bucket, upper = head["s"]
        snapshot = SnapshotProgress(Version.parse(version), int(next_bucket), Version.parse(upper))
    page, bases = head.get("p"), head.get("h", ())
    shared = tuple(
        Shared(change.key, change.version, Version.parse(base), change.record)
        for change, base in zip(changes, bases, strict=False)
    )
    if len(shared) < len(bases):
        raise ValueError("a change that is shared has no record")
    return Frame(
        Position(
            Version.parse(head["c"]), snapshot, Epoch.parse(head["w"]), lineage.parse(head.get("l", ()))
        ),
        changes[len(shared) :],
        SnapshotPage(Version.parse(page[0]), int(page[1]), int(page[2])) if page else None,
        Version.parse(head["f"]) if "f" in head else None,
        head.get("k", {}),
        head.get("q", {}),
        {key.encode(): Version.parse(origin) for key, origin in head.get("o", {}).items()},
        shared,
        Version.parse(head["u"]) if "u" in head else None,
    )
