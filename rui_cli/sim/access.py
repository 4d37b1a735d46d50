"""The access network, where VRRP decides which router of the group forwards.

One segment that may lose what is sent, lose a router, or fall apart.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from rui.vrrp.fsm import VirtualRouter
from rui.vrrp.packet import Advertisement
from rui.vrrp.states import State
from rui.vrrp.values import BecomeBackup, BecomeMaster, Send, Source, Stop, VrrpOptions
from rui_cli.sim.clock import Alarm
from rui_cli.sim.violation import Violation

if TYPE_CHECKING:
    from rui_cli.sim.router import Router
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
        self._unserved_since: float | None = None

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return len(self.attached) == len(self.sides) and not self.loss and len(set(self.sides.values())) == 1

    def options(self, name: str) -> VrrpOptions:
        """Return a router's virtual router as configured."""
        place = self.world.odds.names.index(name)
        return VrrpOptions(1, VIRTUAL, priority=200 - 50 * place, interval=self.world.odds.vrrp_interval)

    def send(self, name: str, advertisement: Advertisement) -> None:
        """Send to all other routers that hear this one."""
        world = self.world
        if name not in self.attached:
            return
        for other in world.odds.names:
            if other == name or other not in self.attached or self.sides[other] != self.sides[name]:
                continue
            if self.loss and world.chance.random() < self.loss:
                continue
            delay = DELAY * world.chance.random()
            world.hosts[other].after(delay, lambda other=other: self._hear(other, advertisement, name))  # type: ignore[misc]

    def _hear(self, name: str, advertisement: Advertisement, sender: str) -> None:
        mastership = self.world.routers[name].mastership
        if mastership is not None and name in self.attached:
            mastership.heard(advertisement, self.sources[sender])

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
        if router is not None and router.mastership is not None:
            router.host.take(router.mastership.link_changed)

    def watch(self) -> None:
        """Invariant 9: somebody forwards unless nobody has been able to for a while."""
        world, now = self.world, self.world.clock.now
        able = [
            router
            for name, router in world.routers.items()
            if name in self.attached and router.host.awake and router.mastership is not None
        ]
        if not able or any(router.mastership is not None and router.mastership.forwards for router in able):
            self._unserved_since = None
        elif self._unserved_since is None:
            self._unserved_since = now
        elif now - self._unserved_since > self._patience():
            raise Violation(9, f"nobody has forwarded for {now - self._unserved_since:.2f} s")

    def _patience(self) -> float:
        """A router that has just begun, or was frozen, listens first; then the silence must be long."""
        return 3 * 4 * self.world.odds.vrrp_interval / 100 + 0.5


class Mastership:
    """One router's place in the election, and what follows for its role in the group."""

    def __init__(self, router: Router, access: Access) -> None:
        self._router = router
        self._access = access
        self._vrrp = VirtualRouter(access.options(router.name), access.sources[router.name], router.now)
        self._alarm = Alarm(router.host, self._timer)

    @property
    def forwards(self) -> bool:
        """Whether this router is Master."""
        return self._vrrp.state is State.MASTER

    @property
    def attached(self) -> bool:
        """Whether the access link is up."""
        return self._router.name in self._access.attached

    def start(self) -> None:
        """Begin to listen."""
        if self.attached:
            self._vrrp.start(self._router.now)
        self._drain()

    def heard(self, advertisement: Advertisement, source: Source) -> None:
        """Another router's advertisement has come."""
        self._vrrp.receive(advertisement, source, self._router.now)
        self._drain()

    def link_changed(self) -> None:
        """The access link went down or came up."""
        if self.attached:
            self._vrrp.start(self._router.now)
        else:
            self._vrrp.shutdown("the access link is down", self._router.now)
        self._drain()

    def _timer(self) -> None:
        self._vrrp.handle_timer(self._router.now)
        self._drain()

    def _drain(self) -> None:
        for output in self._vrrp.outputs():
            match output:
                case Send(advertisement):
                    self._access.send(self._router.name, advertisement)
                case BecomeMaster():
                    self._router.promote()
                case BecomeBackup(reason) | Stop(reason):
                    self._router.demote(reason)
                case _:
                    pass
        self._alarm.move(self._vrrp.next_deadline())
