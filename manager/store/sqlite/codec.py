"""How versions and records lie in the table: versions as octets that sort, many rows as one value.

A statement that steps through rows one by one gives up the interpreter lock at every step and has to win it
back from a busy event loop, up to 5 ms each time. So rows go in and come out many to a step.
"""

from __future__ import annotations

from collections.abc import Sequence

from rui.backup.digest import record_digest
from rui.backup.messages import Change, bucket_of
from rui.backup.version import Epoch, Version

_SEQ_OCTETS = 8
_SIGN = 1 << 63
_MODULUS = 1 << 64

COLUMNS = 6
"""Values a row: group number, bucket, key, version, hash, record."""

VERSION = 3
"""Which of them is the version."""

Value = int | bytes | str | None


def pack_epoch(epoch: Epoch) -> bytes:
    """Return octets that sort as epochs do; the zero octet ends the device-id."""
    return epoch.counter.to_bytes(8, "big") + epoch.device.encode() + b"\0"


def pack_version(version: Version) -> bytes:
    """Return octets that sort as versions do.

    Raises OverflowError where a counter does not fit into 64 bits.
    """
    return pack_epoch(version.epoch) + version.seq.to_bytes(_SEQ_OCTETS, "big")


class VersionReader:
    """Reads packed versions; epochs recur, so each is made once."""

    def __init__(self) -> None:
        self._epochs: dict[bytes, Epoch] = {}

    def unpack(self, packed: bytes) -> Version:
        """Return the version that :func:`pack_version` packed."""
        head = packed[:-_SEQ_OCTETS]
        epoch = self._epochs.get(head)
        if epoch is None:
            epoch = self._epochs[head] = Epoch(int.from_bytes(head[:8], "big"), head[8:-1].decode())
        return Version(epoch, int.from_bytes(packed[-_SEQ_OCTETS:], "big"))


def row_values(number: int, changes: Sequence[Change]) -> list[Value]:
    """Return the values of the changes' rows, one row after the other, ``COLUMNS`` each.

    Raises OverflowError where a version's number does not fit into 64 bits.
    """
    values: list[Value] = []
    epoch: Epoch | None = None
    head = b""
    for change in changes:
        key, version, record = change
        if version.epoch is not epoch:
            epoch = version.epoch
            head = pack_epoch(epoch)
        values += (
            number,
            bucket_of(key),
            key,
            head + version.seq.to_bytes(_SEQ_OCTETS, "big"),
            None if record is None else signed(record_digest(key, version, record)),
            record,
        )
    return values


def signed(value: int) -> int:
    """Return an unsigned 64-bit number as SQLite's signed one."""
    return value - _MODULUS if value >= _SIGN else value


# Many records in one row: their keys, versions and lengths as text, their octets laid end to end.
PACKED = (
    "group_concat(hex(key) || ' ' || hex(version) || ' ' || ifnull(length(val), -1), ' '), "
    "cast(group_concat(val, '') as blob)"
)


def unpack_rows(index: str | None, octets: bytes | None, versions: VersionReader) -> tuple[Change, ...]:
    """Return the changes that the ``PACKED`` columns hold, in their order."""
    if not index:
        return ()
    fields = index.split(" ")
    data = octets or b""
    unhex, unpack = bytes.fromhex, versions.unpack
    changes = []
    start = 0
    for key, version, length in zip(fields[::3], fields[1::3], map(int, fields[2::3]), strict=True):
        if length < 0:
            changes.append(Change(unhex(key), unpack(unhex(version)), None))
        else:
            end = start + length
            changes.append(Change(unhex(key), unpack(unhex(version)), data[start:end]))
            start = end
    return tuple(changes)
