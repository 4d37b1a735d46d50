"""The access network, where VRRP decides which router of the group forwards.

One segment that may lose what is sent, lose a router, or fall apart.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from rui.vrrp.fsm import VirtualRouter
from rui.vrrp.packet import Advertisement
from rui.vrrp.states import State
from rui.vrrp.values import YIELDING, BecomeBackup, BecomeMaster, Output, Send, Source, Stop, VrrpOptions
from rui_cli.sim.clock import Alarm
from rui_cli.sim.violation import Violation

if TYPE_CHECKING:
    from rui_cli.sim.router import Router
    from rui_cli.sim.standing import Standing
    from rui_cli.sim.world import World

DELAY = 0.002
VIRTUAL = (IPv4Address("198.51.100.1"),)


class Access:
    """``attached`` are routers whose access link is up; different ``sides`` hear nothing of each other."""

    def __init__(self, world: World) -> None:
        self.world = world
        names = world.odds.names
        self.attached = set(names)
        self.sides = dict.fromkeys(names, 0)
        self.loss = 0.0
        self.sources = {
            name: Source(IPv4Address(f"198.51.100.{number}")) for number, name in enumerate(names, 2)
        }
        self._able: dict[str, int] = {}
        self._unserved_since: float | None = None

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return len(self.attached) == len(self.sides) and not self.loss and len(set(self.sides.values())) == 1

    def options(self, name: str) -> VrrpOptions:
        """Return a router's virtual router as configured."""
        place = self.world.odds.names.index(name)
        interval = self.world.odds.vrrp_interval
        return VrrpOptions(1, VIRTUAL, priority=200 - 50 * place, interval=interval, yield_needs_grant=True)

    def send(self, name: str, advertisement: Advertisement) -> None:
        """Send to all other routers that hear this one."""
        world = self.world
        if name not in self.attached:
            return
        world.witness.advertised(name, advertisement.priority, world.clock.now)
        for other in world.odds.names:
            if other == name or other not in self.attached or self.sides[other] != self.sides[name]:
                continue
            if self.loss and world.chance.random() < self.loss:
                continue
            delay = DELAY * world.chance.random()
            world.hosts[other].after(delay, lambda other=other: self._hear(other, advertisement, name))  # type: ignore[misc]

    def _hear(self, name: str, advertisement: Advertisement, sender: str) -> None:
        election = self.world.routers[name].election
        if election is not None and name in self.attached:
            self.world.witness.hears(name, advertisement.priority, self.world.clock.now)
            election.heard(advertisement, self.sources[sender])

    def detach(self, name: str) -> None:
        """A router's access link goes down; it notices at once."""
        self.attached.discard(name)
        self._notice(name)

    def attach(self, name: str) -> None:
        """A router's access link is up again."""
        self.attached.add(name)
        self._notice(name)

    def mend(self) -> None:
        """End all that is wrong."""
        self.loss = 0.0
        self.sides = dict.fromkeys(self.sides, 0)
        for name in self.world.odds.names:
            if name not in self.attached:
                self.attach(name)

    def _notice(self, name: str) -> None:
        router = self.world.routers.get(name)
        if router is not None and router.election is not None:
            router.host.take(router.election.link_changed)

    def watch(self) -> None:
        """Invariant 9: somebody forwards unless nobody has been able to for a while."""
        world, now = self.world, self.world.clock.now
        if not world.odds.vrrp_interval:
            return
        # By process: one that has begun anew has had no time yet
        able = {
            name: router.host.life
            for name, router in world.routers.items()
            if name in self.attached and router.host.awake
        }
        if not able or able != self._able or any(self._forwards(name) for name in able):
            self._able, self._unserved_since = able, None
        elif self._unserved_since is None:
            self._unserved_since = now
        elif now - self._unserved_since > self._patience():
            raise Violation(9, f"nobody has forwarded for {now - self._unserved_since:.2f} s")

    def _forwards(self, name: str) -> bool:
        election = self.world.routers[name].election
        return election is not None and election.forwards

    def _patience(self) -> float:
        """A router that has just begun, or was frozen, listens first; then the silence must be long."""
        return 3 * 4 * self.world.odds.vrrp_interval / 100 + 0.5


class Election:
    """One router's place in the election, as ``router.vrrp`` drives it."""

    def __init__(self, router: Router, access: Access, standing: Standing) -> None:
        self._router = router
        self._access = access
        self._standing = standing
        self._told: bool | None = None
        self._draining = False
        self.vrrp = VirtualRouter(access.options(router.name), access.sources[router.name], router.now)
        self._alarm = Alarm(router.host, self._timer)

    @property
    def forwards(self) -> bool:
        """Whether this router is Master."""
        return self.vrrp.state is State.MASTER

    @property
    def master_priority(self) -> int | None:
        """What the Master that this Backup follows says of itself."""
        return None if self.vrrp.master is None else self.vrrp.master.priority

    def start(self) -> None:
        """Begin to listen."""
        self.link_changed()

    def heard(self, advertisement: Advertisement, source: Source) -> None:
        """Another router's advertisement has come."""
        self.vrrp.receive(advertisement, source, self._router.now)
        self._drain()

    def grant(self, until: float) -> None:
        """The cloud or an operator lets this router preempt until then."""
        self.vrrp.grant(until, self._router.now)
        self._drain()

    def stand(self, *, yields: bool, preempts: bool) -> None:
        """Advertise what the standing says."""
        now = self._router.now
        self.vrrp.allow_preemption(preempts, now)
        self.vrrp.set_priority(YIELDING if yields else self.vrrp.options.priority, "standing", now)
        self._drain()

    def link_changed(self) -> None:
        """The access link went down or came up."""
        if self._router.name in self._access.attached:
            self.vrrp.start(self._router.now)
        else:
            self.vrrp.shutdown("the access link is down", self._router.now)
        self._drain()

    def _timer(self) -> None:
        self.vrrp.handle_timer(self._router.now)
        self._drain()

    def _drain(self) -> None:
        """Do what is to be done, in order; what comes back in here adds to the end of it."""
        if self._draining:
            return
        self._draining = self._router.world.news = True
        try:
            while outputs := self.vrrp.outputs():
                for output in outputs:
                    self._do(output)
        finally:
            self._draining = False
        self._alarm.move(self.vrrp.next_deadline())
        self._access.watch()

    def _do(self, output: Output) -> None:
        match output:
            case Send(advertisement):
                self._access.send(self._router.name, advertisement)
            case BecomeMaster(reason):
                router = self._router
                router.world.witness.mastered(router.name, reason, router.now)
                self._change(master=True, reason=reason)
            case BecomeBackup(reason) | Stop(reason):
                self._change(master=False, reason=reason)
            case _:
                pass

    def _change(self, *, master: bool, reason: str) -> None:
        if master is not self._told:
            self._told = master
            self._standing.elected(master, reason)
