"""Takeovers, offers and adoption among two or three routers and the cloud, everything durable at once."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from manager.store import NeedsSnapshot
from router.journal import Recovered
from rui.backup.cloud import Cloud, CloudOptions
from rui.backup.cloud_outputs import (
    Acknowledge,
    Apply,
    Claim,
    Deliver,
    Identify,
    Join,
    Keep,
    Read,
    Relay,
)
from rui.backup.delivery import DirectDelivery, Forgotten
from rui.backup.identity import Role
from rui.backup.journal import Frame, decode, encode
from rui.backup.lineage import Lineage
from rui.backup.member import Member
from rui.backup.member_outputs import CLOUD, Answer, Append, MemberOptions, Notify, Superseded
from rui.backup.messages import Batch, Offer, Position, Receipt, Result, Stream
from rui.backup.source import SourceOptions, SourceState, WantPage
from rui.backup.version import ZERO, Epoch, Version
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
        self.rbs: set[str] = set()
        """Routers that reach each other."""

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
            options=options,
            cloud=OPTIONS,
        )

    def restart(self, name: str) -> None:
        """End a router's process without warning, and start it again in its role."""
        role = self.members[name].role
        self.disconnect(name)
        self.members[name] = self._member(name, role)
        self.members[name].start()

    def compact(self, name: str) -> None:
        """Replace a router's journal by what it holds."""
        member = self.members[name]
        held = [change for key in member.table.held_keys() if (change := member.table.get(key)) is not None]
        self.journals[name] = [Frame(member.position, held, origins=member.origins.among(held))]

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

    def reach(self, *names: str) -> None:
        """Let these routers, and no others, reach each other directly."""
        self.rbs = set(names)
        for member in self.members.values():
            for peer in list(self.members):
                member.stop_local(peer)

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

    def _quiet(self) -> bool:
        sources = [source for member in self.members.values() for source in member.locals.values()]
        sources += [self.members[name].source for name in self.in_touch]
        deliveries = self.cloud.deliveries.values()
        sources += [found.source for found in deliveries if isinstance(found, DirectDelivery)]
        busy = any(source.state is SourceState.WAITING for source in sources)
        touched = [self.members[name] for name in self.in_touch]
        offering = any(member.offering is not None and member.offering.via == CLOUD for member in touched)
        somebody = any(member.serving for member in touched)
        return not busy and not (offering and somebody) and self.cloud.offer is None

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
                other.receive(batch, (), (name, peer), via=name)
        return busy

    def _member_output(self, name: str, member: Member, output: object) -> None:
        match output:
            case Append(frames):
                self.journals[name] += frames
                member.stored()
            case Notify(notification):
                if name in self.in_touch:
                    self.cloud.identify(name, notification, 0.0)
            case Answer((str() as sender, str() as peer), receipt):
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
            case Apply(device, ticket, batch, _):
                receipt = store.apply(batch, ())
                self._moved()
                cloud.applied(device, ticket, receipt)
            case Join():
                store.join("g1", output)
                self._moved()
            case Read(device, ticket, want):
                if isinstance(want, WantPage):
                    cloud.read(device, ticket, store.buckets(want.first, want.limit), self.now)
                else:
                    found = store.read(want.after, want.limit)
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


def test_a_new_primary_adopts_what_only_the_cloud_holds() -> None:
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1, 2)
    site.settle()
    site.disconnect("bras-b")
    put(site, "bras-a", 3)
    site.members["bras-a"].delete(b"k1")
    site.settle()
    site.disconnect("bras-a")
    site.take_over("bras-b")
    site.connect("bras-b")
    site.settle()
    assert users(site, "bras-b") == users(site, CLOUD) == {b"k2", b"k3"}


