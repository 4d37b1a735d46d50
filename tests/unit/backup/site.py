"""Two or three routers and the cloud, with the core only: everything is durable at once, and on a journal."""

from __future__ import annotations

from manager.store import NeedsSnapshot
from router.journal import Recovered
from rui.backup.cloud import Cloud, CloudOptions
from rui.backup.cloud_outputs import (
    Acknowledge,
    Apply,
    Claim,
    Deliver,
    Identify,
    Keep,
    Read,
    Relay,
)
from rui.backup.delivery import DirectDelivery, Forgotten
from rui.backup.identity import Role
from rui.backup.journal import Frame, decode, encode
from rui.backup.member import Member
from rui.backup.member_outputs import CLOUD, Answer, Append, MemberOptions, Notify, Superseded
from rui.backup.messages import Receipt
from rui.backup.source import SourceOptions, SourceState, WantPage
from rui_cli.sim.store import CloudStore

OPTIONS = SourceOptions(batch_records=3, retry_pause=1.0)


class Site:
    """Routers and a cloud. ``settle`` lets everything that can happen happen, in one fixed order."""

    def __init__(self, *names: str, tombstones: int = 1000) -> None:
        self.now = 0.0
        self.store = CloudStore(tombstones)
        self.cloud = Cloud("g1", "store-1", options=CloudOptions(source=OPTIONS))
        self.tombstones = tombstones
        self.journals: dict[str, list[Frame]] = {name: [] for name in names}
        self.members = {name: self._member(name, Role.SECONDARY) for name in names}
        self.in_touch: set[str] = set()
        self._rbs: set[str] = set()
        self.sessions = 0

    def _member(self, name: str, role: Role) -> Member:
        options = MemberOptions(tombstones=self.tombstones)
        recovered = Recovered()
        for frame, _ in decode(b"".join(encode(frame) for frame in self.journals[name])):
            recovered.replay(frame)
        return Member(
            "g1",
            name,
            role,
            table=recovered.table,
            position=recovered.position,
            origins=recovered.origins,
            shared=recovered.shared.values(),
            options=options,
            cloud=OPTIONS,
        )

    def restart(self, name: str) -> None:
        """End a router's process without warning, and start it again in its role."""
        role = self.members[name].role
        self.disconnect(name)
        self.members[name] = self._member(name, role)
        self.members[name].start()
        self.rbs = self.rbs

    def compact(self, name: str) -> None:
        """Replace a router's journal by what it holds."""
        member = self.members[name]
        held = [change for key in member.table.held_keys() if (change := member.table.get(key)) is not None]
        origins, shared = member.origins.among(held), list(member.sharing)
        settled = member.sharing.settled
        self.journals[name] = [Frame(member.position, held, origins=origins, shared=shared, settled=settled)]

    def lose_journal(self, name: str) -> None:
        self.journals[name] = []
        self.restart(name)

    def connect(self, *names: str) -> None:
        for name in names:
            if name not in self.in_touch:
                self.in_touch.add(name)
                self.members[name].cloud_up()

    def disconnect(self, name: str) -> None:
        self.in_touch.discard(name)
        self.members[name].cloud_down("cut")
        self.cloud.device_down(name, "cut")

    @property
    def rbs(self) -> set[str]:
        """Routers that reach each other."""
        return self._rbs

    @rbs.setter
    def rbs(self, names: set[str]) -> None:
        self._rbs = names
        self.sessions += 1
        for member in self.members.values():
            for peer in self.members:
                member.session_gone(peer)

    def reach(self, *names: str) -> None:
        """Let these routers, and no others, reach each other directly."""
        self.rbs = set(names)

    def settle(self) -> None:
        for _ in range(400):
            self.now += 1.1
            rounds = 0
            while self._round():
                rounds += 1
                assert rounds < 2000, "messages go round for ever"
            if self._quiet():
                return
        raise AssertionError("nothing comes to rest")

    def step(self) -> None:
        """Let everybody have one turn."""
        self.now += 0.1
        self._round()

    def _quiet(self) -> bool:
        sources = [source for member in self.members.values() for source in member.locals.values()]
        sources += [self.members[name].source for name in self.in_touch]
        deliveries = self.cloud.deliveries.values()
        sources += [found.source for found in deliveries if isinstance(found, DirectDelivery)]
        busy = any(source.state is SourceState.WAITING for source in sources)
        touched = [self.members[name] for name in self.in_touch]
        offering = any(member.offering is not None and member.offering.via == CLOUD for member in touched)
        somebody = any(member.serving for member in touched)
        sharing = any(len(self.members[name].sharing) for name in self._together())
        return not busy and not sharing and not (offering and somebody) and self.cloud.offer is None

    def _together(self) -> set[str]:
        """Return who reaches a primary, by a way that goes on."""
        reached = set()
        for names in (self.in_touch, self._rbs):
            if any(self.members[name].serving for name in names):
                reached |= names
        return reached

    def _round(self) -> bool:
        busy = False
        for name, member in self.members.items():
            member.handle_timer(self.now)
            member.flush()
            for output in member.outputs():
                busy = True
                self._member_output(name, member, output)
            if name in self.in_touch:
                batch = member.next_upload(self.now)
                if batch is not None:
                    busy = True
                    self.cloud.upload(name, batch, ())
            if name in self.rbs:
                busy |= self._local(name, member)
        self.cloud.handle_timer(self.now)
        for asked in self.cloud.outputs(self.now):
            busy = True
            self._cloud_output(asked)
        return busy

    def _local(self, name: str, member: Member) -> bool:
        busy = False
        for peer in self.rbs - {name}:
            other = self.members[peer]
            if member.serving and peer not in member.locals and other.role is Role.SECONDARY:
                member.start_local(peer, other.position, OPTIONS)
            batch = member.next_local(peer, self.now)
            if batch is not None:
                busy = True
                other.receive(batch, (), (name, peer, self.sessions), via=name)
        return busy

    def _member_output(self, name: str, member: Member, output: object) -> None:
        match output:
            case Append(frames):
                self.journals[name] += frames
                member.stored()
            case Notify(notification):
                if name in self.in_touch:
                    self.cloud.identify(name, notification, 0.0)
            case Answer((str() as sender, str() as peer, session), receipt):
                if session == self.sessions:
                    self.members[sender].local_receipt(peer, receipt, self.now)
            case Answer(tag, receipt):
                self._answered(name, tag, receipt)
            case Superseded(by, _):
                member.demote(f"{by} is primary")

    def _answered(self, name: str, tag: object, receipt: Receipt) -> None:
        if name not in self.in_touch:
            return
        if isinstance(tag, Relay):
            self.cloud.relayed(tag.device, tag.ticket, receipt)
        else:
            assert isinstance(tag, int)
            self.cloud.delivered(name, tag, receipt, self.now)

    def _cloud_output(self, output: object) -> None:
        cloud, store = self.cloud, self.store
        match output:
            case Claim(epoch):
                receipt = store.claim("g1", epoch)
                self._moved()
                cloud.claimed(receipt, self.now)
            case Keep(entry):
                cloud.kept(entry)
            case Apply(device, ticket, batch, _, joins):
                receipt = store.apply(batch, (), joins)
                self._moved()
                cloud.applied(device, ticket, receipt)
            case Read(device, ticket, want, upto):
                if isinstance(want, WantPage):
                    cloud.read(device, ticket, store.buckets(want.first, want.limit), self.now)
                else:
                    found = store.read(want.after, want.limit, upto)
                    answer = Forgotten(found.floor) if isinstance(found, NeedsSnapshot) else found
                    cloud.read(device, ticket, answer, self.now)
            case Identify(device, result):
                self.members[device].identity_result(result)
            case Acknowledge(device, receipt):
                if device in self.in_touch:
                    self.members[device].acknowledge(receipt, self.now)
            case Deliver(device, ticket, batch):
                self.members[device].receive(batch, (), ticket)
            case Relay(_, _, primary, batch):
                self.members[primary].receive(batch, (), output)

    def _moved(self) -> None:
        self.cloud.moved(self.store.position, self.store.table.floor)

    def take_over(self, name: str) -> None:
        self.members[name].promote()

    def contents(self) -> dict[str, dict[bytes, bytes | None]]:
        tables = {name: member.table for name, member in self.members.items()} | {CLOUD: self.store.table}
        return {name: {c.key: c.record for c in table.live()} for name, table in tables.items()}

    def digests(self) -> set[bytes]:
        tables = [*(member.table for member in self.members.values()), self.store.table]
        return {table.buckets.tobytes() for table in tables}


def started(*names: str, tombstones: int = 1000) -> Site:
    site = Site(*names, tombstones=tombstones)
    site.take_over(names[0])
    site.connect(*names)
    site.settle()
    return site


def put(site: Site, name: str, *users: int, text: bytes = b"<user/>") -> None:
    for user in users:
        site.members[name].put(b"k%d" % user, text)


def users(site: Site, name: str) -> set[bytes]:
    return set(site.contents()[name])
