"""A router's copy of one group: every record with its version, readable in version order and by bucket.

The same table serves the primary as its journal of what each replica still lacks, and the secondary as
its replica. One million users are held in about 1 KB each: a value is one bytes object (version and
record), the order is two flat sequences, nothing in it is a container that the garbage collector must visit.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from rui.backup.bucketindex import BucketIndex
from rui.backup.digest import MODULUS, empty_buckets, record_digest
from rui.backup.macs import Macs
from rui.backup.messages import LAST_BUCKET, Change, SnapshotPage, bucket_of
from rui.backup.replica import supersedes
from rui.backup.version import NO_EPOCH, ZERO, Epoch, Version

_SEQ_BITS = 40
_SEQ_MASK = (1 << _SEQ_BITS) - 1
_PREFIX = 8
_COMPACT_AT_LEAST = 4096

Watcher: TypeAlias = Callable[[bytes, bytes | None], None]
"""Told of a key whose record has come, changed or gone, and of the record until then; None: it is new."""


class Slice(NamedTuple):
    """Part of a table in version order: see :class:`rui.backup.messages.Stream`."""

    changes: tuple[Change, ...]
    last: Version
    more: bool
    origins: Mapping[bytes, Version] = {}
    """Of :class:`rui.backup.messages.Batch`, where the changes are read with them."""


class Page(NamedTuple):
    """Whole buckets of a table, ``first`` to ``last``, tombstones left out."""

    changes: tuple[Change, ...]
    first: int
    last: int
    origins: Mapping[bytes, Version] = {}
    """See :class:`Slice`."""


class Table:
    """Versioned user-info of one group, tombstones included.

    ``floor`` is how far back deletes are remembered: a replica whose cursor is below it needs a snapshot.
    ``complete_from`` is how far back superseded changes leave a slot in the log: only a replica that has got
    past it holds something for every change up to its cursor.
    """

    def __init__(self) -> None:
        self._epochs: list[Epoch] = [NO_EPOCH]
        self._epoch_number: dict[Epoch, int] = {NO_EPOCH: 0}
        self._values: dict[bytes, bytes] = {}
        # The log: ordinals and keys in step. A slot is stale once its key has moved on to another version.
        self._ordinals = array("Q")
        self._keys: list[bytes] = []
        self._in_order = True
        self._index: BucketIndex | None = None
        self._macs = Macs()
        self._tombstones = 0
        self._deletes: deque[tuple[Version, bytes]] = deque()
        self._buckets = empty_buckets()
        self._uncounted: set[bytes] = set()
        self.head = ZERO
        self.floor = ZERO
        self.complete_from = ZERO
        self.watchers: tuple[Watcher, ...] = ()

    def __len__(self) -> int:
        return len(self._values) - self._tombstones

    @property
    def buckets(self) -> array[int]:
        """The digests of all buckets; what is left to count is counted now."""
        self.count(len(self._uncounted))
        return self._buckets

    @property
    def uncounted(self) -> int:
        """How many live records are not in their bucket's digest yet."""
        return len(self._uncounted)

    def count(self, most: int) -> None:
        """Bring records into their buckets' digests, at most so many: some 5 microseconds each."""
        for _ in range(min(most, len(self._uncounted))):
            key = self._uncounted.pop()
            value = self._values[key]
            version = self._version(int.from_bytes(value[:_PREFIX], "big"))
            self._add(key, record_digest(key, version, value[_PREFIX:]))

    @property
    def tombstones(self) -> int:
        """How many deletes are remembered."""
        return self._tombstones

    def __contains__(self, key: bytes) -> bool:
        value = self._values.get(key)
        return value is not None and len(value) > _PREFIX

    def get(self, key: bytes) -> Change | None:
        """Return what is held of a key, a tombstone too; None if nothing is."""
        value = self._values.get(key)
        return None if value is None else self._change(key, value)

    def live(self) -> Iterator[Change]:
        """Yield the live records in no particular order; the table must not change meanwhile."""
        for key, value in self._values.items():
            if len(value) > _PREFIX:
                yield self._change(key, value)

    def live_keys(self) -> list[bytes]:
        """Return the keys of all live records, a copy that later changes leave alone."""
        return [key for key, value in self._values.items() if len(value) > _PREFIX]

    def with_mac(self, mac: bytes) -> list[bytes]:
        """Return the keys that are held of one MAC address, whatever its VLANs, tombstones too, in order."""
        return self._macs.keys(mac)

    def held_keys(self) -> list[bytes]:
        """Return the keys of all that is held, tombstones too, a copy that later changes leave alone."""
        return list(self._values)

    def apply(self, change: Change) -> bool:
        """Take a change unless what is held of its key is as new or newer; say whether it was taken."""
        return bool(self.apply_all((change,)))

    def apply_all(self, changes: Iterable[Change]) -> list[Change]:
        """Take the changes one after the other as :meth:`apply` does; return those that were taken."""
        values, watchers, uncounted = self._values, self.watchers, self._uncounted
        add_ordinal, add_key = self._ordinals.append, self._keys.append
        taken: list[Change] = []
        epoch, front, head = None, 0, self.head
        for change in changes:
            key, version, record = change
            if version[0] is not epoch:
                epoch = version[0]
                front = self._number(epoch) << _SEQ_BITS
            ordinal = front | version[1]
            held = values.get(key)
            if held is None:
                self._begin(key)
            else:
                held_version = self._version(int.from_bytes(held[:_PREFIX], "big"))
                if not supersedes(version, held_version):
                    continue
                self._forget(key, held, held_version)
            prefix = ordinal.to_bytes(_PREFIX, "big")
            if record is None:
                values[key] = prefix
                self._tombstones += 1
                self._deletes.append((version, key))
            else:
                values[key] = prefix + record
                uncounted.add(key)
            if version > head:
                self.head = head = version
            elif version < head:
                self._in_order = False
            add_ordinal(ordinal)
            add_key(key)
            if watchers:
                self._tell(key, held[_PREFIX:] if held is not None and len(held) > _PREFIX else None)
            taken.append(change)
        if len(self._keys) > 2 * len(values) + _COMPACT_AT_LEAST:
            self._compact()
        return taken

    def since(self, after: Version, limit: int, upto: Version) -> Slice:
        """Return the changes after ``after``, at most about ``limit``, nothing of a version above ``upto``.

        Where a slot is stale the key's newer version goes along in its place, so that whoever applies the
        slice holds something for every change up to ``last``; if that one is above ``upto``, the slice ends
        before the slot.
        """
        self._sort()
        ordinals, keys, values = self._ordinals, self._keys, self._values
        position = bisect_right(ordinals, after, key=self._version)
        changes: dict[bytes, Change] = {}
        last = after
        count = len(keys)
        while position < count and len(changes) < limit:
            ordinal = ordinals[position]
            version = self._version(ordinal)
            if version > upto:
                break
            key = keys[position]
            value = values.get(key)
            if value is not None and key not in changes:
                if int.from_bytes(value[:_PREFIX], "big") == ordinal:
                    change = Change(key, version, value[_PREFIX:] or None)
                else:
                    change = self._change(key, value)
                    if change.version > upto:
                        break
                changes[key] = change
            last = version
            position += 1
        more = position < count and self._version(ordinals[position]) <= upto
        if not more and position == count:
            last = max(last, min(upto, self.head))
        return Slice(tuple(changes.values()), last, more)

    def page(self, first: int, limit: int, upto: Version) -> Page | None:
        """Return whole buckets from ``first`` on, as many as ``limit`` records allow, at least one bucket.

        A bucket that holds a version above ``upto`` is not whole yet and ends the page before it; None where
        that is the first.
        """
        index = self._bucket_index()
        changes: list[Change] = []
        last = first - 1
        for bucket, keys in index.between(first, LAST_BUCKET):
            last = bucket - 1  # What lies between is empty
            held = [change for key in keys if (change := self.get(key)) is not None]
            if any(change.version > upto for change in held):
                break
            live = [change for change in held if change.record is not None]
            if changes and len(changes) + len(live) > limit:
                break
            changes += live
        else:
            last = LAST_BUCKET
        return Page(tuple(changes), first, last) if last >= first else None

    def held_in(self, first: int, last: int) -> list[Change]:
        """Return what is held of the keys in the buckets ``first`` to ``last``, tombstones too."""
        keys = (key for _, keys in self._bucket_index().between(first, last) for key in keys)
        return [change for key in keys if (change := self.get(key)) is not None]

    def clear(self, page: SnapshotPage, present: Collection[bytes]) -> int:
        """Delete what the page's buckets hold, is absent from it and no newer than it; return how many."""
        cleared = 0
        for _, keys in self._bucket_index().between(page.first, page.last):
            for key in keys:
                if key in present:
                    continue
                held = self.get(key)
                if held is not None and held.record is not None and held.version <= page.version:
                    self._drop(key)
                    cleared += 1
                    if self.watchers:
                        self._tell(key, held.record)
        # The cleared keys left no tombstones, so nobody can be told of them by the stream any more, not even
        # by who takes over in the middle of the snapshot
        self.floor = max(self.floor, page.version)
        if page.last == LAST_BUCKET:
            self._index = None
        return cleared

    def end_paging(self) -> None:
        """Free the index by bucket that :meth:`page` and :meth:`clear` build when they need it."""
        self._index = None

    def trim_tombstones(self, keep: int, upto: Version) -> int:
        """Forget the oldest deletes beyond ``keep``, raising ``floor`` past them; return how many.

        None above ``upto`` is forgotten: a delete that is not durable may yet be undone by a crash.
        """
        dropped = 0
        while self._tombstones > keep and self._deletes and self._deletes[0][0] <= upto:
            version, key = self._deletes.popleft()
            held = self.get(key)
            if held is not None and held.version == version:
                self._drop(key)
                dropped += 1
            self.floor = max(self.floor, version)
        return dropped

    def _tell(self, key: bytes, before: bytes | None) -> None:
        for watcher in self.watchers:
            watcher(key, before)

    def _begin(self, key: bytes) -> None:
        """Take up a key that nothing is held of."""
        self._macs.add(key)
        if self._index is not None:
            self._index.add(key)

    def _drop(self, key: bytes) -> None:
        value = self._values[key]
        self._forget(key, value, self._version(int.from_bytes(value[:_PREFIX], "big")))
        del self._values[key]
        self._macs.remove(key)

    def _forget(self, key: bytes, value: bytes, version: Version) -> None:
        if len(value) == _PREFIX:
            self._tombstones -= 1
        elif key in self._uncounted:
            self._uncounted.remove(key)
        else:
            self._add(key, MODULUS - record_digest(key, version, value[_PREFIX:]))

    def _add(self, key: bytes, amount: int) -> None:
        bucket = bucket_of(key)
        self._buckets[bucket] = (self._buckets[bucket] + amount) % MODULUS

    def _change(self, key: bytes, value: bytes) -> Change:
        version = self._version(int.from_bytes(value[:_PREFIX], "big"))
        return Change(key, version, value[_PREFIX:] if len(value) > _PREFIX else None)

    def _version(self, ordinal: int) -> Version:
        return Version(self._epochs[ordinal >> _SEQ_BITS], ordinal & _SEQ_MASK)

    def _number(self, epoch: Epoch) -> int:
        number = self._epoch_number.get(epoch)
        if number is None:
            number = self._epoch_number[epoch] = len(self._epochs)
            self._epochs.append(epoch)
        return number

    def _bucket_index(self) -> BucketIndex:
        if self._index is None:
            self._index = BucketIndex(self._values)
        return self._index

    def _sort(self) -> None:
        """Bring the log into version order; only a snapshot or an early newer version ever disturbs it."""
        if self._in_order:
            return
        order = sorted(range(len(self._keys)), key=lambda slot: self._version(self._ordinals[slot]))
        self._ordinals = array("Q", [self._ordinals[slot] for slot in order])
        self._keys = [self._keys[slot] for slot in order]
        self._in_order = True

    def _compact(self) -> None:
        """Leave out the stale slots, now more than half of the log; their order tells nothing any more."""
        self._sort()
        ordinals, keys = array("Q"), []
        for ordinal, key in zip(self._ordinals, self._keys, strict=True):
            value = self._values.get(key)
            if value is not None and value[:_PREFIX] == ordinal.to_bytes(_PREFIX, "big"):
                ordinals.append(ordinal)
                keys.append(key)
        self._ordinals, self._keys = ordinals, keys
        self.complete_from = self.head
