"""Virtual routers on a link that loses, cuts and delays, with processes that freeze, die and start again."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv4Address

from rui.vrrp.fsm import VirtualRouter
from rui.vrrp.packet import Advertisement
from rui.vrrp.states import State
from rui.vrrp.values import Send, Source, VrrpOptions
from rui_cli.sim.clock import Clock

VIRTUAL = (IPv4Address("192.0.2.254"),)


@dataclass
class Node:
    """One router; what arrives while it is frozen waits for it."""

    router: VirtualRouter
    frozen: bool = False
    cut: bool = False
    waiting: list[tuple[Advertisement, Source]] = field(default_factory=list)
    timer: float | None = None

    @property
    def forwards(self) -> bool:
        """Whether it is Master and awake: a frozen one's gate shuts by itself."""
        return self.router.state is State.MASTER and not self.frozen


class VrrpWorld:
    """Two or three virtual routers. All that happens follows from the seed.

    ``overlap`` is the longest time that two were Master on an undisturbed link, ``gap`` the longest that none
    was while one was alive.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.interval = self.chance.choice([1, 10, 100])
        self.delay = self.interval / 100 * self.chance.choice([0.0, 0.01, 0.1])
        self.loss = 0.0
        self.yields = self.chance.random() < 0.3
        self.nodes = [self._node(number) for number in range(self.chance.choice([2, 3]))]
        self.transitions: Counter[tuple[State, State]] = Counter()
        self.overlap = self.gap = 0.0
        self._arrivals: dict[tuple[int, int], float] = {}
        self._masters_since: tuple[int, float] = (0, 0.0)

    def _node(self, number: int) -> Node:
        options = VrrpOptions(
            51,
            VIRTUAL,
            priority=self.chance.choice([50, 100, 100, 200, 253]),
            interval=self.interval,
            preempt=self.chance.random() < 0.7,
            preempt_delay=self.chance.choice([0.0, 0.0, 2.0]),
            yield_needs_grant=self.yields,
        )
        return Node(VirtualRouter(options, Source(IPv4Address(f"192.0.2.{number + 1}")), 0.0))

    @property
    def down_interval(self) -> float:
        """The longest Master_Down_Interval that can be."""
        return 4 * self.interval / 100

    @property
    def masters(self) -> list[Node]:
        return [node for node in self.nodes if node.forwards]

    def start(self) -> None:
        for node in self.nodes:
            self.clock.after(self.chance.random() * self.down_interval, partial(self._start, node))

    def run(self, seconds: float) -> None:
        """Let time pass, without further faults."""
        end = self.clock.now + seconds
        ended = False

        def stop() -> None:
            nonlocal ended
            ended = True

        self.clock.after(end - self.clock.now, stop)
        while not ended:
            self.clock.step()
        self._watch()

    def trouble(self, events: int) -> None:
        """Let that many things go wrong, at times of the scale on which the protocol reacts."""
        self.loss = self.chance.choice([0.0, 0.2, 0.6])
        for _ in range(events):
            self.run(self.chance.random() * self.down_interval)
            self._fault(self.chance.choice(self.nodes))

    def heal(self) -> None:
        """Repair everything: all take part, none yields, all may preempt."""
        self.loss = 0.0
        for node in self.nodes:
            node.cut = False
            self._thaw(node)
            node.router.allow_preemption(True, self.clock.now)
            node.router.set_priority(node.router.options.priority, "healed", self.clock.now)
            self._start(node)

    def watch_afresh(self) -> None:
        """Forget what was seen of overlaps and gaps."""
        self.overlap = self.gap = 0.0
        self._masters_since = (len(self.masters), self.clock.now)

    def act(self, node: Node, what: str, *arguments: object) -> None:
        """Call a method of a router, with the time as its last argument."""
        getattr(node.router, what)(*arguments, self.clock.now)
        self._drain(node)

    def _fault(self, node: Node) -> None:
        match self.chance.randrange(8):
            case 0:
                node.cut = not node.cut
            case 1:
                node.frozen = True
            case 2:
                self._thaw(node)
            case 3:
                # A kill: nothing is said, and nothing is remembered
                node.router = VirtualRouter(node.router.options, node.router.source, self.clock.now)
                self._start(node)
            case 4:
                self.act(node, "shutdown", "stopped")
            case 5:
                self._start(node)
            case 6:
                self.act(node, "set_priority", self.chance.choice([1, 50, 150, 253]), "tracking")
            case _:
                self.act(node, "allow_preemption", self.chance.random() < 0.5)
                if self.chance.random() < 0.3:
                    self.act(node, "grant", self.clock.now + self.down_interval)

    def _start(self, node: Node) -> None:
        self.act(node, "start")

    def _thaw(self, node: Node) -> None:
        node.frozen = False
        waiting, node.waiting = node.waiting, []
        for advertisement, source in waiting:
            node.router.receive(advertisement, source, self.clock.now)
        node.router.handle_timer(self.clock.now)
        self._drain(node)

    def _arrive(self, node: Node, advertisement: Advertisement, source: Source) -> None:
        if node.frozen:
            node.waiting.append((advertisement, source))
            return
        before = node.router.state
        node.router.receive(advertisement, source, self.clock.now)
        self.transitions[before, node.router.state] += 1
        self._drain(node)

    def _drain(self, node: Node) -> None:
        for output in node.router.outputs():
            if isinstance(output, Send):
                self._send(node, output.advertisement)
        self._arm(node)
        self._watch()

    def _send(self, sender: Node, advertisement: Advertisement) -> None:
        for number, other in enumerate(self.nodes):
            lost = sender.cut or other.cut or self.chance.random() < self.loss
            if other is sender or lost:
                continue
            # A link keeps the order of what crosses it
            way = (self.nodes.index(sender), number)
            at = max(self._arrivals.get(way, 0.0), self.clock.now + self.delay * self.chance.random())
            self._arrivals[way] = at
            arrive = partial(self._arrive, other, advertisement, sender.router.source)
            self.clock.after(at - self.clock.now, arrive)

    def _arm(self, node: Node) -> None:
        deadline = node.router.next_deadline()
        if deadline is None or deadline == node.timer:
            return
        node.timer = deadline

        def due() -> None:
            if node.timer == deadline:
                node.timer = None
                if not node.frozen:
                    node.router.handle_timer(self.clock.now)
                    self._drain(node)

        self.clock.after(max(0.0, deadline - self.clock.now), due)

    def _watch(self) -> None:
        """Measure how long there were two Masters, or none."""
        masters, since = self._masters_since
        lasted = self.clock.now - since
        if masters > 1:
            self.overlap = max(self.overlap, lasted)
        elif masters == 0:
            self.gap = max(self.gap, lasted)
        if len(self.masters) != masters:
            self._masters_since = (len(self.masters), self.clock.now)


def with_options(world: VrrpWorld, **options: object) -> VrrpWorld:
    """Give every router of a world that has not started these options."""
    for node in world.nodes:
        changed = replace(node.router.options, **options)  # type: ignore[arg-type]
        node.router = VirtualRouter(changed, node.router.source, 0.0)
    return world
