"""One seed's story: users come and go while things fail, then all heals, and every copy must be equal."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from rui.backup.decision import Path
from rui.backup.member_outputs import JournalFullError
from rui.backup.messages import Position
from rui_cli.sim.coverage import Coverage
from rui_cli.sim.faults import Faults
from rui_cli.sim.options import CLOUD, draw
from rui_cli.sim.peer import Peer
from rui_cli.sim.roles import Roles
from rui_cli.sim.router import Router
from rui_cli.sim.truth import record
from rui_cli.sim.violation import Violation
from rui_cli.sim.world import NEW_LEAF, World

EVENTS = 1000
WITHIN = 10.0
"""Seconds, besides what the backlog takes, in which all copies are equal after the last fault."""
LOGOFFS = 0.3
ODD_RECORDS = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a seed; ``violation`` is None where everything held."""

    seed: int
    events: int
    faults: int
    violation: dict[str, Any] | None = None


class Story:
    """Tells a world's story."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.faults = Faults(world)
        self._number = 0
        self._healed_at = 0.0

    def tell(self, events: int = EVENTS) -> None:
        """Let so many events happen, then heal, and demand that all copies become equal."""
        world = self.world
        self._burst()
        self.faults.begin()
        world.clock.run(until=events)
        self.faults.heal()
        self.converge()

    def converge(self) -> None:
        """Nothing fails any more: demand equal copies in time, and the cloud path again."""
        world, clock = self.world, self.world.clock
        began, limit = clock.now, clock.now + self._allowance()
        while not self.equal():
            if clock.now > limit:
                raise Violation(2, f"after {clock.now - began:.1f} s: {self.describe()}")
            self._until_news(limit)
        self._compare()
        options, link = world.odds.failover, world.odds.link
        limit = clock.now + options.max_wait + 2 * options.hold + 4 * link.timeout + 30.0
        while not self.settled():
            if clock.now > limit:
                raise Violation(2, f"not back on the cloud path: {self.describe()}")
            self._until_news(limit)

    def _until_news(self, limit: float) -> None:
        """Let events happen until one has changed something that the copies, or their paths, depend on."""
        world, clock = self.world, self.world.clock
        world.news = False
        while not world.news and clock.now <= limit:
            clock.step()

    def _allowance(self) -> float:
        """Seconds for what each copy lacks now, for the timers that must pass first, and :data:`WITHIN`."""
        world, odds = self.world, self.world.odds
        behind = max(
            world.checks.behind(position)
            for position in (
                world.store.position,
                *(router.member.position for router in world.routers.values()),
                *((Position(),) if len(world.routers) < odds.routers else ()),
            )
        )
        backlog = (behind / odds.batch_records + 3) * (4 * odds.disk + 8 * odds.delay)
        timers = 6 * odds.link.timeout + 2 * odds.failover.hold + odds.failover.max_wait + 4 * odds.interval
        if odds.moves:
            # Until a grant is due; then a router that may preempt, and whoever is told of it
            timers += odds.lease.lease + 6 * odds.link.timeout + odds.wait_to_restore
        return WITHIN + backlog + timers

    def _burst(self) -> None:
        """Some users come and go at the primary; then the next burst."""
        world, chance = self.world, self.world.chance
        if world.quiet:
            return
        world.clock.after(chance.expovariate(1 / world.odds.bursts), self._burst)
        serving = [router for router in world.routers.values() if router.member.serving and router.host.awake]
        if not serving:
            return
        router = chance.choice(serving)
        for _ in range(chance.choice([1, 1, 1, 8])):
            if not self._deed(router, contested=len(serving) > 1):
                break
        router.member.flush()
        router.run()

    def _deed(self, router: Router, *, contested: bool) -> bool:
        """A user logs in, changes or logs off; False where the router turns it away."""
        chance, truth = self.world.chance, self.world.checks.truth
        key = b"02:00:00:00:%02x:%02x/0/0" % divmod(chance.randrange(self.world.odds.users), 256)
        self._number += 1
        if contested:
            truth.contested.add(key)
        try:
            if chance.random() < LOGOFFS:
                version = router.member.delete(key)
                if version is not None:
                    truth.logged_off(version, self._number)
            else:
                knows = router.name not in self.world.odds.old_models
                odd = NEW_LEAF if chance.random() < ODD_RECORDS and knows else b""
                router.member.put(key, record(self._number, odd))
        except JournalFullError:
            return False
        return True

    # The end

    def equal(self) -> bool:
        """Whether every copy has come as far as the primary's journal, in the primary's history."""
        world = self.world
        if len(world.routers) < world.odds.routers or not world.hosts[CLOUD].up:
            return False
        primary = world.primary
        # Asked at every event: what mostly tells first
        if primary is None or world.store.position.cursor != primary.member.durable:
            return False
        if primary.election is not None and not primary.election.forwards:
            return False
        if primary.member.position.writer != primary.member.epoch:
            return False
        durable, history = primary.member.durable, primary.member.position.lineage
        positions = [world.store.position]
        for router in world.routers.values():
            member = router.member
            if member.waiting_for_disk:
                return False
            if router is not primary:
                if member.serving:
                    return False
                positions.append(member.position)
        for position in positions:
            if position.cursor != durable or position.snapshot is not None or position.lineage != history:
                return False
        return True

    def _compare(self) -> None:
        """Every copy holds exactly what was written last of each user, and marks what its model refuses."""
        world = self.world
        truth = world.checks.truth
        online = {key: content for key, content in truth.online().items() if key not in truth.contested}
        tables = {name: router.member.table for name, router in world.routers.items()}
        tables[CLOUD] = world.store.table
        for name, table in tables.items():
            excused = truth.contested | (truth.may_be_back - online.keys())
            held = {change.key: change.record for change in table.live() if change.key not in excused}
            if held != online:
                wrong = sorted(key.decode() for key, _ in held.items() ^ online.items())
                raise Violation(2, f"{name} differs from what users did last: {wrong[:5]}")
        digests = [table.buckets for table in tables.values()]
        if any(found != digests[0] for found in digests):
            raise Violation(2, "the copies differ: digests")
        marks = {name: set(router.member.quarantined) for name, router in world.routers.items()}
        marks[CLOUD] = set(world.store.quarantined)
        for name, marked in marks.items():
            odd = {
                change.key
                for change in tables[name].live()
                if name in world.odds.old_models and NEW_LEAF in (change.record or b"")
            }
            if marked != odd:
                raise Violation(
                    2, f"{name} sets aside {sorted(marked)[:5]}, its model refuses {sorted(odd)[:5]}"
                )

    def settled(self) -> bool:
        """Whether all use the cloud path again."""
        world = self.world
        primary = world.primary
        if not self.equal() or primary is None or primary.member.locals or not primary.member.uploads:
            return False
        for name, router in world.routers.items():
            if not router.member.obtains:
                return False
            if router is not primary and not (
                _rests(router.peers[primary.name]) and _rests(primary.peers[name])
            ):
                return False
        return True

    def describe(self) -> str:
        """Say where each node stands, for whoever looks into a seed."""
        world = self.world
        words = [f"cloud {world.store.position.live}"]
        for name, router in world.routers.items():
            paths = [f"{peer.name}: {peer.path.value}" for peer in router.peers.values()]
            role = router.member.role.value
            if router.election is not None:
                role += f", {router.election.vrrp.state.value}"
            words.append(f"{name} {role} {router.member.position.live} ({', '.join(paths)})")
        return "; ".join(words)


def _rests(peer: Peer) -> bool:
    return peer.path is Path.CLOUD and not peer.local


def live_through(
    seed: int, roles: Roles = Roles.ANY, *, coverage: Coverage | None = None, events: int = EVENTS
) -> Outcome:
    """Tell one seed's story and say what came of it. Whatever a core raises is a violation too."""
    world: World | None = None
    story: Story | None = None
    found: dict[str, Any] | None = None
    try:
        chance = random.Random(seed)  # noqa: S311 - a story, no secret
        world = World(chance, draw(chance, roles), coverage)
        story = Story(world)
        story.tell(events)
    except Violation as error:
        found = {"invariant": error.invariant, "what": error.what}
    except Exception as error:  # noqa: BLE001 - a core that raises breaks its word
        found = {"invariant": 0, "what": f"{type(error).__name__}: {error}"}
    steps = world.clock.steps if world is not None else 0
    if found is not None:
        found = {"seed": seed, "event": steps, "at": round(world.clock.now if world else 0.0, 3), **found}
    if world is not None:
        world.end()
    return Outcome(seed, steps, story.faults.count if story is not None else 0, found)
