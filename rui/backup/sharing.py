"""What a router takes of its own users while another one is primary: the half of a split access network.

Two Masters of one group that reach each other, or the cloud, over another way: one is primary and writes. The
other goes on serving whom it reaches. It keeps what these users do in its journal beside its replica, each
change with the version that it is based on, and offers it to the primary at once, over the RBS channel or
through the cloud (DESIGN, two primaries at once). The primary writes it anew unless it knows something newer
of the user, and says from which of its own versions on its stream holds that; then it is forgotten here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from rui.backup.journal import Frame
from rui.backup.member_outputs import CLOUD
from rui.backup.messages import Batch, Change, Offer, Position, Receipt, Result, Shared
from rui.backup.source import Source, SourceOptions, WantStream
from rui.backup.table import Slice, Table, Watcher
from rui.backup.version import ZERO, Epoch, Version

_PAUSE = 1.0
"""Seconds until another way to the primary is tried."""


class Sharing:
    """One router's. Times are monotonic seconds."""

    def __init__(self, group: str, device: str, options: SourceOptions, held: Iterable[Shared] = ()) -> None:
        """``held`` is what the journal holds and the primary may not have."""
        self.active = False
        """Whether users are served here beside the primary."""
        self._group = group
        self._device = device
        self._options = replace(options, interval=0.0)
        self._held: dict[bytes, Shared] = {}
        self._head = self.settled = ZERO
        self.octets = 0
        for shared in sorted(held, key=lambda one: one.version):
            self._keep(shared)
        self.durable = self._head
        """All that was taken up to here is on the disk."""
        self.acknowledged = ZERO
        """All that was taken up to here is durable at the primary too."""
        self._unwritten: list[Shared] = []
        self._writing: tuple[list[Shared], Version, Version] | None = None
        self._forgotten = False
        self._way: tuple[str, Epoch, Source] | None = None
        self._barred: dict[str, float] = {}
        # How far the primary has written what it was offered, and where its own stream holds that.
        self._made: deque[tuple[Version, Version]] = deque()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Shared]:
        return iter(self._held.values())

    def get(self, key: bytes) -> Shared | None:
        """Return what a user has done here that the primary's stream has not brought yet."""
        return self._held.get(key)

    # What users do

    def begin(self, after: Version) -> None:
        """Serve users from now on; their changes are numbered behind ``after``, of this device's own."""
        self._head = max(self._head, after)
        self.active = True

    def end(self) -> None:
        """Serve nobody; what was taken is still offered."""
        self.active = False

    def take(self, key: bytes, record: bytes | None, base: Version) -> Version:
        """Take a change, made when this replica was at ``base``; return the number that it has here."""
        shared = Shared(key, Version(self._head.epoch, self._head.seq + 1), base, record)
        self._keep(shared)
        self._unwritten.append(shared)
        return shared.version

    def clear(self) -> list[Shared]:
        """Forget everything, since this device writes for itself; return what the primary may not have."""
        held = list(self._held.values())
        self.end()
        if held:
            self._settle(self._head)
        self._unwritten = []
        self._made.clear()
        self._way = None
        return held

    # The journal

    def frame(self, position: Position, *, alone: bool) -> Frame | None:
        """Return what is to be written now, behind ``position``; None if nothing is.

        What is done with goes along with something else, not ``alone``: forgotten in a crash it is offered
        again, and changes nothing.
        """
        if self._writing is not None or not (self._unwritten or (self._forgotten and not alone)):
            return None
        self._writing = (self._unwritten, self._head, self.settled)
        self._unwritten, self._forgotten = [], False
        return Frame(position, shared=self._writing[0], settled=self.settled)

    def written(self) -> None:
        """What :meth:`frame` gave is durable."""
        if self._writing is not None:
            self.durable = max(self.durable, self._writing[1])
            self._writing = None

    # The offer

    @property
    def source(self) -> Source | None:
        """What sends the offer, None while there is no way to the primary."""
        return None if self._way is None else self._way[2]

    @property
    def via(self) -> str:
        """The way to the primary; empty while there is none."""
        return "" if self._way is None else self._way[0]

    def next(self, via: str, position: Position, now: float) -> Batch | None:
        """Return the next batch for the primary that this replica at ``position`` follows.

        None where nothing may go out this way now: it is the cloud's or the primary's own, and one at a time.
        """
        if not self._held:
            return None
        writer, history = position.writer, position.lineage
        if not history or history[-1].epoch != writer or writer.device == self._device:
            return None
        if via not in (CLOUD, writer.device) or now < self._barred.get(via, 0.0):
            return None
        if self._way is not None and self._way[1] != writer:
            self._way = None
        if self._way is None:
            source = Source(self._group, self._options)
            source.connect(Position(self.settled), writer, self.durable, ZERO)
            self._way = (via, writer, source)
        if self._way[0] != via:
            return None
        source = self._way[2]
        want = source.want(self.durable, ZERO, now)
        if not isinstance(want, WantStream):
            return None
        batch = source.take(self._since(want.after, want.limit), now)
        if batch is None:
            return None
        return replace(batch, offer=Offer(self._device, self.settled, self.durable, live=True))

    def receive(self, receipt: Receipt, now: float) -> None:
        """Take the primary's receipt, or why there is none."""
        if self._way is None:
            return
        via, _, source = self._way
        source.receive(receipt, self.durable, ZERO, ZERO, now)
        if receipt.result is Result.STORED:
            self.acknowledged = max(self.acknowledged, receipt.position.cursor)
            self._made.append((receipt.position.cursor, receipt.written or ZERO))
        elif receipt.result is not Result.GAP:
            self._barred[via] = now + _PAUSE
            self._way = None

    def way_gone(self, via: str) -> None:
        """The session is gone; what has no receipt is offered again."""
        if self.via == via:
            self._way = None

    def passed(self, live: Version) -> list[Shared]:
        """This replica has come to ``live``: return what the primary's stream has settled by that."""
        if not self._made:
            return []
        upto = ZERO
        while self._made and self._made[0][1] <= live:
            upto = max(upto, self._made.popleft()[0])
        return self._settle(upto) if upto > self.settled else []

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._way is not None:
            self._way[2].handle_timer(self.durable, ZERO, now)

    def next_deadline(self) -> float | None:
        """Return when :meth:`next` is to be asked again at the latest, None for never."""
        if self._way is not None:
            return self._way[2].next_deadline()
        return min(self._barred.values()) if self._held and self._barred else None

    def _keep(self, shared: Shared) -> None:
        before = self._held.pop(shared.key, None)
        if before is not None:
            self.octets -= len(before.record or b"")
        self._held[shared.key] = shared
        self.octets += len(shared.record or b"")
        self._head = max(self._head, shared.version)

    def _settle(self, upto: Version) -> list[Shared]:
        gone = [shared for shared in self._held.values() if shared.version <= upto]
        for shared in gone:
            del self._held[shared.key]
            self.octets -= len(shared.record or b"")
        self.settled = upto
        self._forgotten = True
        return gone

    def _since(self, after: Version, limit: int) -> Slice:
        """Return what was taken after ``after``; a change carries the version that it is based on."""
        changes: list[Change] = []
        last, more = max(after, self.durable), False
        for shared in self._held.values():
            if not after < shared.version <= self.durable:
                continue
            if len(changes) >= limit:
                more = True
                break
            changes.append(Change(shared.key, shared.base, shared.record))
            last = shared.version
        return Slice(tuple(changes), last if more else max(after, self.durable), more)


