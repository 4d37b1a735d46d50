"""What must always hold, checked after every event at the node that the event has touched.

Nothing here walks a table: what a change does to a key is checked as the table takes it (:mod:`.table`), what
a cursor passes is checked once, against what the world saw the primaries write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rui.backup.decision import Path
from rui.backup.failover import Decider
from rui.backup.identity import Role
from rui.backup.journal import Frame
from rui.backup.lineage import NO_ONE_HISTORY, Lineage, shared
from rui.backup.links import LinkState
from rui.backup.member import Member
from rui.backup.messages import Batch, Position, Receipt, Result
from rui.backup.table import Table
from rui.backup.version import ZERO, Epoch, Version
from rui_cli.sim.options import CLOUD, Odds
from rui_cli.sim.table import Ledger, WatchedTable
from rui_cli.sim.truth import Truth
from rui_cli.sim.violation import Violation

if TYPE_CHECKING:
    from rui_cli.sim.cloud import CloudDevice
    from rui_cli.sim.router import Router
    from rui_cli.sim.store import CloudStore

_UP, _DOWN, _CLOUD = LinkState.UP, LinkState.DOWN, Path.CLOUD
_DEGRADED = {Path.LOCAL}
_PATHS = {
    (_UP, _UP): {Path.CLOUD, Path.LOCAL, Path.BOTH},
    (_UP, _DOWN): {Path.WAITING, Path.BOTH},
    (_DOWN, _UP): {Path.REESTABLISHING, Path.LOCAL},
}
"""Which paths may be in use while c is up, by a and b; the way back from local backup takes its time."""
_BEYOND = {_UP: {Path.BOTH}, _DOWN: {Path.LOCAL}, LinkState.UNKNOWN: set(Path)}
"""The same where b is degraded or unknown, or both are down."""
OUTPUTS = 1024
"""More than this many outputs of one event, or entries of a queue, would be a queue without a bound."""


class Copy:
    """A node as a replica: its ledger, and how far it has come."""

    def __init__(self, node: str, truth: Truth, others: Mapping[str, Copy]) -> None:
        self.node = node
        self.others = others
        self.ledger = Ledger(node, truth)
        self.table = Table()
        self.position = Position()
        self.told = ZERO
        """How far the primary counts it as safe, checked up to there."""
        self.excused = ZERO
        """What was acknowledged before an old backup took the store's place: late receipts may say so."""

    def moved(self, position: Position) -> None:
        """The node's position is durable; it only grows, and passes nothing that is not held."""
        was = self.position
        if position is was or position.lineage == was.lineage:
            self.ledger.settled()
        if position is was or position == was:
            return
        self.position = position
        if position.writer < was.writer:
            raise Violation(3, f"{self.node} goes back from writer {was.writer} to {position.writer}")
        if position.live < was.live and position.lineage == was.lineage:
            # Who joins another history goes on behind what both share
            raise Violation(6, f"{self.node}'s cursor goes back from {was.live} to {position.live}")
        common = shared(position.lineage, was.lineage, was.live)
        if common < was.live:
            self.ledger.joined(self.table, common)
        if position.live < was.live:
            self.excused = max(self.excused, was.live)
        if position.snapshot is None:
            self.ledger.paged(whole=position.lineage != NO_ONE_HISTORY)
        if position.snapshot is None and position.cursor > min(was.cursor, common):
            self._passed(min(was.cursor, common), position.cursor, position.lineage)

    def _passed(self, after: Version, upto: Version, lineage: Lineage) -> None:
        """A cursor may pass a change only where it, or a newer one of its key, is held or was written."""
        truth, newest, table = self.ledger.truth, self.ledger.newest, self.table
        for key, version, record in truth.between(after, upto, lineage):
            held = newest.get(key)
            if held is not None and held >= version:
                continue
            if truth.newest[key].version > version or (record is None and key not in table):
                continue
            raise Violation(1, f"{self.node}'s cursor {upto} passes {version} of {key.decode()}, not held")

    def safe(self, upto: Version, lineage: Lineage) -> None:
        """The primary counts all up to ``upto`` as safe here: it has to be held, or to have ended since."""
        if upto <= max(self.told, self.excused):
            return
        if upto > self.position.live:
            raise Violation(
                1, f"{self.node} counts as safe up to {upto}, durable there is {self.position.live}"
            )
        truth, newest = self.ledger.truth, self.ledger.newest
        for change in truth.between(self.told, upto, lineage):
            key, version, record = change
            held = newest.get(key)
            if held is not None and held >= version:
                continue
            if truth.ended(change) or (record is None and key not in self.table):
                continue
            # A secondary in the middle of what the cloud sends may lack what the cloud holds in a newer form,
            # or held before an old backup took the store's place: that the primary alone has until it is sent
            if version <= self.others[CLOUD].excused:
                continue
            if not any(copy.ledger.holds(change) for copy in self.others.values()):
                raise Violation(1, f"{key.decode()} of {version} was acknowledged, {self.node} holds {held}")
        self.told = upto

    def restart(self, table: Table, position: Position) -> None:
        """A new process, or another copy of the store, begins with this."""
        self.ledger.restart(table)
        self.table = table
        self.position = position
        self.told = min(self.told, position.live)


