"""The RBS link in the deterministic world: both ends' cores over the messages of simulated links.

What ``router.rbs`` does with sockets is done here by the world's clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rui.backup.decision import Path, Policy
from rui.backup.failover import (
    Ask,
    Decider,
    FailoverOptions,
    Informant,
    Output,
    PathChanged,
    StartLocal,
    StopLocal,
    Tell,
    TellWait,
)
from rui.backup.identity import Role
from rui.backup.links import Link as Evidence
from rui.backup.links import LinkOptions, LinkState
from rui.backup.messages import Batch, Position, Receipt
from rui.backup.source import SourceOptions
from rui.backup.version import ZERO, Version
from tests.simulation.parts import Link
from tests.simulation.world import PRIMARY, SECONDARY, World

OTHER = {PRIMARY: SECONDARY, SECONDARY: PRIMARY}
ROLE = {PRIMARY: Role.PRIMARY, SECONDARY: Role.SECONDARY}
RBS = "rbs"
POLL = 1.0
DIAL = 0.3

Reply = Callable[[object], None]


@dataclass(frozen=True)
class Setting:
    """How one world's groups are configured; drawn by :func:`draw`."""

    initiator: Role
    link: LinkOptions
    options: FailoverOptions


def draw(chance: random.Random) -> Setting:
    """Draw a configuration: both initiators, all policies, short and long timers."""
    timeout, hold = chance.choice([0.5, 1.0, 3.0]), chance.choice([1.0, 3.0])
    return Setting(
        chance.choice(list(Role)),
        LinkOptions(timeout=timeout, hold=hold, window=hold),
        FailoverOptions(
            fault_policy=chance.choice(list(Policy)),
            degraded_policy=chance.choice(list(Policy)),
            max_wait=chance.choice([2.0, 8.0]),
            hold=hold,
        ),
    )


@dataclass
class Probing:
    """What the end that dialled a session knows of its probes."""

    rtt: float | None = None
    lost: int = 0
    outstanding: dict[int, float] = field(default_factory=dict)
    number: int = 0


@dataclass
class Side:
    """One router's failover for as long as its process lives."""

    name: str
    cloud: Evidence
    rbs: Evidence
    decider: Decider | None
    informant: Informant | None
    told: Path = Path.CLOUD
    polled_at: float = 0.0
    alarm: float = float("inf")
    due: bool = False

    @property
    def path(self) -> Path:
        return self.decider.path if self.decider else self.told

    @property
    def local(self) -> bool:
        return self.decider.local if self.decider else self.told.local