def test_who_loses_the_role_offers_what_nobody_else_had() -> None:
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1, 2)
    site.settle()
    site.disconnect("bras-a")
    put(site, "bras-a", 3, 4)
    site.members["bras-a"].delete(b"k1")
    site.settle()
    site.take_over("bras-b")
    put(site, "bras-b", 4, text=b"<user>newer</user>")
    site.settle()
    site.connect("bras-a")
    site.settle()
    assert site.members["bras-a"].role is Role.SECONDARY
    assert site.contents()["bras-b"] == {
        b"k2": b"<user/>",
        b"k3": b"<user/>",
        b"k4": b"<user>newer</user>",
    }
    assert len(site.digests()) == 1


def test_a_logoff_counts_that_is_offered_after_the_login_and_after_another_claim() -> None:
    site = started("bras-a", "bras-b")
    site.disconnect("bras-b")
    put(site, "bras-a", 1, 2)
    site.settle()
    site.disconnect("bras-a")
    site.members["bras-a"].delete(b"k1")
    site.take_over("bras-b")
    site.connect("bras-b")
    site.settle()
    assert users(site, "bras-b") == {b"k1", b"k2"}, "taken over from the cloud"
    heir = site.members["bras-b"]
    before = heir.epoch
    heir.start_local("bras-c", Position(writer=Epoch(7, "bras-c")), OPTIONS)
    heir.stop_local("bras-c")
    assert heir.epoch > before
    site.settle()
    site.connect("bras-a")
    site.settle()
    assert users(site, "bras-a") == users(site, "bras-b") == users(site, CLOUD) == {b"k2"}


@pytest.mark.parametrize("compacted", [False, True])
def test_after_a_restart_a_newer_change_still_wins_that_another_replica_offers(compacted: bool) -> None:
    site = started("bras-a", "bras-b", "bras-c")
    site.disconnect("bras-b")
    site.disconnect("bras-c")
    put(site, "bras-a", 1, 2, text=b"<user>older</user>")
    site.settle()
    site.disconnect("bras-a")
    put(site, "bras-a", 1, text=b"<user>newer</user>")
    site.reach("bras-a", "bras-c")
    site.settle()
    site.reach()
    site.take_over("bras-b")
    site.connect("bras-b")
    site.settle()
    assert site.contents()["bras-b"][b"k1"] == b"<user>older</user>", "taken over from the cloud"
    put(site, "bras-b", 2, text=b"<user>here</user>")
    site.settle()
    if compacted:
        site.compact("bras-b")
    site.restart("bras-b")
    site.connect("bras-b", "bras-c")
    site.settle()
    assert site.contents()["bras-b"] == {b"k1": b"<user>newer</user>", b"k2": b"<user>here</user>"}
    assert site.contents()["bras-c"] == site.contents()["bras-b"] == site.contents()[CLOUD]


def test_an_offer_goes_over_the_channel_where_the_cloud_is_away() -> None:
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1)
    site.settle()
    for name in ("bras-a", "bras-b"):
        site.disconnect(name)
    put(site, "bras-a", 2)
    site.settle()
    site.take_over("bras-b")
    put(site, "bras-b", 3)
    site.members["bras-a"].demote("told by an operator")
    site.rbs = {"bras-a", "bras-b"}
    site.settle()
    assert users(site, "bras-a") == users(site, "bras-b") == {b"k1", b"k2", b"k3"}


def test_a_lost_journal_is_filled_from_the_cloud() -> None:
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1, 2, 3, 4, 5)
    site.settle()
    site.lose_journal("bras-a")
    site.connect("bras-a")
    put(site, "bras-a", 9)
    site.settle()
    assert users(site, "bras-a") == {b"k1", b"k2", b"k3", b"k4", b"k5", b"k9"}
    assert len(site.digests()) == 1


def test_who_comes_back_does_not_take_the_role_from_a_primary_that_serves() -> None:
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1)
    site.settle()
    site.disconnect("bras-a")
    site.take_over("bras-b")
    site.settle()
    stale = site.members["bras-a"]
    stale.demote("restarted")
    stale.position = replace(stale.position, writer=Epoch(7, "bras-a"))
    stale.promote()
    site.connect("bras-a")
    site.settle()
    assert stale.role is Role.SECONDARY
    assert site.members["bras-b"].role is Role.PRIMARY