class Checks:
    """Every invariant that an event can break."""

    def __init__(self, odds: Odds) -> None:
        self.truth = Truth()
        self.copies: dict[str, Copy] = {}
        for name in (*odds.names, CLOUD):
            self.copies[name] = Copy(name, self.truth, self.copies)
        self._tombstones = dict.fromkeys(odds.names, odds.tombstones)
        self._kept = odds.tombstones
        self._safe: dict[str, Version] = {}

    def behind(self, position: Position) -> int:
        """Return how many changes a copy lacks at most."""
        cursor = position.cursor if position.snapshot is None else ZERO
        return self.truth.count_after(cursor)

    # Routers

    def wrote(self, router: str, frames: Iterable[Frame]) -> None:
        """A router's disk has committed frames."""
        for frame in frames:
            self.truth.wrote(router, frame.changes)

    def role_changed(self, router: Router) -> None:
        """A router has become primary or secondary."""
        self.copies[router.name].ledger.writing = router.member.role is Role.PRIMARY

    def restarted(self, router: Router, dead: Member | None, *, more: bool) -> None:
        """A router's process begins; ``more`` says that some of its last write has survived."""
        copy, member = self.copies[router.name], router.member
        if dead is not None and not more and dead.role is Role.SECONDARY and not dead._writing:
            self._same(router.name, dead, member)
        copy.restart(member.table, member.position)
        copy.ledger.writing = member.role is Role.PRIMARY
        # What the journal has of deletes is forgotten with the next change
        self._tombstones[router.name] = max(self._kept, member.table.tombstones)
        if isinstance(member.table, WatchedTable):
            member.table.ledger = copy.ledger

    @staticmethod
    def _same(name: str, dead: Member, member: Member) -> None:
        if member.position != dead.position:
            raise Violation(1, f"{name} restarts at {member.position}, its disk held {dead.position}")
        if member.table.buckets != dead.table.buckets:
            raise Violation(1, f"{name} restarts with other records than its disk held")
        if member.quarantined != dead.quarantined:
            raise Violation(1, f"{name} restarts with other records set aside than its disk held")

    def router(self, router: Router) -> None:
        """A router has done something."""
        member, copy = router.member, self.copies[router.name]
        self._bounds(member)
        if not copy.ledger.writing:
            copy.moved(member.position)
            return
        if member.position.writer < copy.position.writer:
            raise Violation(
                3, f"{router.name} goes back from {copy.position.writer} to {member.position.writer}"
            )
        copy.position = member.position
        lineage = member.position.lineage
        self._protected(CLOUD, member.source.protected, lineage)
        for name, source in member.locals.items():
            self._protected(name, source.protected, lineage)

    def _protected(self, replica: str, upto: Version, lineage: Lineage) -> None:
        """What the primary counts as safe; it may go on counting what a lost store has acknowledged."""
        if upto != self._safe.get(replica):
            self._safe[replica] = upto
            self.copies[replica].safe(upto, lineage)

    def _bounds(self, member: Member) -> None:
        table = member.table
        if (
            table.tombstones > self._tombstones[member.device]
            and not member._writing
            and not member.waiting_for_disk
        ):
            durable = table.head <= member.durable and member.position.snapshot is None
            if durable:
                raise Violation(8, f"{member.device} remembers {table.tombstones} deletes")
        for source in (member.source, *member.locals.values()) if member.locals else (member.source,):
            if len(source._in_flight) > source.options.window:
                raise Violation(8, f"{member.device} has {source.in_flight} batches under way")
        if len(member._intake.waiting) > member.options.pending_batches or len(member._outputs) > OUTPUTS:
            raise Violation(8, f"{member.device}: a queue has no bound")

    @staticmethod
    def taken(name: str, receipt: Receipt, *, obtains: bool) -> None:
        """A router answers a batch; nothing is obtained from the cloud beside local backup [0158]."""
        if receipt.result is Result.STORED and not obtains:
            raise Violation(7, f"{name} takes a batch of the cloud while local backup is active")

    @staticmethod
    def path(decider: Decider) -> None:
        """The path in use is one that the table knows for the links, unless the peer is being asked."""
        if decider.asking:
            return
        a, b, c = decider.links
        if decider.path is _CLOUD and a is b is c is _UP:
            return
        if c is not _UP:
            allowed = {Path.HOLD} if a is _DOWN else {Path.CLOUD}
        else:
            allowed = _PATHS.get((a, b), _DEGRADED if a is LinkState.DEGRADED else _BEYOND[a])
        if decider.path not in allowed:
            words = ", ".join(state.value for state in (a, b, c))
            raise Violation(7, f"path {decider.path.value} where a, b, c are {words}")

    # The cloud

    def applied(self, store: CloudStore, device: str, batch: Batch) -> None:
        """The cloud is about to store what a device has uploaded."""
        entry = store.entries.get(device)
        if entry is None or entry.role is not Role.PRIMARY or batch.writer.device != device:
            raise Violation(3, f"the cloud stores a batch of {device} under {batch.writer}: {entry}")

    @staticmethod
    def judged(before: Epoch, batch: Batch, receipt: Receipt) -> None:
        """The cloud has judged an upload; ``before`` was the newest writer: two are never both accepted."""
        if receipt.result is Result.STORED and batch.writer < before:
            raise Violation(4, f"the cloud accepts {batch.writer} although it has accepted {before}")

    def stored(self, store: CloudStore) -> None:
        """The cloud's store has committed."""
        self.copies[CLOUD].moved(store.position)

    def store_opened(self, store: CloudStore, *, restored: bool) -> None:
        """The cloud's process begins; ``restored``: with an old backup of its store."""
        copy = self.copies[CLOUD]
        if restored:
            copy.ledger.newest = {}
            copy.excused = max(copy.excused, copy.position.live)
            copy.told = ZERO
        copy.restart(store.table, store.position)
        store.table.ledger = copy.ledger

    def cloud(self, cloud: CloudDevice) -> None:
        """The cloud has done something."""
        core = cloud.core
        if len(core._outputs) > OUTPUTS or len(core._registrar._queue) > len(self.copies):
            raise Violation(8, "the cloud: a queue has no bound")
        for device, waiting in core._uploads.items():
            if len(waiting) > OUTPUTS:
                raise Violation(8, f"the cloud: {len(waiting)} batches of {device} wait for receipts")