class Users:
    """The users of a group as its router serves them: its table, and what it shares with the primary."""

    def __init__(self, table: Table, sharing: Sharing) -> None:
        self._table = table
        self._sharing = sharing

    def get(self, key: bytes) -> Change | None:
        """Return what is held of a key, a user's end too; None if nothing is."""
        shared = self._sharing.get(key)
        return self._table.get(key) if shared is None else Change(key, shared.version, shared.record)

    def __contains__(self, key: bytes) -> bool:
        shared = self._sharing.get(key)
        return key in self._table if shared is None else shared.record is not None

    def __len__(self) -> int:
        return len(self._table) + sum(
            (shared.record is not None) - (shared.key in self._table) for shared in self._sharing
        )

    def live_keys(self) -> list[bytes]:
        """Return the keys of all users who are online, a copy that later changes leave alone."""
        keys = self._table.live_keys()
        if not len(self._sharing):
            return keys
        shared = {one.key: one.record for one in self._sharing}
        return [key for key in keys if key not in shared] + [key for key, held in shared.items() if held]

    @property
    def watchers(self) -> tuple[Watcher, ...]:
        """Who is told of each user that comes, changes or goes."""
        return self._table.watchers

    @watchers.setter
    def watchers(self, watchers: tuple[Watcher, ...]) -> None:
        self._table.watchers = watchers

    def tell(self, key: bytes, before: bytes | None) -> None:
        """A user is another one than ``before``, by what is shared."""
        for watcher in self._table.watchers:
            watcher(key, before)
