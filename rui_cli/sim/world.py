"""One deterministic world: the cores of routers and cloud, with disks, wires and processes that fail.

Everything is drawn from one source of chance, made from a seed. Time is a number that events advance.
"""

from __future__ import annotations

import random
from functools import partial
from itertools import combinations

from rui.backup.identity import Role
from rui.backup.journal import Frame
from rui.backup.member import Member
from rui.backup.messages import Batch, Quarantined
from rui.backup.source import SourceOptions
from rui_cli.sim.access import Access
from rui_cli.sim.checks import Checks
from rui_cli.sim.clock import Act, Clock, Host
from rui_cli.sim.cloud import CloudDevice, CloudLine
from rui_cli.sim.coverage import Coverage
from rui_cli.sim.disk import Disk
from rui_cli.sim.options import CLOUD, Odds
from rui_cli.sim.peer import Peer
from rui_cli.sim.rbs import RbsLine
from rui_cli.sim.router import Router, local_options
from rui_cli.sim.store import CloudStore
from rui_cli.sim.wire import Wire
from rui_cli.sim.witness import Witness

NEW_LEAF = b"<new-leaf/>"
"""What an older model does not know."""
DOWN_FOR = 3.0
"""At most so many seconds until a crashed process is started again."""


class World:
    """Two or three routers and a cloud. ``crash_at`` is the write at which its process crashes."""

    def __init__(
        self,
        chance: random.Random,
        odds: Odds,
        coverage: Coverage | None = None,
        crash_at: int | None = None,
    ) -> None:
        self.chance = chance
        self.odds = odds
        self.local_options: SourceOptions = local_options(self.odds)
        self.coverage = coverage or Coverage()
        self.clock = Clock()
        self.checks = Checks(self.odds)
        self.witness = Witness(self.odds)
        self.quiet = False
        """Nothing fails by itself any more."""
        self.news = True
        """Whether a process has begun, ended, or done more than hear of others since this was last unset."""
        self.slowness = 1.0
        self.crash_at = crash_at
        self.writes = 0
        self.hosts = {
            name: Host(self.clock, name, self.odds.skew * self.chance.uniform(-1, 1))
            for name in (*self.odds.names, CLOUD)
        }
        self.routers: dict[str, Router] = {}
        self.access = Access(self)
        self.disks = {name: self._disk(name) for name in self.odds.names}
        self._dead: dict[str, tuple[Member, bool]] = {}
        self.store = CloudStore(self.odds.tombstones)
        self.backup = CloudStore(self.odds.tombstones)
        self.full: set[str] = set()
        self._cloud: CloudDevice | None = None
        names = self.odds.names
        self.wires = {f"{CLOUD}-{name}": self._wire(CLOUD, name) for name in names}
        self.wires |= {f"{one}-{other}": self._wire(one, other) for one, other in combinations(names, 2)}
        self.cloud_lines = {name: CloudLine(self, self.wires[f"{CLOUD}-{name}"], name) for name in names}
        self.rbs_lines = {
            (wire.ends[end].name, wire.ends[1 - end].name): RbsLine(self, wire, end)
            for wire in self.wires.values()
            for end in (0, 1)
            if wire.ends[0].name != CLOUD
        }
        for name in self.odds.names:
            self.start_router(name)
        self.start_cloud()

    def end(self) -> None:
        """Take it apart, so that most of it is freed at once: a collector would have to go through it all."""
        self.clock.clear()
        self.checks.copies.clear()
        for process in (*self.routers.values(), self._cloud):
            if process is not None:
                vars(process).clear()
        vars(self).clear()

    @property
    def cloud(self) -> CloudDevice:
        """The cloud's process; what runs there only runs while there is one."""
        if self._cloud is None:
            raise LookupError("the cloud's process does not run")
        return self._cloud

    @property
    def primary(self) -> Router | None:
        """The router that serves the group, the newest of several, if one runs."""
        newest = None
        for router in self.routers.values():
            if router.member.serving and (newest is None or router.member.epoch > newest.member.epoch):
                newest = router
        return newest

    def _wire(self, one: str, other: str) -> Wire:
        return Wire(self.clock, self.chance, (self.hosts[one], self.hosts[other]), self.odds.delay)

    def _disk(self, name: str) -> Disk:
        host = self.hosts[name]

        def committed(frames: tuple[Frame, ...]) -> None:
            self.checks.wrote(name, frames)

        return Disk(
            host,
            self.chance,
            seconds=self.odds.disk,
            committed=committed,
            power=partial(self.power_fails, host),
            full=partial(self.disk_full, name),
        )

    # Roles

    def role(self, name: str) -> Role:
        """Return the role that a router's startup file gives it."""
        return Role.PRIMARY if name == self.odds.names[0] else Role.SECONDARY

    def peers_of(self, router: Router) -> list[Peer]:
        """Return the other members that a router has an RBS line with."""
        me, initiates = router.name, router.member.role is self.odds.initiator
        others = [name for name in self.odds.names if name != me]
        pairs = {name: (me, name) if initiates else (name, me) for name in others}
        return [Peer(router, name, self.rbs_lines[pairs[name]], initiates=initiates) for name in others]

    # Processes

    def start_router(self, name: str) -> None:
        """Start a router's process; it reads its disk."""
        host = self.hosts[name]
        if host.up:
            return
        host.start()
        self.news = True
        self.witness.begins(name)
        router = self.routers[name] = Router(self, host, self.disks[name], self.role(name))
        dead, more = self._dead.pop(name, (None, False))
        self.checks.restarted(router, dead, more=more)
        router.start()
        for (dialler, _), line in self.rbs_lines.items():
            if dialler == name:
                line.begin()

    def crash_router(self, name: str) -> None:
        """End a router's process as a power failure does."""
        if not self.hosts[name].up:
            return
        more = self.disks[name].crash()
        self._dead[name] = (self.routers.pop(name).member, more)
        self._gone(name, partial(self.start_router, name))

    def start_cloud(self) -> None:
        """Start the cloud's process on what its store holds."""
        host = self.hosts[CLOUD]
        if host.up:
            return
        host.start()
        self.news = True
        self.store.reopen()
        self.checks.store_opened(self.store, restored=False)
        self.witness.cloud_begins(self.clock.now)
        self._cloud = CloudDevice(self, host, self.store)
        self._cloud.start()

    def crash_cloud(self) -> None:
        """End the cloud's process; what its store has committed stays."""
        if self.hosts[CLOUD].up:
            self._cloud = None
            self._gone(CLOUD, self.start_cloud)

    def restore_backup(self) -> None:
        """Put an old backup in place of the cloud's store, and start on it."""
        self.crash_cloud()
        self.store = self.backup.copy()
        self.checks.store_opened(self.store, restored=True)

    def _gone(self, name: str, start: Act) -> None:
        self.hosts[name].stop()
        self.news = True
        for wire in self.wires.values():
            if self.hosts[name] in wire.ends:
                wire.reset(f"{name} has crashed")
        self.clock.after(self.chance.random() * DOWN_FOR, start)

    def power_fails(self, host: Host) -> bool:
        """Before and after each write: let the process crash there, if that is its fate."""
        self.writes += 1
        chance = 0.0 if self.quiet else self.odds.crash_at_write
        if self.writes != self.crash_at and not (chance and self.chance.random() < chance):
            return False
        if host.name == CLOUD:
            self.crash_cloud()
        else:
            self.crash_router(host.name)
        return True

    def disk_full(self, name: str) -> bool:
        """Whether there is no room for the next write of a node."""
        chance = 0.0 if self.quiet else self.odds.disk_full
        return name in self.full or bool(chance and self.chance.random() < chance)

    def refused(self, node: str, batch: Batch) -> tuple[Quarantined, ...]:
        """Return which records of a batch a node's model refuses."""
        if node not in self.odds.old_models:
            return ()
        return tuple(
            Quarantined(change.key, change.version, "unknown element new-leaf")
            for change in batch.changes
            if change.record is not None and NEW_LEAF in change.record
        )
