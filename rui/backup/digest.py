"""The digest of a group's table: what it holds, whatever the order in which it came.

Every live record counts with its key, version and bytes. The 64-bit digests of the records of one bucket
are added modulo 2**64, so a change updates its bucket in place, and a difference is narrowed to buckets.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from rui.backup.messages import BUCKETS
from rui.backup.version import Epoch, Version

MODULUS = 1 << 64


@dataclass(frozen=True, slots=True)
class Digest:
    """What a replica holds at its cursor."""

    cursor: Version
    count: int
    quarantined: int
    digest: str


def record_digest(key: bytes, version: Version, record: bytes) -> int:
    """Return the 64-bit digest of one live record."""
    # The lengths keep (key, record) pairs apart that would run together to the same bytes.
    head = b"%d %s %s%d " % (len(key), key, _epoch_text(version[0]), version[1])
    return int.from_bytes(blake2b(head + record, digest_size=8).digest(), "big")


@lru_cache(maxsize=256)
def _epoch_text(epoch: Epoch) -> bytes:
    """Return the text of a version up to its seq: few epochs are alive, and every change needs one."""
    return f"{epoch}/".encode()


def empty_buckets() -> array[int]:
    """Return the bucket digests of an empty table."""
    return array("Q", bytes(8 * BUCKETS))


def combine(buckets: Sequence[int]) -> str:
    """Return the digest of a whole table, 32 hexadecimal digits, from its bucket digests."""
    if len(buckets) != BUCKETS:
        raise ValueError(f"a table has {BUCKETS} buckets, got {len(buckets)}")
    packed = b"".join(value.to_bytes(8, "big") for value in buckets)
    return blake2b(packed, digest_size=16).hexdigest()
