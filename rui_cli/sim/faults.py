"""What goes wrong in a world, one thing after the other and several at once, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rui_cli.sim.options import CLOUD
from rui_cli.sim.wire import Wire
from rui_cli.sim.world import World

LASTS = 5.0
"""At most so many timeouts of a link, or seconds, until a fault is over."""
SLOW = 10.0


class Faults:
    """Draws faults for as long as the world is not quiet."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.count = 0
        self.seen: set[str] = set()
        self._kinds: tuple[Callable[[], str | None], ...] = (
            self._cut,
            self._cut,
            self._stall,
            self._one_way,
            self._slow_wire,
            self._lossy_wire,
            self._reset,
            self._crash,
            self._crash,
            self._crash_cloud,
            self._freeze,
            self._slow_disk,
            self._full_disk,
            self._compact,
            self._back_up,
            self._restore,
            self._clock_jumps,
            self._everything,
        )
        if world.odds.moves:
            self._kinds += (self._switch, self._switch)
        if world.odds.vrrp_interval:
            self._kinds += (self._access_down, self._access_down, self._access_splits, self._access_lossy)

    def begin(self) -> None:
        """Let the first one happen in its time."""
        mean = self.world.odds.faults
        if mean:
            self.world.clock.after(self.world.chance.expovariate(1 / mean), self._next)

    def heal(self) -> None:
        """End all that is wrong; processes that are down start again by themselves."""
        world = self.world
        world.quiet = True
        world.slowness = 1.0
        world.full.clear()
        for disk in world.disks.values():
            disk.slowness = 1.0
        for wire in world.wires.values():
            wire.mend()
        world.access.mend()
        for host in world.hosts.values():
            host.thaw()

    def _next(self) -> None:
        if self.world.quiet:
            return
        happened = self.world.chance.choice(self._kinds)()
        if happened:
            self.count += 1
            self.world.coverage.saw("faults", happened, "")
        self.begin()

    def _later(self, end: Callable[[], None]) -> None:
        world = self.world
        lasts = world.chance.random() * LASTS * max(1.0, world.odds.link.timeout)
        world.clock.after(lasts, end)

    def _wire(self) -> Wire:
        return self.world.chance.choice(list(self.world.wires.values()))

    def _router(self) -> str:
        return self.world.chance.choice(self.world.odds.names)

    # Wires

    def _cut(self) -> str:
        wire = self._wire()
        wire.cut()
        self._later(wire.mend)
        return "cut"

    def _reset(self) -> str:
        self._wire().reset("reset")
        return "reset"

    def _stall(self) -> str:
        wire = self._wire()
        wire.stall(0)
        wire.stall(1)
        self._later(wire.mend)
        return "stall"

    def _one_way(self) -> str:
        wire = self._wire()
        wire.stall(self.world.chance.randrange(2))
        self._later(wire.mend)
        return "one-way"

    def _slow_wire(self) -> str:
        wire = self._wire()
        wire.delay = 0.1 + self.world.chance.random() * 0.3
        self._later(wire.mend)
        return "slow-wire"

    def _lossy_wire(self) -> str:
        wire = self._wire()
        wire.loss = 0.02 + self.world.chance.random() * 0.2
        self._later(wire.mend)
        return "loss"

    def _everything(self) -> str:
        """Take one node from all others at once."""
        name = self.world.chance.choice([*self.world.odds.names, CLOUD])
        wires = [wire for wire in self.world.wires.values() if name in {end.name for end in wire.ends}]
        for wire in wires:
            wire.cut()

        def end() -> None:
            for wire in wires:
                wire.mend()

        self._later(end)
        return "isolated"

    # The access network

    def _access_down(self) -> str:
        name = self._router()
        self.world.access.detach(name)
        self._later(partial(self.world.access.attach, name))
        return "access-down"

    def _access_splits(self) -> str:
        access = self.world.access
        access.sides = {name: self.world.chance.randrange(2) for name in access.sides}
        self._later(access.mend)
        return "access-split"

    def _access_lossy(self) -> str:
        self.world.access.loss = 0.5
        self._later(self.world.access.mend)
        return "access-loss"

    # Roles

    def _switch(self) -> str | None:
        """An operator wants another router to be primary, in sync or not."""
        router, force = self.world.routers.get(self._router()), self.world.chance.random() < 0.3
        if router is None or router.standing is None:
            return None
        router.host.take(partial(router.standing.switch, force=force))
        return "switch-forced" if force else "switch"

    # Processes

    def _crash(self) -> str:
        self.world.crash_router(self._router())
        return "crash"

    def _crash_cloud(self) -> str:
        self.world.crash_cloud()
        return "cloud-crash"

    def _freeze(self) -> str:
        host = self.world.hosts[self.world.chance.choice([*self.world.odds.names, CLOUD])]
        host.freeze()
        self._later(host.thaw)
        return "freeze"

    def _clock_jumps(self) -> str:
        host = self.world.chance.choice(list(self.world.hosts.values()))
        host.skew += self.world.chance.uniform(-7200.0, 7200.0)
        return "clock-jump"

    # Disks

    def _slow_disk(self) -> str:
        world, name = self.world, self._router()
        disk = world.disks[name]
        disk.slowness = world.slowness = SLOW

        def end() -> None:
            disk.slowness = world.slowness = 1.0

        self._later(end)
        return "slow-disk"

    def _full_disk(self) -> str:
        world = self.world
        name = world.chance.choice([*world.odds.names, CLOUD])
        world.full.add(name)
        self._later(partial(world.full.discard, name))
        return "full-disk"

    def _compact(self) -> str | None:
        name = self._router()
        router = self.world.routers.get(name)
        if router is None:
            return None
        self.world.disks[name].compact(router.member)
        return "compaction"

    def _back_up(self) -> str:
        self.world.backup = self.world.store.copy()
        return "backup"

    def _restore(self) -> str | None:
        if self.world.chance.random() < 0.5:
            return None
        self.world.restore_backup()
        return "restore"