def test_a_second_takeover_keeps_what_the_third_router_had_before_the_first() -> None:
    """bras-c holds a change of bras-a's that bras-b, first to take over, never had."""
    site = started("bras-a", "bras-b", "bras-c")
    put(site, "bras-a", 1)
    site.settle()
    site.disconnect("bras-b")
    site.disconnect("bras-c")
    site.disconnect("bras-a")
    site.rbs = {"bras-a", "bras-c"}
    put(site, "bras-a", 2)
    site.settle()
    assert users(site, "bras-c") == {b"k1", b"k2"}
    site.rbs = set()
    site.take_over("bras-b")
    site.connect("bras-b")
    put(site, "bras-b", 3)
    site.settle()
    site.disconnect("bras-b")
    site.take_over("bras-c")
    site.connect("bras-c")
    site.settle()
    assert users(site, "bras-c") == users(site, CLOUD) == {b"k1", b"k2", b"k3"}


@pytest.mark.parametrize("seed", range(60))
def test_any_story_of_takeovers_ends_with_all_equal(seed: int) -> None:
    site = story(random.Random(seed))
    primaries = [name for name, member in site.members.items() if member.role is Role.PRIMARY]
    assert len(primaries) == 1
    contents = site.contents()
    assert all(held == contents[CLOUD] for held in contents.values())
    assert len(site.digests()) == 1


def story(chance: random.Random) -> Site:
    """Tell of logins, cuts and takeovers; then heal and let all come to rest."""
    names = ["bras-a", "bras-b", "bras-c"][: chance.choice([2, 3])]
    site = started(*names, tombstones=chance.choice([0, 2, 1000]))
    for _ in range(60):
        act, name = chance.random(), chance.choice(names)
        if act < 0.5:
            log_in_or_off(site.members[name], chance)
        elif act < 0.6:
            site.disconnect(name)
        elif act < 0.75:
            site.connect(name)
        elif act < 0.8:
            site.reach(*(chance.sample(names, 2) if chance.random() < 0.5 else ()))
        elif act < 0.88:
            site.take_over(name)
        else:
            site.settle()
    site.reach()
    for name in names:
        site.disconnect(name)
    site.connect(*names)
    site.settle()
    if not any(member.serving for member in site.members.values()):
        # Each has given way to another: somebody must begin again
        site.take_over(names[0])
        site.settle()
    return site


def log_in_or_off(member: Member, chance: random.Random) -> None:
    key = b"k%d" % chance.randrange(12)
    if member.serving and chance.random() < 0.3:
        member.delete(key)
    elif member.serving:
        member.put(key, b"<user>%d</user>" % chance.randrange(1000))


def lineage_of(site: Site, name: str) -> Lineage:
    return site.members[name].position.lineage


def test_a_history_that_left_the_primarys_is_the_primarys_once_it_was_offered() -> None:
    site = started("bras-a", "bras-b")
    put(site, "bras-a", 1)
    site.settle()
    site.disconnect("bras-a")
    put(site, "bras-a", 2)
    site.settle()
    site.take_over("bras-b")
    site.settle()
    assert lineage_of(site, "bras-a") != lineage_of(site, "bras-b")
    site.connect("bras-a")
    site.settle()
    assert lineage_of(site, "bras-a") == lineage_of(site, "bras-b")


def test_an_offer_to_a_superseded_primary_is_refused() -> None:
    site = started("bras-a", "bras-b")
    old = site.members["bras-a"]
    writer = old.epoch
    old.demote("told by an operator")
    site.settle()
    offer = Offer("bras-c", ZERO, Version(writer, 5))
    old.receive(Batch("g1", writer, Stream(ZERO, offer.until), (), offer=offer), (), "tag")
    (answer,) = old.outputs()
    assert isinstance(answer, Answer)
    assert answer.receipt.result is Result.REFUSED
