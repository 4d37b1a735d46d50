"""The two messages of replication, the same on every path: a batch goes out, a receipt comes back.

Upload (S502), direct delivery (S504), download (S504) and, over the RBS channel, local backup carry
these values; :mod:`rui.backup.wire` gives them their XML form (YANG module ``rui-backup``).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from rui.backup.lineage import Lineage
from rui.backup.version import NO_EPOCH, ZERO, Epoch, Version

BUCKETS = 4096
"""Keys fall into this many buckets; snapshots travel and digests are compared bucket by bucket."""

LAST_BUCKET = BUCKETS - 1


def bucket_of(key: bytes) -> int:
    """Return the bucket of a subscriber key, 0 to 4095: the same at every hop and after every restart."""
    return zlib.crc32(key) % BUCKETS


class Change(NamedTuple):
    """One user-info record put, or one deleted.

    ``key`` is MAC/OUTER/INNER in ASCII; ``record`` holds the bytes that the primary wrote, None for a delete.
    """

    key: bytes
    version: Version
    record: bytes | None


class Stream(NamedTuple):
    """All changes after ``prev`` up to ``last``.

    Of a key that changed several times only the newest is present, even where that lies above ``last``:
    else a replica would acknowledge a change of which it holds nothing.
    """

    prev: Version
    last: Version


class SnapshotPage(NamedTuple):
    """The whole content of the buckets ``first`` to ``last``, as of ``version`` or later."""

    version: Version
    first: int
    last: int


class Offer(NamedTuple):
    """A batch goes to the primary, from a replica whose history has left the primary's.

    ``by`` is the device that offers, or the cloud; both histories are the same up to ``shared``, and the
    offer is complete at ``until``. A ``live`` one is of a router that serves users beside the primary: the
    numbers are its own, and each change carries the version of the primary's history that it is based on.
    """

    by: str
    shared: Version
    until: Version
    live: bool = False


class Shared(NamedTuple):
    """What a user did at a router that serves beside the primary: see :mod:`rui.backup.sharing`.

    ``version`` numbers it there; ``base`` is how far that router followed the primary's history.
    """

    key: bytes
    version: Version
    base: Version
    record: bytes | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes of one group, sent under the claim of ``writer``; an ``offer`` is sent to that writer.

    ``lineage`` is the sender's where the receiver may not know it. ``origins`` names the version under which
    a primary was offered what it has written anew (rui.backup.origins), for those of ``changes`` that it has.
    """

    group: str
    writer: Epoch
    part: Stream | SnapshotPage
    changes: tuple[Change, ...]
    lineage: Lineage = ()
    offer: Offer | None = None
    digest: str = field(default="", kw_only=True)
    """Of all that the sender holds, where the batch ends at its newest change: see rui.backup.audit."""
    origins: Mapping[bytes, Version] = field(default_factory=dict, kw_only=True)
    unchecked: Sequence[int] | None = field(default=None, kw_only=True, compare=False)
    """Places of the changes that nobody has held to the model while the batch was read; None: of all."""


class SnapshotProgress(NamedTuple):
    """A snapshot that a replica has received in part.

    Buckets below ``next_bucket`` are complete at ``version``; live changes are applied up to ``upper``.
    """

    version: Version
    next_bucket: int
    upper: Version


@dataclass(frozen=True, slots=True)
class Position:
    """What a replica durably holds of a group, of which history, and the newest writer that it knows."""

    cursor: Version = ZERO
    snapshot: SnapshotProgress | None = None
    writer: Epoch = NO_EPOCH
    lineage: Lineage = ()

    @property
    def live(self) -> Version:
        """Where the live stream continues: behind the cursor, or behind what came beside a snapshot."""
        return self.snapshot.upper if self.snapshot else self.cursor


class Result(Enum):
    """What became of a batch."""

    STORED = "stored"
    GAP = "gap"
    """``prev`` lies above the cursor, or the snapshot is older than it; send again from the cursor."""
    REFUSED = "refused"
    """The writer's epoch is superseded."""
    DISCARDED = "discarded"
    """The sender is a secondary [0144]."""
    DIVERGED = "diverged"
    """The replica holds what the sender's history lacks: it is offered to the primary first, try again."""
    FAILED = "failed"
    """The replica could not store it (a full disk); nothing of it is held, try again later."""


class Quarantined(NamedTuple):
    """A record that the receiver's model refuses: kept, counted, reported, not protected."""

    key: bytes
    version: Version
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A replica's cumulative acknowledgement: all up to ``position`` is durably applied."""

    group: str
    result: Result
    position: Position
    reason: str = ""
    quarantined: tuple[Quarantined, ...] = ()
    agrees: bool | None = field(default=None, kw_only=True)
    """Whether the replica comes to the batch's digest; None where there was none to come to."""
    shared: Version | None = field(default=None, kw_only=True)
    """Of a diverged batch: up to where both histories are the same. For the replica itself, never sent."""
    held: Version = field(default=ZERO, kw_only=True)
    """Of a diverged batch: the newest version that the replica holds. For itself, never sent."""
    written: Version | None = field(default=None, kw_only=True)
    """For a live offer: once the primary's stream has come to here, it says what was made of it."""
