"""What the manager asks of a store, whichever engine keeps it.

A store keeps, per backup group, the newest version of every record (deletes as tombstones), its own
position as a replica, how far each secondary has been served, and the storage entries of FIG. 4. It takes
batches as every replica does: :func:`rui.backup.replica.judge` decides, data and position commit together.
It is read as every source is: in version order behind a cursor, or by whole buckets.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from rui.backup.audit import Listing
from rui.backup.digest import Digest
from rui.backup.identity import StorageEntry
from rui.backup.messages import Batch, Change, Position, Quarantined, Receipt
from rui.backup.replica import Join
from rui.backup.table import Page, Slice
from rui.backup.version import ZERO, Epoch, Version

Watcher: TypeAlias = Callable[[str, bytes, bytes | None], None]
"""Told of a group, a key of which something was stored, and its record until then; None: there was none."""


class Head(NamedTuple):
    """Where a group stands in the store: its durable position, and how far back deletes are remembered.

    A replica whose cursor lies below ``floor`` needs a snapshot, an empty one too: it passes it on.
    """

    position: Position = Position()
    floor: Version = ZERO


class NeedsSnapshot(NamedTuple):
    """Deletes behind the asker's cursor are forgotten: give it whole buckets instead."""

    floor: Version


class TableDigest(NamedTuple):
    """The digest of a group as of its cursor, and the 4,096 bucket digests of which it is made."""

    digest: Digest
    buckets: array[int]


class Store(Protocol):
    """The cloud's durable store. All methods are to be called from one event loop.

    Methods that write return after the durable commit, unless they say otherwise. They raise StoreError
    where nothing else is said.
    """

    @property
    def store_id(self) -> str:
        """The name made at random when the store was made; who sees another one knows another store."""

    async def groups(self) -> Sequence[str]:
        """Return the groups of which anything is held."""

    async def entries(self, group: str | None = None) -> Sequence[StorageEntry]:
        """Return the storage entries of one group, or of all."""

    async def put_entry(self, entry: StorageEntry) -> None:
        """Keep a storage entry (S403), in place of an older one of its group and device."""

    async def head(self, group: str) -> Head:
        """Return the group's durable position and floor, from memory."""

    async def position(self, group: str) -> Position:
        """Return the group's durable position, from memory."""

    async def claim(self, group: str, epoch: Epoch) -> Receipt:
        """Make ``epoch`` the group's writer: STORED, or REFUSED if a newer one is known, or FAILED."""

    async def apply(
        self, batch: Batch, quarantined: Sequence[Quarantined] = (), joins: Join | None = None
    ) -> Receipt:
        """Judge a batch and store it with the new position, in one transaction (S503).

        With ``joins`` the store follows that history from this batch on, unless a newer writer is known.
        The quarantined records are kept like any other and marked. Never raises for a disk that is full or
        failing: the receipt says FAILED and why, nothing of the batch is held, and the store goes on.
        """

    async def since(
        self, group: str, after: Version, limit: int, upto: Version = ZERO
    ) -> Slice | NeedsSnapshot:
        """Return at most ``limit`` changes behind ``after`` in version order, tombstones too.

        With the slice that reaches the cursor go those of still newer version that came early. A slice with
        ``more`` may lack a key whose change in it was superseded by one in a later slice: who takes it
        holds something for every change once it has reached the cursor. While the store itself is in the
        middle of a snapshot the slice is empty. What is in memory (:meth:`recent`) is not read from the disk.
        With an ``upto`` above the cursor the slices go on to there, through all that came early.
        """

    def recent(self, group: str, after: Version, limit: int) -> Slice | None:
        """Return what :meth:`since` would, from memory and at once; None where that does not reach back.

        Whole batches as they came, so more than ``limit`` changes where the first alone holds more.
        """

    async def page(self, group: str, first: int, limit: int) -> Page | None:
        """Return whole buckets from ``first`` on, as many as ``limit`` records allow, at least one.

        The content is that of the cursor or later. None while the store itself is in the middle of
        a snapshot.
        """

    async def digest(self, group: str, pinned: Callable[[], None] | None = None) -> TableDigest:
        """Return the digest of what is held, and the cursor it belongs to.

        ``pinned`` is called in the loop once it is settled what is digested: what is stored later, though
        the digest is not made yet, does not count.
        """

    async def held(self, group: str, buckets: Sequence[int]) -> Listing:
        """Return version and digest of what is held of some buckets, tombstones too."""

    async def quarantined(self, group: str, limit: int) -> Sequence[Quarantined]:
        """Return at most ``limit`` of the records that are set aside, oldest first."""

    def users(
        self,
        group: str,
        keys: Collection[bytes] | None = None,
        *,
        prefix: bytes = b"",
        slice_records: int = 500,
    ) -> Iterator[Change]:
        """Yield the live records of a group, or those of the given keys, or whose key begins with ``prefix``,
        for a ``get``.

        Read in slices as the caller goes on, so memory stays small and no long read holds up the
        writer; each slice is consistent, the whole is not one instant. Runs in the caller's thread.
        """

    def watch(self, told: Watcher) -> Callable[[], None]:
        """Have ``told`` called, in the loop and after the commit, of every key of which something is stored
        from now on; return what ends that.
        """

    def delivered(self, group: str, device: str, cursor: Version) -> None:
        """Note what a secondary has acknowledged; durable a little later, as it knows that itself."""

    async def deliveries(self, group: str) -> Mapping[str, Version]:
        """Return what each secondary has acknowledged, by device."""

    async def collect_tombstones(self, group: str, upto: Version) -> int:
        """Forget the deletes up to a version that no replica needs any more; return how many.

        The floor rises past them. Nothing above the cursor is forgotten.
        """

    async def close(self) -> None:
        """Finish what was handed in, and let go of the files. May be called twice."""
