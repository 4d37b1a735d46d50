"""The asyncio shell of one group's failover: a Decider or an Informant for each peer, what they say done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from lxml import etree

from router.config import FailoverConfig
from router.group import Group
from router.history import PathHistory
from router.rbs.answers import Answers
from router.rbs.initiative import Initiative
from router.rbs.peer import Caller, Dialled, Peer, Tasks
from router.rbs.requests import Requests
from router.rbs.stream import LocalStream
from rui.backup import rbs, switchover, wire
from rui.backup.decision import Links, Path, communication_status
from rui.backup.failover import (
    Ask,
    Informant,
    Output,
    PathChanged,
    StartLocal,
    StopLocal,
    Tell,
    TellWait,
)
from rui.backup.identity import Role
from rui.backup.inspection import Inspector
from rui.backup.links import Link, LinkChange, LinkState
from rui.backup.switchover import Taken
from rui.netconf.events import NotificationReceived

log = structlog.get_logger(__name__)

_POLL = 1.0
# The request of who has dialled, and the notification of the other end
TELLS_TAKEN = (switchover.TAKEN, switchover.IS_TAKEN)
TELLS_SHARED = (switchover.SHARED, switchover.IS_SHARED)
TELLS_FREE = (switchover.FREE, switchover.IS_FREE)


@dataclass
class GroupFailover:
    """Owns the evidence and the procedures of one group. All methods belong to the loop's thread."""

    group: Group
    config: FailoverConfig
    device: str
    channels: Mapping[str, Dialled]
    inspector: Inspector
    now: Callable[[], float]
    changed: Callable[[str, Link, str], None]
    """Told of every change of a link: far end, link, previous state."""
    peers: dict[str, Peer] = field(default_factory=dict)
    history: PathHistory = field(default_factory=PathHistory)

    def __post_init__(self) -> None:
        now = self.now()
        self.cloud = Link(self.config.link, now)
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks()
        self._stream = LocalStream(
            self.group, 3 * self.config.link.timeout, self.inspector.refused, self._tasks
        )
        self._requests = Requests(self.group.member, self._stream, self.now, self.perform)
        self.initiative = Initiative(self.group, self.config, self.device, self.cloud)
        self.answers = Answers(
            self.group,
            self.device,
            self.peers,
            self._stream,
            follow=self._follow,
            perform=self.perform,
            overrule=self.initiative.overrule,
        )
        self.taken: Callable[[Taken], None] = lambda _: None
        """Told when a peer says that it is primary."""
        self.shared: Callable[[str], None] = lambda _: None
        """Told when a peer says that it serves beside this primary."""
        self.free: Callable[[str], None] = lambda _: None
        """Told when a peer says that it is not primary."""
        self.come_up: Callable[[str], None] = lambda _: None
        """Told when a session with a peer has opened, by whoever dialled it."""
        for name in self.group.config.members:
            channel = self.channels.get(name)
            if channel is not None:
                self.peers[name] = Peer(name, Link(self.config.link, now), channel)
                self.initiative.assign(self.peers[name], now)
        self.group.attach(self.perform)

    @property
    def role(self) -> Role:
        """This device's identity in the group."""
        return self.group.member.role

    @property
    def normal(self) -> bool:
        """The primary's verdict on the cloud, over all its secondaries."""
        for peer in self.peers.values():
            if peer.decider is None:
                if peer.told_path is Path.LOCAL:
                    return False  # S704b: the secondary found it out and started local backup
                theirs = LinkState.UP
            else:
                theirs = peer.decider.theirs
            if communication_status(Links(self.cloud.state, theirs, peer.link.state)) == "abnormal":
                return False
        return True

    def change_role(self) -> None:
        """Begin anew in the other role: what was under way was the old one's."""
        now = self.now()
        for peer in self.peers.values():
            self._stream.gone(peer)
            if peer.link in peer.channel.links:
                peer.channel.links.remove(peer.link)
            peer.decider = peer.informant = None
            peer.told_path, peer.overruled, peer.dialled = Path.CLOUD, False, False
            self.initiative.assign(peer, now)
            core = peer.decider or peer.informant
            if peer.decider is not None:
                peer.decider.own_link(self.cloud.state, now)
                peer.decider.rbs_link(peer.link.state, now)
                self.channel_changed(peer.name)
            elif isinstance(core, Informant):
                core.own_link(self.cloud.state)
                core.rbs_link(peer.link.state)
                if peer.caller is not None:
                    core.session_opened()
        self.perform()

    def tell_taken(self, taken: Taken, name: str) -> None:
        """Tell a peer that this router is primary, whichever end has dialled."""
        self._tell(name, *(switchover.encode_taken(taken, message) for message in TELLS_TAKEN))

    def tell_shared(self, name: str) -> None:
        """Tell a peer that this router serves beside it."""
        group = self.group.config.id
        self._tell(name, *(switchover.encode_standing(tag, group, self.device) for tag in TELLS_SHARED))

    def tell_free(self, name: str) -> None:
        """Tell a peer that this router is not primary."""
        group = self.group.config.id
        self._tell(name, *(switchover.encode_standing(tag, group, self.device) for tag in TELLS_FREE))

    def _tell(self, name: str, request: etree._Element, notification: etree._Element) -> None:
        peer = self.peers.get(name)
        if peer is None:
            return
        if peer.channel.session is not None:
            self._tasks.spawn(self._requests.tell(peer, request))
        elif peer.caller is not None:
            peer.caller.notify(notification)

    async def close(self) -> None:
        """Stop what is under way."""
        self.group.attach(None)
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.close()

    # --- evidence

    def cloud_heard(self, probe: rbs.Probe | None = None) -> None:
        """A sign of life of the cloud."""
        self.cloud.heard(self.now(), probe.rtt if probe else None, probe.lost if probe else None)
        self.perform()

    def cloud_cut(self) -> None:
        """The cloud's session is gone."""
        self.cloud.cut(self.now())
        self.perform()

    def channel_changed(self, name: str) -> None:
        """The session that this end dialled has opened, ended, or was probed."""
        peer = self.peers.get(name)
        if peer is None or peer.decider is None:
            return
        if peer.channel.session is not None and not peer.dialled:
            self.come_up(name)
        had, peer.dialled = peer.dialled, peer.channel.session is not None
        if had and not peer.dialled:
            self._stream.gone(peer)
            self._session_gone(peer)
        elif peer.dialled and not had:
            peer.decider.session_opened(self.now())
        if had is not peer.dialled:
            self.initiative.session(peer, self.now())
        self.perform()

    def called(self, name: str, caller: Caller) -> None:
        """The peer has dialled and subscribed."""
        peer = self.peers.get(name)
        if peer is None:
            return
        # Where this end initiates, the session may be another group's; or the ends disagree on who does.
        peer.caller = caller
        self.initiative.called(peer, self.now())
        if peer.informant is not None:
            self._stream.gone(peer)
        self.come_up(name)
        if peer.informant is not None:
            peer.link.heard(self.now())
            peer.informant.session_opened()
            self.perform()

    def hung_up(self, name: str, session_id: int) -> None:
        """The peer's session is gone."""
        peer = self.peers.get(name)
        if peer is not None and peer.caller is not None and peer.caller.id == session_id:
            peer.caller = None
            self.initiative.hung_up(peer, self.now())
            if peer.informant is None:
                return
            self._stream.gone(peer)
            peer.link.cut(self.now())
            self._session_gone(peer)
            self.initiative.back(peer, self.now())
            self.perform()

    def probed(self, name: str, probe: rbs.Probe) -> None:
        """The peer's probe came over its session."""
        peer = self.peers.get(name)
        if peer is not None and peer.informant is not None:
            peer.link.heard(self.now(), probe.rtt, probe.lost)
            self.perform()

    # --- what the other end says

    def notified(self, name: str, notification: NotificationReceived) -> None:
        """Take a notification of the peer: its link's state, or user-info of local backup (S704a)."""
        peer, content = self.peers.get(name), notification.content
        if peer is not None and content.tag == switchover.IS_TAKEN:
            self.taken(switchover.decode_taken(content))
            return
        if peer is not None and content.tag in {switchover.IS_SHARED, switchover.IS_FREE}:
            heard = self.shared if content.tag == switchover.IS_SHARED else self.free
            heard(name)
            return
        if peer is None or peer.decider is None:
            return
        if content.tag == wire.UPLOAD:
            self._stream.take(peer, self.inspector.read(content, notification.raw, notification.bulk))
            return
        link = rbs.decode_cloud_link(content)
        log.info("told", group=self.group.config.id, peer=name, what=etree.QName(content).localname)
        peer.decider.told(link.state, self.now())
        self.perform()

    def delivers(self, name: str) -> bool:
        """Whether what this peer delivers is local backup."""
        return name in self.peers

    # --- the loop

    def perform(self) -> None:
        """Look at the evidence, do what the cores say, send what may go out, arm the timer."""
        now = self.now()
        self.cloud.handle_timer(now)
        for change in self.cloud.changes():
            self._link_changed("cloud", change)
            for peer in self.peers.values():
                if peer.decider:
                    peer.decider.own_link(change.state, now)
                if peer.informant:
                    peer.informant.own_link(change.state)
        for peer in self.peers.values():
            self._perform_peer(peer, now)
        self._use_paths()
        self._rearm(now)

    def _perform_peer(self, peer: Peer, now: float) -> None:
        self.initiative.look(peer, now)
        peer.link.handle_timer(now)
        for change in peer.link.changes():
            self._link_changed(peer.name, change)
            if peer.decider:
                peer.decider.rbs_link(change.state, now)
            if peer.informant:
                peer.informant.rbs_link(change.state)
            if change.state is LinkState.DOWN:
                self._session_gone(peer)
        if peer.decider:
            deadline = peer.decider.next_deadline()
            if deadline is not None and now >= deadline:
                peer.decider.handle_timer(now)
            if self.role is Role.PRIMARY:
                peer.decider.caught_up(self.group.member.cloud_has_all, now)
            elif peer.decider.inquires and now - peer.polled_at >= _POLL:
                peer.polled_at = now
                self._tasks.spawn(self._requests.tell_path(peer, Path.BOTH))
        for core in (peer.decider, peer.informant):
            for output in core.outputs() if core else ():
                self._do(peer, output)
        self._stream.pump(peer, now)

    def _do(self, peer: Peer, output: Output) -> None:
        group = self.group.config.id
        match output:
            case Ask(step):
                log.info("query", step=step, group=group, peer=peer.name)
                self._tasks.spawn(self._requests.query(peer))
            case Tell(step, kind):
                log.info("notification", step=step, group=group, peer=peer.name, kind=kind.value)
                if peer.caller is not None:
                    link = rbs.CloudLink(group, self.device, self.cloud.state)
                    peer.caller.notify(rbs.encode_tell(self.role, kind, link))
            case TellWait(step):
                log.info("tell-to-wait", step=step, group=group, peer=peer.name)
                self._tasks.spawn(self._requests.tell_wait(peer))
            case StartLocal(step, attempt):
                log.info("start-local-backup", step=step, group=group, peer=peer.name)
                self._tasks.spawn(self._requests.start(peer, attempt))
            case StopLocal():
                log.info("stop-local-backup", group=group, peer=peer.name)
                self._stream.end(peer)
                self._tasks.spawn(self._requests.tell_path(peer, Path.CLOUD))
            case PathChanged(previous, path, reason, step, _):
                self.history.note(peer.name, output, datetime.now(UTC))
                log.info(
                    "path",
                    step=step,
                    group=group,
                    peer=peer.name,
                    old=previous.value,
                    new=path.value,
                    reason=reason,
                )
                if peer.decider is not None and peer.decider.local and path.local:
                    self._tasks.spawn(self._requests.tell_path(peer, path))

    # --- small things

    def _follow(self, peer: Peer, path: Path) -> None:
        """Go by what the initiator says of the path."""
        if path is not peer.told_path:
            log.info(
                "path",
                group=self.group.config.id,
                peer=peer.name,
                old=peer.told_path.value,
                new=path.value,
                reason="said by the initiator",
            )
            change = PathChanged(peer.told_path, path, "said by the initiator", "", self.now())
            self.history.note(peer.name, change, datetime.now(UTC))
        peer.told_path = path
        self._use_paths()

    def _session_gone(self, peer: Peer) -> None:
        """The stream went with its session; what the links ask for now is decided without it."""
        self._stream.end(peer)
        if peer.decider is not None:
            peer.decider.session_lost(self.now())
        elif peer.told_path is not Path.CLOUD:
            self._follow(peer, Path.CLOUD)

    def _use_paths(self) -> None:
        """A primary uploads if a path says so; a secondary obtains unless it is backed up locally [0158]."""
        peers = self.peers.values()
        if self.role is Role.PRIMARY:
            uploads = not peers or any(peer.path.uploads for peer in peers)
            if uploads is not self.group.member.uploads:
                self.group.upload(uploads)
            return
        obtains = not any(peer.local for peer in peers)
        if obtains is not self.group.member.obtains:
            self.group.obtain(obtains)

    def _link_changed(self, far_end: str, change: LinkChange) -> None:
        log.info(
            "link",
            group=self.group.config.id,
            far_end=far_end,
            old=change.previous.value,
            new=change.state.value,
            reason=change.reason,
        )
        link = self.cloud if far_end == "cloud" else self.peers[far_end].link
        self.changed(far_end, link, change.previous.value)

    def _rearm(self, now: float) -> None:
        times = [self.cloud.next_deadline()]
        for peer in self.peers.values():
            times += (peer.link.next_deadline(), self.initiative.deadline(peer))
            if peer.decider is not None:
                deadline = peer.decider.next_deadline()
                if deadline is not None:
                    times.append(deadline)
                if peer.decider.inquires:
                    times.append(peer.polled_at + _POLL)
        due = min(times)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due != float("inf"):
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(due, now + 0.001), self.perform)
