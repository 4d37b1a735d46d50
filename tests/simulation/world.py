"""One deterministic world: two routers' members and the cloud's core, with disks and links that fail.

Everything is drawn from one seed. Time is a number that events advance; a link delivers in order, as TCP
does, until it is cut, and what was under way is then lost; a disk commits after a while or refuses; a crash
loses what was not committed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

from rui.backup.cloud import Cloud, CloudOptions
from rui.backup.cloud_outputs import Acknowledge, Apply, Claim, Deliver, GiveUp, Identify, Keep, Read
from rui.backup.delivery import Forgotten
from rui.backup.digest import combine
from rui.backup.identity import IdentityNotification, IdentityResult, Role
from rui.backup.journal import Frame, encode
from rui.backup.member import Member
from rui.backup.member_outputs import Answer, Append, MemberOptions, Notify
from rui.backup.messages import Batch, Position, Receipt, Result
from rui.backup.source import SourceOptions, WantPage
from rui.backup.table import Page, Slice, Table
from rui.backup.version import Version
from tests.simulation.parts import Clock, CloudStore, Disk, Link, odds

GROUP = "g1"
PRIMARY, SECONDARY = "bras-a", "bras-b"


class World:
    """Two routers and a cloud."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.odds = odds(self.chance)
        self.clock = Clock()
        self.disks = {name: Disk(self.clock, self.chance, self.odds) for name in (PRIMARY, SECONDARY)}
        self.links = {name: Link(self.clock, self.chance, self.odds.delay) for name in (PRIMARY, SECONDARY)}
        self.members: dict[str, Member] = {}
        self.lives = dict.fromkeys((PRIMARY, SECONDARY, "cloud"), 0)
        self.timers: dict[str, float] = {}
        self.store = CloudStore()
        self.cloud: Cloud | None = None
        self.events = 0
        self.faults = 0
        self.healing = False
        self.seen: dict[str, dict[bytes, Version]] = {SECONDARY: {}, "cloud": {}}
        self.logged_off: set[bytes] = set()
        self.promised: dict[bytes, Version] = {}
        self.set_up()
        for name in (PRIMARY, SECONDARY):
            self.start_router(name)
        self.start_cloud()

    def set_up(self) -> None:
        """Make what a kind of world has besides, before anything starts."""

    # Processes

    def start_router(self, name: str) -> None:
        table, position = Table(), Position()
        facts: dict[str, str] = {}
        for frame in self.disks[name].read():
            for change in frame.changes:
                table.apply(change)
            if frame.cleared:
                table.clear(frame.cleared, {change.key for change in frame.changes})
            position = frame.position
            facts.update(frame.facts)
        member = Member(
            GROUP,
            name,
            Role.PRIMARY if name == PRIMARY else Role.SECONDARY,
            address="192.0.2.1",
            table=table,
            position=position,
            facts=facts,
            options=MemberOptions(tombstones=self.odds.tombstones, retry_pause=0.5),
            cloud=SourceOptions(self.odds.interval, self.odds.batch_records, retry_pause=0.5),
        )
        self.members[name] = member
        self.lives[name] += 1
        member.start()
        self.run_member(name)
        self.connect(name)

    def crash_router(self, name: str) -> None:
        member = self.members.pop(name)
        torn = b"".join(encode(frame) for output in [member._writing] for frame in output)
        self.disks[name].crash(torn)
        self.lives[name] += 1
        self.cut(name)
        self.clock.after(self.chance.random() * 3, lambda: self.start_router(name))

    def start_cloud(self) -> None:
        options = CloudOptions(
            source=SourceOptions(0.0, self.odds.batch_records, retry_pause=0.5), retry_pause=0.5
        )
        store = self.store
        self.cloud = Cloud(
            GROUP,
            "store-1",
            position=store.position,
            floor=store.table.floor,
            entries=store.entries.values(),
            options=options,
        )
        self.lives["cloud"] += 1
        for name in self.members:
            self.connect(name)

    def crash_cloud(self) -> None:
        self.cloud = None
        self.lives["cloud"] += 1
        for name in self.links:
            self.cut(name)
        self.clock.after(self.chance.random() * 3, self.start_cloud)

    def connect(self, name: str) -> None:
        if self.cloud is None or name not in self.members or self.links[name].up:
            return
        self.links[name].open()
        self.members[name].cloud_up()
        self.run_member(name)

    def cut(self, name: str) -> None:
        if not self.links[name].up:
            return
        self.links[name].up = False
        if name in self.members:
            self.members[name].cloud_down("cut")
        if self.cloud is not None:
            self.cloud.device_down(name, "cut")
            self.run_cloud()

    # The routers' shell

    def run_member(self, name: str) -> None:
        member = self.members[name]
        while True:
            for output in member.outputs():
                match output:
                    case Append(frames):
                        self.append(name, frames)
                    case Answer(tag, receipt):
                        self.answer(name, tag, receipt)
                    case Notify(notification):
                        self.links[name].send(True, self.identify(name, notification))
            batch = member.next_upload(self.clock.now)
            if batch is None:
                break
            self.links[name].send(True, self.upload(name, batch))
        self.arm(name, member.next_deadline(), lambda: self.router_timer(name))

    def router_timer(self, name: str) -> None:
        self.members[name].handle_timer(self.clock.now)
        if self.members[name].source.overdue(self.clock.now):
            self.cut(name)
        self.run_member(name)

    def append(self, name: str, frames: tuple[Frame, ...]) -> None:
        member = self.members[name]

        def stored() -> None:
            member.stored()
            self.run_member(name)

        def failed() -> None:
            member.failed("no space left on device", self.clock.now)
            self.run_member(name)

        self.disks[name].write(b"".join(encode(frame) for frame in frames), stored, failed)

    def answer(self, name: str, tag: object, receipt: Receipt) -> None:
        def arrive() -> None:
            if self.cloud is not None:
                self.cloud.delivered(name, int(str(tag)), receipt, self.clock.now)
                self.run_cloud()

        self.links[name].send(True, arrive)

    def identify(self, name: str, notification: IdentityNotification) -> Callable[[], None]:
        def arrive() -> None:
            if self.cloud is not None:
                self.cloud.identify(name, notification, 0.0)
                self.run_cloud()

        return arrive

    def upload(self, name: str, batch: Batch) -> Callable[[], None]:
        def arrive() -> None:
            if self.cloud is not None:
                self.cloud.upload(name, batch, ())
                self.run_cloud()

        return arrive

    # The cloud's shell

    def run_cloud(self) -> None:  # noqa: PLR0912 - one branch for each kind of output
        cloud = self.cloud
        if cloud is None:
            return
        for output in cloud.outputs(self.clock.now):
            match output:
                case Claim(epoch):
                    self.store.position = replace(self.store.position, writer=epoch)
                    self.commit(lambda: self.moved().claimed(self.receipt(), self.clock.now))
                case Keep(entry):
                    self.store.entries[entry.device] = entry
                    self.commit(lambda entry=entry: self.moved().kept(entry))  # type: ignore[misc]
                case Apply(device, ticket, batch, _):
                    receipt = self.store.apply(batch)
                    self.commit(
                        lambda device=device, ticket=ticket, receipt=receipt: self.moved().applied(  # type: ignore[misc]
                            device, ticket, receipt
                        )
                    )
                case Identify(device, result):
                    self.links[device].send(False, self.identity_result(device, result))
                case Acknowledge(device, receipt):
                    self.links[device].send(False, self.acknowledge(device, receipt))
                case Read(device, ticket, want, known_floor):
                    found: Slice | Page | Forgotten | None
                    if isinstance(want, WantPage):
                        found = self.store.page(want.first, want.limit)
                    else:
                        found = self.store.since(want.after, want.limit, known_floor)
                    self.commit(
                        lambda device=device, ticket=ticket, found=found: self.moved().read(  # type: ignore[misc]
                            device, ticket, found, self.clock.now
                        )
                    )
                case Deliver(device, ticket, batch):
                    self.links[device].send(False, self.deliver(device, ticket, batch))
                case GiveUp(device, _):
                    self.cut(device)
                case _:
                    pass
        self.arm("cloud", cloud.next_deadline(), self.cloud_timer)

    def cloud_timer(self) -> None:
        if self.cloud is not None:
            self.cloud.handle_timer(self.clock.now)
            self.run_cloud()

    def commit(self, answer: Callable[[], None]) -> None:
        """The store has committed; the answer reaches the loop a little later, or never after a crash."""
        life = self.lives["cloud"]

        def arrive() -> None:
            if self.lives["cloud"] == life:
                answer()
                self.run_cloud()

        self.clock.after(self.odds.disk * self.chance.random(), arrive)

    def moved(self) -> Cloud:
        assert self.cloud is not None
        self.store.table.trim_tombstones(self.odds.tombstones, self.store.table.head)
        self.cloud.moved(self.store.position, self.store.table.floor)
        return self.cloud

    def receipt(self) -> Receipt:
        return Receipt(GROUP, Result.STORED, self.store.position)

    def identity_result(self, name: str, result: IdentityResult) -> Callable[[], None]:
        return lambda: self.to_member(name, lambda member: member.identity_result(result))

    def acknowledge(self, name: str, receipt: Receipt) -> Callable[[], None]:
        return lambda: self.to_member(name, lambda member: member.acknowledge(receipt, self.clock.now))

    def deliver(self, name: str, ticket: int, batch: Batch) -> Callable[[], None]:
        return lambda: self.to_member(name, lambda member: member.receive(batch, (), str(ticket)))

    def to_member(self, name: str, act: Callable[[Member], None]) -> None:
        act(self.members[name])
        self.run_member(name)

    def arm(self, name: str, deadline: float | None, act: Callable[[], None]) -> None:
        if deadline is None or self.timers.get(name) == deadline:
            return
        self.timers[name] = deadline
        life = self.lives[name]

        def ring() -> None:
            if self.timers.get(name) == deadline:
                del self.timers[name]
            if self.lives[name] == life:
                act()

        self.clock.after(max(0.0, deadline - self.clock.now), ring)

    # The story

    def live(self) -> None:
        """One subscriber event, and perhaps a fault."""
        member = self.members.get(PRIMARY)
        if member is not None:
            for _ in range(self.chance.choice([1, 1, 1, 8])):
                number = self.chance.randrange(self.odds.users)
                key = b"02:00:00:00:%02x:%02x/0/0" % divmod(number, 256)
                if self.chance.random() < 0.3:
                    member.delete(key)
                    self.logged_off.add(key)
                else:
                    self.logged_off.discard(key)
                    member.put(key, b"<user>%d</user>" % self.events)
            member.flush()
            self.run_member(PRIMARY)
        if self.chance.random() < self.odds.faults:
            self.faults += 1
            self.fault()

    def fault(self) -> None:
        kind = self.chance.choice(["cut", "crash", "cloud"])
        name = self.chance.choice([PRIMARY, SECONDARY])
        if kind == "cut":
            self.cut(name)
            self.clock.after(self.chance.random() * 3, lambda: self.connect(name))
        elif kind == "crash" and name in self.members:
            self.crash_router(name)
        elif kind == "cloud" and self.cloud is not None:
            self.crash_cloud()

    def run(self, events: int) -> None:
        """Tell the story for so many events, then heal and wait until nothing is left to do."""
        self.tell(events)
        self.heal()

    def tell(self, events: int) -> None:
        """Tell the story for so many events, faults included."""
        for _ in range(events):
            self.events += 1
            if self.chance.random() < 0.3:
                self.live()
            if not self.clock.step():
                self.live()
            self.check()

    def heal(self) -> None:
        """Let nothing fail any more and wait until all is equal, for ten minutes at most."""
        self.healing = True
        for disk in self.disks.values():
            disk.healthy = True
        end = self.clock.now + 600
        while not self.converged() and self.clock.now < end:
            for name in self.links:
                self.connect(name)
            if not self.clock.step():
                break
            self.check()

    # What must hold

    def check(self) -> None:
        """The invariants of this path after every event."""
        self.versions_only_grow(
            SECONDARY, self.members[SECONDARY].table if SECONDARY in self.members else None
        )
        self.versions_only_grow("cloud", self.store.table)
        member = self.members.get(PRIMARY)
        if member is None:
            return
        protected = member.source.protected
        assert protected <= self.store.position.live, "acknowledged before the cloud committed"
        for key, version in list(self.promised.items()):
            held = self.store.table.get(key)
            gone = held is None and key in self.logged_off
            assert gone or (held is not None and held.version >= version), f"{key!r} {version} is lost"
        self.promised = {
            change.key: change.version for change in member.table.live() if change.version <= protected
        }

    def versions_only_grow(self, name: str, table: Table | None) -> None:
        if table is None:
            return
        now = {change.key: change.version for change in table.live()}
        for key, version in self.seen[name].items():
            if key in now:
                assert now[key] >= version, f"{key!r} went back at {name}"
        self.seen[name] = now

    def converged(self) -> bool:
        if set(self.members) != {PRIMARY, SECONDARY} or self.cloud is None:
            return False
        primary, secondary = self.members[PRIMARY], self.members[SECONDARY]
        return (
            not primary.waiting_for_disk
            and self.contents(primary.table)
            == self.contents(self.store.table)
            == self.contents(secondary.table)
            and primary.durable == self.store.position.cursor == secondary.position.cursor
        )

    @staticmethod
    def contents(table: Table) -> Mapping[bytes, Version]:
        return {change.key: change.version for change in table.live()}

    def digests(self) -> list[str]:
        return [
            combine(table.buckets)
            for table in (self.members[PRIMARY].table, self.store.table, self.members[SECONDARY].table)
        ]
