"""One life of a router's process: the shell of its member and of its failover, as ``router`` has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from router.lastrole import ROLE, last_role, role_fact
from rui.backup.identity import IdentityResult, Role
from rui.backup.links import Link, LinkOptions
from rui.backup.member import Member
from rui.backup.member_outputs import CLOUD, Adopted, Answer, Append, MemberOptions, Notify, Superseded
from rui.backup.messages import Batch, Receipt
from rui.backup.source import SourceOptions
from rui.backup.version import Epoch
from rui_cli.sim.clock import Alarm, Host
from rui_cli.sim.disk import Disk
from rui_cli.sim.download import Downloader
from rui_cli.sim.line import OTHER
from rui_cli.sim.options import Odds
from rui_cli.sim.peer import NEVER, Peer
from rui_cli.sim.standing import Standing

if TYPE_CHECKING:
    from rui_cli.sim.access import Election
    from rui_cli.sim.world import World

GROUP = "g1"
_PRIMARY = Role.PRIMARY
RETRY = 0.5
"""Seconds until what the disk or a replica could not store is tried again."""


class Router:
    """A router's part in the group, for as long as its process lives."""

    def __init__(self, world: World, host: Host, disk: Disk, role: Role) -> None:
        self.world = world
        self.host = host
        self.disk = disk
        self.name = host.name
        self.configured = role
        odds = world.odds
        recovered = disk.recover()
        self.member = Member(
            GROUP,
            self.name,
            Role.SECONDARY if odds.vrrp_interval else last_role(role, recovered.facts.get(ROLE, "")),
            address="192.0.2.1",
            table=recovered.table,
            position=recovered.position,
            facts=recovered.facts,
            origins=recovered.origins,
            shared=recovered.shared.values(),
            options=MemberOptions(tombstones=odds.tombstones, retry_pause=RETRY),
            cloud=upload_options(odds),
        )
        self.member.quarantined.update(recovered.quarantined)
        self.link = Link(odds.link, host.clock.now)
        self.peers: dict[str, Peer] = {}
        self.downloader = Downloader(self)
        self.standing = Standing(self) if odds.moves else None
        self._member_alarm = Alarm(host, self._member_timer)
        self._alarm = Alarm(host, self.look)
        self._look_at = 0.0
        self._member_due = NEVER
        self.touched = False
        """Whether something has been done with the member since it was last asked what is to be done."""
        self._turning = False
        self._again = False

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self.host.clock.now

    @property
    def line_options(self) -> LinkOptions:
        """How links are judged."""
        return self.world.odds.link

    def start(self) -> None:
        """Begin in the configured role."""
        self.peers = {peer.name: peer for peer in self.world.peers_of(self)}
        self.member.start()
        self.run()
        if self.standing is not None:
            self.standing.start()

    # Roles

    @property
    def election(self) -> Election | None:
        """This router's place in the election, where VRRP decides."""
        return None if self.standing is None else self.standing.election

    def promote(self, reason: str) -> None:  # noqa: ARG002 - the product's word for the log
        """Become primary."""
        if self.member.role is Role.PRIMARY:
            return
        if self.election is None:
            self.world.witness.promoted(self.name, self.now)
        self.member.promote()
        self._role_changed()

    def demote(self, reason: str) -> None:
        """Become secondary."""
        if self.member.role is Role.SECONDARY:
            return
        self.world.witness.begins(self.name)
        self.member.demote(reason)
        self._role_changed()

    def outclaim(self, epoch: Epoch) -> None:
        """Claim an epoch above that of another primary."""
        self.member.outclaim(epoch)
        self.run()

    def share(self, yes: bool) -> None:
        """Serve users beside the primary, or no more."""
        self.member.share(yes)
        self.run()

    def _role_changed(self) -> None:
        self.member.remember(ROLE, role_fact(self.configured, self.member.role))
        self.world.checks.role_changed(self)
        for peer in self.peers.values():
            peer.close()
        self.peers = {peer.name: peer for peer in self.world.peers_of(self)}
        self._look_at = 0.0
        for peer in self.peers.values():
            peer.own_link(self.link.state)
        self.run()

    # The cloud's session

    def subscribed(self) -> None:
        """The cloud listens (S401)."""
        self.member.cloud_up()
        self.link.heard(self.now)
        self._look_at = 0.0
        self.run()

    def unsubscribed(self, reason: str) -> None:
        """The cloud's session is gone."""
        self.member.cloud_down(reason)
        self.link.cut(self.now)
        self._look_at = 0.0
        self.run()

    def probed(self, rtt: float | None, lost: int) -> None:
        """The cloud's probe has come."""
        self.link.heard(self.now, rtt, lost)
        self._look_at = 0.0
        self.look()

    def identity_result(self, result: IdentityResult) -> None:
        """The cloud has answered who this is (S403)."""
        self.member.identity_result(result)
        self.run()

    def acknowledge(self, receipt: Receipt) -> None:
        """The cloud has stored an upload (S503)."""
        self.member.acknowledge(receipt, self.now)
        self.run()

    def instructed(self) -> None:
        """The cloud has news: fetch it."""
        self.downloader.instruct()

    def receive(self, batch: Batch, answer: Callable[[Receipt], None], via: str = CLOUD) -> None:
        """Take a batch of the cloud, or of the peer ``via``."""
        obtains = via != CLOUD or batch.offer is not None or not any(p.local for p in self.peers.values())

        def stored(receipt: Receipt) -> None:
            self.world.checks.taken(self.name, receipt, obtains=obtains)
            answer(receipt)

        self.member.receive(batch, self.world.refused(self.name, batch), stored, via=via)
        self.run()

    # The loop

    def run(self) -> None:
        """Do all that is to be done now: something has been done with the member."""
        self.touched = True
        self.look()

    def look(self) -> None:
        """Do what follows from the evidence of links, and what the member has to do since it was touched."""
        self._again = True
        if self._turning:
            return
        touched = False
        self._turning = self.world.news = True
        try:
            while self._again:
                self._again = False
                touched |= self._turn()
        finally:
            self._turning = False
        if touched or self.touched:
            self.world.checks.router(self)

    def _turn(self) -> bool:
        """Do each thing once; say whether the member was asked what is to be done, as its shell asks it."""
        now, peers = self.host.clock.now, self.peers.values()
        touched = self.touched or now >= self._member_due
        if touched:
            self.touched = False
            self._run_member(now)
        if now >= self._look_at:
            self._look()
        due = self._look_at
        for peer in peers:
            peer.perform(now, touched or self.touched)
            due = peer.look_at if peer.look_at < due else due
        self._use_paths()
        self._alarm.move(due)
        return touched

    def _look(self) -> None:
        """Look at the evidence of the link to the cloud: it is time, or there is news."""
        self.link.handle_timer(self.now)
        for change in self.link.changes():
            for peer in self.peers.values():
                peer.own_link(change.state)
        self._look_at = self.link.next_deadline()

    def _run_member(self, now: float) -> None:
        member, line = self.member, self.world.cloud_lines[self.name]
        while True:
            for output in member.outputs():
                match output:
                    case Append(frames):
                        self.disk.write(frames, self._stored, self._failed)
                    case Answer(tag, receipt) if callable(tag):
                        tag(receipt)
                    case Superseded(by):
                        self._superseded(by)
                    case Adopted(by, live=live, unsure=unsure):
                        truth = self.world.checks.truth
                        truth.may_be_back.update(key for key in unsure if key in member.table)
                        truth.contested.update(key for key in unsure if key not in member.table)
                        if live and self.standing is not None:
                            self.standing.shared(by)
                    case Notify(notification):
                        line.send(OTHER, lambda said=notification: self.world.cloud.identify(self.name, said))  # type: ignore[misc]
            batch = member.next_upload(now)
            if batch is None:
                break
            line.send(OTHER, lambda sent=batch: self.world.cloud.upload(self.name, sent))  # type: ignore[misc]
        if member.overdue(CLOUD, now):
            line.close("the cloud has not acknowledged an upload in time")
        due = member.next_deadline()
        self._member_due = NEVER if due is None else due
        self._member_alarm.move(due)

    def _superseded(self, by: str) -> None:
        if self.standing is not None:
            self.standing.superseded(by)

    def _member_timer(self) -> None:
        self.member.handle_timer(self.now)
        self.run()

    def _stored(self) -> None:
        self.member.stored()
        self.run()

    def _failed(self, reason: str) -> None:
        self.member.failed(reason, self.now)
        self.run()

    def _use_paths(self) -> None:
        """A primary uploads if a path says so; a secondary obtains unless it is backed up locally [0158]."""
        member, peers = self.member, self.peers.values()
        if member.role is _PRIMARY:
            uploads = not peers
            for peer in peers:
                uploads = uploads or peer.path.uploads
            if member.uploads is not uploads:
                member.uploads = uploads
                self.touched = self._again = True
            return
        obtains = True
        for peer in peers:
            obtains = obtains and not peer.local
        if member.obtains is not obtains:
            member.obtain(obtains)
            self.touched = self._again = True


def upload_options(odds: Odds) -> SourceOptions:
    """Return how a primary sends to the cloud."""
    return SourceOptions(
        odds.interval,
        odds.batch_records,
        receipt_timeout=3 * odds.link.timeout + odds.interval,
        retry_pause=RETRY,
    )


def local_options(odds: Odds) -> SourceOptions:
    """Return how a primary sends to a secondary."""
    return SourceOptions(0.0, odds.batch_records, receipt_timeout=3 * odds.link.timeout, retry_pause=RETRY)
