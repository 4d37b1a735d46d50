"""FIG. 6 to FIG. 9 in the deterministic world: links that fail in parts, and what must hold then.

A link may be cut, stall in both directions or in one, or be slow; processes crash as in the normal world.
"""

from __future__ import annotations

from dataclasses import replace

from rui.backup.decision import Path
from rui.backup.member import Member
from tests.simulation.channel import OTHER, RBS, ChannelWorld, Setting
from tests.simulation.world import PRIMARY, SECONDARY

__all__ = ["OTHER", "RBS", "FailoverWorld", "Setting"]


class FailoverWorld(ChannelWorld):
    """The world whose links fail, alone and together, and that checks what no failure may break."""

    # Faults

    def fault(self) -> None:
        kind = self.chance.choice(["cut", "stall", "one-way", "slow", "crash", "cloud"])
        name = self.chance.choice(list(self.links))
        lasting = self.chance.random() * 8
        link = self.links[name]
        match kind:
            case "crash" if name in self.members:
                self.crash_router(name)
            case "cloud" if self.cloud is not None:
                self.crash_cloud()
            case "cut":
                self.isolate(name)
                self.clock.after(lasting, lambda: self.mend(name))
            case "stall" | "one-way":
                link.stalled |= {True, False} if kind == "stall" else {self.chance.random() < 0.5}
                session = link.session
                self.clock.after(6.0, lambda: self.keepalive(name, session))
                self.clock.after(lasting, lambda: self.mend(name))
            case "slow":
                link.delay = 0.15 + self.chance.random() * 0.4
                self.clock.after(lasting, lambda: self.mend(name))
            case _:
                pass

    def isolate(self, name: str) -> None:
        """Make a link's other end unreachable."""
        self.reach[name] = False
        if name == RBS:
            self.hang_up()
        else:
            self.cut(name)

    def mend(self, name: str) -> None:
        """End one fault; the cloud stays away where the story has taken it away."""
        if not self.away or name == RBS:
            self.restore(name)

    def restore(self, name: str) -> None:
        """Make a link good."""
        self.reach[name] = True
        self.links[name].delay = self.odds.delay
        self.links[name].flow()

    def keepalive(self, name: str, session: int) -> None:
        """End a session that is stalled for too long, as TCP does."""
        link = self.links[name]
        if link.up and link.session == session and link.stalled:
            if name == RBS:
                self.hang_up()
            else:
                self.cut(name)

    # The end of the story

    def heal(self) -> None:
        for name in self.links:
            self.restore(name)
        super().heal()

    def without_the_cloud(self, within: float) -> float:
        """Take the cloud away from both; users come for a while. Return how long the secondary took then.

        ``within`` is for finding out and starting, in seconds; what is to be sent has its time besides.
        """
        self.away = True
        for disk in self.disks.values():
            disk.healthy = True
        self.restore(RBS)
        for name in (PRIMARY, SECONDARY):
            self.isolate(name)
        faults, self.odds = self.odds, replace(self.odds, faults=0.0)
        end = self.clock.now + 3.0
        while self.clock.now < end:
            if self.chance.random() < 0.05:
                self.live()
            self.clock.step()
            self.check()
        began = self.clock.now
        primary = self.members.get(PRIMARY)
        records = primary.durable.seq if primary is not None else 0
        backlog = records / self.odds.batch_records * (2 * self.odds.disk + 4 * self.odds.delay)
        while not self.secondary_has_all():
            assert self.clock.now < began + within + backlog, f"not within {within:g} s: {self.state()}"
            self.clock.step()
            self.check()
        self.odds, self.away = faults, False
        for name in (PRIMARY, SECONDARY):
            self.mend(name)
        return self.clock.now - began

    def secondary_has_all(self) -> bool:
        if len(self.members) < 2:
            return False
        primary, secondary = self.members[PRIMARY], self.members[SECONDARY]
        return not primary.waiting_for_disk and self.contents(primary.table) == self.contents(secondary.table)

    def state(self) -> str:
        if len(self.sides) < 2:
            return "a router is away"
        decider, told = self.decider, self.sides[OTHER[self.dialler]].told
        words = (decider.path.value, decider.reason, f"local={decider.local}", f"told={told.value}")
        return f"{', '.join(words)}; {self.setting}"

    # What must hold

    def check(self) -> None:
        primary, secondary = self.members.get(PRIMARY), self.members.get(SECONDARY)
        held = (self._marks(primary), self._marks(secondary), self.store.position, self.store.table.head)
        if held != self._checked:
            self._checked = held
            self.check_all()

    @staticmethod
    def _marks(member: Member | None) -> tuple[object, ...]:
        """What changes whenever a table or what is known of a replica does."""
        if member is None:
            return ()
        local = member.locals.get(SECONDARY)
        protected = local.protected if local else None
        return (id(member), member.table.head, member.position, member.source.protected, protected)

    def check_all(self) -> None:
        """Check every invariant."""
        super().check()
        secondary = self.members.get(SECONDARY)
        if secondary is not None:
            assert secondary.position.live >= self.durable_at_secondary, "a cursor went back"
            self.durable_at_secondary = secondary.position.live
        primary = self.members.get(PRIMARY)
        source = primary.locals.get(SECONDARY) if primary is not None else None
        if primary is None or source is None:
            self.local_promises = {}
            return
        assert source.protected <= self.durable_at_secondary, "acknowledged before the secondary stored it"
        if secondary is not None:
            for key, version in self.local_promises.items():
                held = secondary.table.get(key)
                gone = held is None or held.record is None
                newer = held is not None and held.version >= version
                assert newer or (gone and key in self.logged_off), f"{key!r} {version} is lost"
        self.local_promises = {
            change.key: change.version
            for change in primary.table.live()
            if change.version <= source.protected
        }

    def converged(self) -> bool:
        if len(self.sides) < 2 or not super().converged():
            return False
        told = self.sides[OTHER[self.dialler]].told
        primary, secondary = self.members[PRIMARY], self.members[SECONDARY]
        return (
            self.decider.path is told is Path.CLOUD
            and not self.decider.local
            and not primary.locals
            and primary.uploads
            and secondary.obtains
        )