class ChannelWorld(World):
    """The two routers and the cloud of :class:`World`, with an RBS link between the routers."""

    def __init__(self, seed: int, setting: Setting | None = None) -> None:
        self._wanted = setting
        super().__init__(seed)

    def set_up(self) -> None:
        self.setting = self._wanted or draw(self.chance)
        # A link that is slow from birth would be degraded for ever: slowness is a fault here.
        self.odds = replace(self.odds, delay=min(self.odds.delay, 0.02))
        self.links = {
            name: Link(self.clock, self.chance, self.odds.delay) for name in (PRIMARY, SECONDARY, RBS)
        }
        self.reach = dict.fromkeys(self.links, True)
        self.sides: dict[str, Side] = {}
        self.probing = {name: Probing() for name in self.links}
        self.pending: dict[object, Callable[[], None]] = {}
        self.dialler = PRIMARY if self.setting.initiator is Role.PRIMARY else SECONDARY
        self.durable_at_secondary = ZERO
        self.local_promises: dict[bytes, Version] = {}
        self._checked: object = None
        self.away = False
        self.paths: set[tuple[Path, Path]] = set()
        for name in self.links:
            self._tick(name)

    @property
    def interval(self) -> float:
        return self.setting.link.interval

    # Processes and sessions

    def start_router(self, name: str) -> None:
        super().start_router(name)
        now, setting = self.clock.now, self.setting
        initiates = name == self.dialler
        self.sides[name] = Side(
            name,
            Evidence(setting.link, now),
            Evidence(setting.link, now),
            Decider(ROLE[name], setting.options, now) if initiates else None,
            None if initiates else Informant(ROLE[name]),
        )
        self.perform(name)

    def crash_router(self, name: str) -> None:
        self.sides.pop(name)
        super().crash_router(name)
        self.hang_up()

    def connect(self, name: str) -> None:
        if name != RBS and self.reach[name] and not self.links[name].stalled:
            super().connect(name)

    def cut(self, name: str) -> None:
        was_up = self.links[name].up
        super().cut(name)
        self.probing[name] = Probing()
        side = self.sides.get(name)
        if side is not None and was_up:
            side.cloud.cut(self.clock.now)
            self.soon(name)

    def dial(self) -> None:
        link = self.links[RBS]
        if link.up or not self.reach[RBS] or link.stalled or len(self.sides) < 2:
            return
        link.open()
        self.probing[RBS] = Probing()
        other = self.sides[OTHER[self.dialler]]
        other.rbs.heard(self.clock.now)
        self._informant(other).session_opened()
        self.decider.session_opened(self.clock.now)
        for name in self.sides:
            self.soon(name)

    def hang_up(self) -> None:
        link = self.links[RBS]
        if not link.up:
            return
        link.up = False
        pending, self.pending = self.pending, {}
        for fail in pending.values():
            fail()
        for name, side in self.sides.items():
            side.rbs.cut(self.clock.now)
            self.session_gone(side)
            self.soon(name)

    @property
    def decider(self) -> Decider:
        found = self.sides[self.dialler].decider
        assert found is not None
        return found

    # Probes

    def _tick(self, name: str) -> None:
        self.clock.after(self.interval * (0.9 + 0.2 * self.chance.random()), lambda: self._tick(name))
        link = self.links[name]
        if not link.up:
            if name == RBS:
                self.dial()
            elif self.chance.random() < DIAL:
                self.connect(name)
            return
        if name == RBS:
            self._probe_peer()
        else:
            self._probe_router(name)

    def _probe_router(self, name: str) -> None:
        now, probing = self.clock.now, self.probing[name]
        for number, sent in list(probing.outstanding.items()):
            if now - sent > 2 * self.interval:
                del probing.outstanding[number]
                probing.lost += 1
        probing.number += 1
        number, rtt, lost = probing.number, probing.rtt, probing.lost
        probing.lost = 0
        probing.outstanding[number] = now
        link = self.links[name]

        def back() -> None:
            sent = probing.outstanding.pop(number, None)
            if sent is not None:
                probing.rtt = self.clock.now - sent

        def arrive() -> None:
            self.sides[name].cloud.heard(self.clock.now, rtt, lost)
            self.perform(name)
            link.send(True, back)

        link.send(False, arrive)

    def _probe_peer(self) -> None:
        probing, link = self.probing[RBS], self.links[RBS]
        mine, theirs = self.sides[self.dialler], self.sides[OTHER[self.dialler]]
        number, rtt, sent = mine.rbs.probe(self.clock.now), probing.rtt, self.clock.now

        def back() -> None:
            probing.rtt = self.clock.now - sent
            mine.rbs.answered(number, self.clock.now)
            self.perform(mine.name)

        def arrive() -> None:
            theirs.rbs.heard(self.clock.now, rtt)
            self.perform(theirs.name)
            link.send(True, back)

        link.send(False, arrive)

    # The shell of one side, as router.rbs does it

    def run_member(self, name: str) -> None:
        super().run_member(name)
        self.soon(name)

    def soon(self, name: str) -> None:
        """Look at a side in a turn of its own."""
        side = self.sides.get(name)
        if side is None or side.due:
            return
        side.due = True

        def turn() -> None:
            side.due = False
            if self.sides.get(name) is side:
                self.perform(name)

        self.clock.after(0.0, turn)

    def perform(self, name: str) -> None:
        side, now = self.sides[name], self.clock.now
        side.cloud.handle_timer(now)
        for change in side.cloud.changes():
            if side.decider:
                side.decider.own_link(change.state, now)
            if side.informant:
                side.informant.own_link(change.state)
        side.rbs.handle_timer(now)
        for change in side.rbs.changes():
            if side.decider:
                side.decider.rbs_link(change.state, now)
            if side.informant:
                side.informant.rbs_link(change.state)
            if change.state is LinkState.DOWN:
                self.session_gone(side)
        if side.decider:
            self._decide(side, side.decider)
        for core in (side.decider, side.informant):
            for output in core.outputs() if core else ():
                self._do(side, output)
        self._use_path(side)
        if name == PRIMARY:
            self._pump(side)
        self._arm_side(side)

    def _decide(self, side: Side, decider: Decider) -> None:
        now = self.clock.now
        deadline = decider.next_deadline()
        if deadline is not None and now >= deadline:
            decider.handle_timer(now)
        if side.name == PRIMARY:
            decider.caught_up(self.members[PRIMARY].cloud_has_all, now)
        elif side.path is Path.BOTH and now - side.polled_at >= POLL:
            side.polled_at = now
            self._tell_path(side, Path.BOTH)

    def _do(self, side: Side, output: Output) -> None:
        match output:
            case Ask():
                self._ask(side)
            case Tell():
                state = side.cloud.state
                self.links[RBS].send(True, lambda: self._told(state))
            case TellWait():
                self._rpc(side, lambda other: self._informant(other).told_to_wait(), lambda _: None)
            case StartLocal():
                self._start(side)
            case StopLocal():
                self.members[side.name].stop_local(OTHER[side.name])
                self._tell_path(side, Path.CLOUD)
            case PathChanged(previous, path):
                self.paths.add((previous, path))
                if side.decider is not None and side.decider.local and path.local:
                    self._tell_path(side, path)

    def _told(self, state: LinkState) -> None:
        self.decider.told(state, self.clock.now)
        self.perform(self.dialler)

    def _ask(self, side: Side) -> None:
        def answer(state: object) -> None:
            assert isinstance(state, LinkState)
            self.decider.answer(state, self.clock.now)

        self._rpc(side, lambda other: self._informant(other).query(), answer)

    def _start(self, side: Side) -> None:
        decider = self.decider
        path, stated = decider.path, self.members[side.name].position

        def begin(other: Side) -> object:
            other.told = path
            if other.name == PRIMARY:
                self._begin(stated)
            return self.members[other.name].position

        def started(position: object) -> None:
            assert isinstance(position, Position)
            decider.started(self.clock.now)
            if side.name == PRIMARY and decider.local:
                self._begin(position)
            if decider.local and decider.path.local and decider.path is not path:
                self._tell_path(side, decider.path)

        self._rpc(side, begin, started, lambda: decider.start_failed("no session", self.clock.now))

    def _tell_path(self, side: Side, path: Path) -> None:
        def change(other: Side) -> object:
            other.told = path
            if not path.local and other.name == PRIMARY:
                self.members[PRIMARY].stop_local(SECONDARY)
            return self.members[other.name].cloud_has_all

        def changed(caught_up: object) -> None:
            if side.name == SECONDARY:
                self.decider.caught_up(bool(caught_up), self.clock.now)

        self._rpc(side, change, changed)

    def _rpc(
        self,
        side: Side,
        ask: Callable[[Side], object],
        answer: Reply,
        fail: Callable[[], None] = lambda: None,
    ) -> None:
        """Ask the other side over the RBS link; ``fail`` is called where there is no session, or it ends."""
        link, token = self.links[RBS], object()
        if not link.up:
            self.clock.after(0.0, fail)
            return
        self.pending[token] = fail
        name = OTHER[side.name]

        def back(result: object) -> None:
            if self.pending.pop(token, None) is not None:
                answer(result)
                self.perform(side.name)

        def arrive() -> None:
            result = ask(self.sides[name])
            self.perform(name)
            link.send(True, lambda: back(result))

        link.send(False, arrive)

    @staticmethod
    def _informant(side: Side) -> Informant:
        assert side.informant is not None
        return side.informant

    def session_gone(self, side: Side) -> None:
        if side.name == PRIMARY:
            self.members[PRIMARY].stop_local(SECONDARY)
        if side.decider is not None:
            side.decider.session_lost(self.clock.now)
        side.told = Path.CLOUD

    def _use_path(self, side: Side) -> None:
        member = self.members[side.name]
        if side.name == PRIMARY:
            if member.uploads is not side.path.uploads:
                member.uploads = side.path.uploads
                self.run_member(PRIMARY)
        elif member.obtains is side.local:
            member.obtain(not side.local)
            self.run_member(SECONDARY)

    def _arm_side(self, side: Side) -> None:
        times = [side.cloud.next_deadline(), side.rbs.next_deadline()]
        if side.decider is not None:
            times.append(side.decider.next_deadline() or float("inf"))
            if side.name == SECONDARY and side.path is Path.BOTH:
                times.append(side.polled_at + POLL)
        due = max(min(times), self.clock.now + 0.001)
        if due >= side.alarm or due == float("inf"):
            return
        side.alarm = due

        def ring() -> None:
            if self.sides.get(side.name) is side and side.alarm == due:
                side.alarm = float("inf")
                self.perform(side.name)

        self.clock.after(due - self.clock.now, ring)

    # Local backup

    def _begin(self, position: Position) -> None:
        options = SourceOptions(
            0.0, self.odds.batch_records, receipt_timeout=3 * self.setting.link.timeout, retry_pause=0.5
        )
        self.members[PRIMARY].start_local(SECONDARY, position, options)

    def _pump(self, side: Side) -> None:
        member, now = self.members[PRIMARY], self.clock.now
        source = member.locals.get(SECONDARY)
        if source is None:
            return
        if source.overdue(now):
            self.hang_up()
            return
        while (batch := member.next_local(SECONDARY, now)) is not None:
            self._send_local(side, batch)
        self.arm(PRIMARY, member.next_deadline(), lambda: self.router_timer(PRIMARY))

    def _send_local(self, side: Side, batch: Batch) -> None:
        link, stream = self.links[RBS], self.members[PRIMARY].locals[SECONDARY]
        to_secondary = side.name != self.dialler

        def receipt(found: object) -> None:
            member = self.members.get(PRIMARY)
            if member is not None and member.locals.get(SECONDARY) is stream:
                assert isinstance(found, Receipt)
                member.local_receipt(SECONDARY, found, self.clock.now)
                self.run_member(PRIMARY)

        def arrive() -> None:
            def tag(found: object) -> None:
                link.send(not to_secondary, lambda: receipt(found))

            self.members[SECONDARY].receive(batch, (), tag, via=PRIMARY)
            self.run_member(SECONDARY)

        link.send(to_secondary, arrive)

    def answer(self, name: str, tag: object, receipt: Receipt) -> None:
        if callable(tag):
            tag(receipt)
        else:
            super().answer(name, tag, receipt)
