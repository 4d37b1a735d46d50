"""Comparing two copies of a group: from a digest that differs to the keys that do.

The sender's digest travels with a batch that ends at the newest change it holds (see
:meth:`rui.backup.source.Source.mark`). Only where the receiver comes to another one are the digests of
buckets compared, then those of the records in the buckets that differ. Changes that are on their way to the
copy meanwhile are told apart by the copy's cursor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from rui.backup.digest import record_digest
from rui.backup.messages import bucket_of
from rui.backup.table import Table
from rui.backup.version import Version

MAX_BUCKETS = 256
"""So many are narrowed at once; where more differ the next audit finds the others."""
MAX_KEYS = 10_000


class Agreement(Enum):
    """What comparing a copy has shown."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


class Entry(NamedTuple):
    """What is held of a key; ``digest`` is None where it was deleted."""

    version: Version
    digest: int | None


class Listing(NamedTuple):
    """What is held of some buckets, and the cursor of whoever holds it."""

    cursor: Version
    entries: Mapping[bytes, Entry]


class Holder(Protocol):
    """A copy that can be asked, here or at the other end of a session."""

    async def buckets(self) -> Sequence[int]:
        """Return the digests of all buckets."""

    async def listing(self, buckets: Sequence[int]) -> Listing:
        """Return what is held of some buckets, tombstones too."""


def list_table(table: Table, cursor: Version, buckets: Iterable[int]) -> Listing:
    """Return what a table holds of some buckets."""
    wanted = frozenset(buckets)
    entries: dict[bytes, Entry] = {}
    # Once through all keys instead of an index by bucket, which would stay in memory.
    for key in table.held_keys():
        change = table.get(key) if bucket_of(key) in wanted else None
        if change is not None:
            record = change.record
            digest = None if record is None else record_digest(key, change.version, record)
            entries[key] = Entry(change.version, digest)
    return Listing(cursor, entries)


def differing_buckets(reference: Sequence[int], copy: Sequence[int]) -> list[int]:
    """Return the numbers of the buckets whose digests differ."""
    pairs = zip(reference, copy, strict=True)
    return [number for number, (mine, theirs) in enumerate(pairs) if mine != theirs]


def differing_keys(reference: Listing, copy: Listing) -> list[bytes]:
    """Return the keys of which the copy holds something else than the reference, in order.

    The copy was listed first. What the reference has above the copy's cursor is on its way, no difference.
    """
    found = []
    for key in sorted({*reference.entries, *copy.entries}):
        wanted, held = reference.entries.get(key), copy.entries.get(key)
        if wanted == held or (wanted is not None and wanted.version > copy.cursor):
            continue
        if (wanted is None or wanted.digest is None) and (held is None or held.digest is None):
            continue  # gone at both, remembered or not
        found.append(key)
    return found


async def narrow(reference: Holder, copy: Holder) -> list[bytes]:
    """Return keys of which the copy holds something else than the reference, at most ``MAX_KEYS``."""
    theirs = await copy.buckets()
    buckets = differing_buckets(await reference.buckets(), theirs)[:MAX_BUCKETS]
    if not buckets:
        return []
    held = await copy.listing(buckets)
    return differing_keys(await reference.listing(buckets), held)[:MAX_KEYS]


class TableHolder:
    """A copy in memory; ``cursor`` says what of it is durable."""

    def __init__(self, table: Table, cursor: Version) -> None:
        self._table = table
        self._cursor = cursor

    async def buckets(self) -> Sequence[int]:
        """Return the digests of all buckets."""
        return self._table.buckets

    async def listing(self, buckets: Sequence[int]) -> Listing:
        """Return what is held of some buckets."""
        return list_table(self._table, self._cursor, buckets)
