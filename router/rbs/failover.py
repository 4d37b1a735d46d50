"""The asyncio shell of one group's failover: a Decider or an Informant for each peer, what they say done."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from lxml import etree

from netconf_client import NetconfClientError
from router.config import FailoverConfig
from router.group import Group
from router.rbs.channel import Channel
from rui.backup import rbs, wire
from rui.backup.decision import Links, Path, communication_status
from rui.backup.failover import (
    Ask,
    Decider,
    Informant,
    Output,
    PathChanged,
    StartLocal,
    StopLocal,
    Tell,
    TellWait,
)
from rui.backup.identity import Role
from rui.backup.links import Link, LinkChange, LinkState
from rui.backup.messages import Batch, Position, Quarantined, Receipt, Result
from rui.backup.source import SourceOptions
from rui.netconf.errors import RpcError

log = structlog.get_logger(__name__)

_HISTORY = 64
_POLL = 1.0
_FAULTS = (RpcError, NetconfClientError, ConnectionError, ValueError)


class Caller(Protocol):
    """The peer's session with this end's server, subscribed to the stream of the channel."""

    @property
    def id(self) -> int:
        """The session-id."""

    def notify(self, content: etree._Element | list[bytes]) -> None:
        """Send one notification."""


@dataclass
class Peer:
    """Another member of the group and what stands between the two."""

    name: str
    link: Link
    channel: Channel
    decider: Decider | None = None
    informant: Informant | None = None
    caller: Caller | None = None
    told_path: Path = Path.CLOUD
    """What the initiator last said, where this end is not the initiator."""
    polled_at: float = 0.0

    @property
    def path(self) -> Path:
        """The path in use, as this end knows it."""
        return self.decider.path if self.decider else self.told_path


@dataclass
class GroupFailover:
    """Owns the evidence and the procedures of one group. All methods belong to the loop's thread."""

    group: Group
    config: FailoverConfig
    device: str
    channels: Mapping[str, Channel]
    inspect: Callable[[Batch], tuple[Quarantined, ...]]
    now: Callable[[], float]
    changed: Callable[[str, Link, str], None]
    """Told of every change of a link: far end, link, previous state."""
    peers: dict[str, Peer] = field(default_factory=dict)
    history: deque[PathChanged] = field(default_factory=lambda: deque(maxlen=_HISTORY))

    def __post_init__(self) -> None:
        now = self.now()
        self.cloud = Link(self.config.link, now)
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        role = self.role
        for name in self.group.config.members:
            channel = self.channels.get(name)
            if channel is None:
                continue
            peer = Peer(name, Link(self.config.link, now), channel)
            if self.config.initiator is role:
                peer.decider = Decider(role, self.config.options, now)
                channel.links.append(peer.link)
            else:
                peer.informant = Informant(role)
            self.peers[name] = peer
        self.group.attach(self.perform)

    @property
    def role(self) -> Role:
        """This device's identity in the group."""
        return self.group.member.role

    @property
    def normal(self) -> bool:
        """The primary's verdict on the cloud, over all its secondaries."""
        ends = [
            Links(self.cloud.state, peer.decider.theirs if peer.decider else LinkState.UP, peer.link.state)
            for peer in self.peers.values()
        ]
        return all(communication_status(links) == "normal" for links in ends)

    async def close(self) -> None:
        """Stop what is under way."""
        self.group.attach(None)
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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
        if peer.channel.session is None:
            self._session_gone(peer)
        self.perform()

    def called(self, name: str, caller: Caller) -> None:
        """The peer has dialled and subscribed."""
        peer = self.peers.get(name)
        if peer is not None and peer.informant is not None:
            peer.caller = caller
            peer.link.heard(self.now())
            self.perform()

    def hung_up(self, name: str, session_id: int) -> None:
        """The peer's session is gone."""
        peer = self.peers.get(name)
        if peer is not None and peer.caller is not None and peer.caller.id == session_id:
            peer.caller = None
            peer.link.cut(self.now())
            self._session_gone(peer)
            self.perform()

    def probed(self, name: str, probe: rbs.Probe) -> None:
        """The peer's probe came over its session."""
        peer = self.peers.get(name)
        if peer is not None and peer.informant is not None:
            peer.link.heard(self.now(), probe.rtt, probe.lost)
            self.perform()

    # --- what the other end says

    def notified(self, name: str, content: etree._Element, raw: bytes) -> None:
        """Take a notification of the peer: its link's state, or user-info of local backup (S704a)."""
        peer = self.peers.get(name)
        if peer is None or peer.decider is None:
            return
        if content.tag == wire.UPLOAD:
            self._spawn(self._take_upload(peer, wire.decode_batch(content, raw)))
            return
        link = rbs.decode_cloud_link(content)
        log.info("told", group=self.group.config.id, peer=name, what=etree.QName(content).localname)
        peer.decider.told(link.state, self.now())
        self.perform()

    def query(self, name: str) -> list[etree._Element]:
        """Answer the peer's query (S602a, S702a). Raises RpcError."""
        informant = self._informant(name)
        state = informant.query()
        link = rbs.CloudLink(self.group.config.id, self.device, state)
        return rbs.encode_response(self.role, link)

    def wait(self, name: str) -> None:
        """The initiator says to wait for this end's link (S604b, S705b). Raises RpcError."""
        self._informant(name).told_to_wait()
        log.info("told-to-wait", group=self.group.config.id, peer=name)

    def start(self, name: str, start: rbs.Start) -> list[etree._Element]:
        """Answer the handshake of local backup. Raises RpcError."""
        self._informant(name)
        peer = self.peers[name]
        if peer.caller is None:
            raise RpcError.operation_failed(
                f"subscribe to the stream {rbs.STREAM} first: the handshake needs it"
            )
        self._follow(peer, start.path)
        if self.role is Role.SECONDARY:
            return rbs.encode_started(self.group.member.position)
        if start.position is None:
            raise RpcError.missing_element("cursor", "a secondary that starts local backup states its cursor")
        self._begin(peer, start.position)
        self.perform()
        return []

    def change(self, name: str, path: Path) -> list[etree._Element]:
        """Take a change of path; say how far the cloud is (asked by the initiator). Raises RpcError."""
        self._informant(name)
        peer = self.peers[name]
        self._follow(peer, path)
        if self.role is Role.PRIMARY and not path.local:
            self.group.member.stop_local(name)
        self.perform()
        return rbs.encode_changed(self.group.member.cloud_has_all)

    def receipt(self, name: str, receipt: Receipt) -> None:
        """Take a secondary's acknowledgement of what was streamed to it. Raises RpcError."""
        self._informant(name)
        self.group.local_receipt(name, receipt)

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
        member = self.group.member
        member.uploads = not self.peers or any(peer.path.uploads for peer in self.peers.values())
        self._rearm(now)

    def _perform_peer(self, peer: Peer, now: float) -> None:
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
            elif peer.path is Path.BOTH and now - peer.polled_at >= _POLL:
                peer.polled_at = now
                self._spawn(self._tell_path(peer, Path.BOTH))
        for core in (peer.decider, peer.informant):
            for output in core.outputs() if core else ():
                self._do(peer, output)
        self._pump(peer, now)

    def _do(self, peer: Peer, output: Output) -> None:
        group = self.group.config.id
        match output:
            case Ask(step):
                log.info("query", step=step, group=group, peer=peer.name)
                self._spawn(self._ask(peer))
            case Tell(step, kind):
                log.info("notification", step=step, group=group, peer=peer.name, kind=kind.value)
                if peer.caller is not None:
                    link = rbs.CloudLink(group, self.device, self.cloud.state)
                    peer.caller.notify(rbs.encode_tell(self.role, kind, link))
            case TellWait(step):
                log.info("tell-to-wait", step=step, group=group, peer=peer.name)
                self._spawn(self._call(peer, rbs.encode_group(rbs.WAITS[self.role], group)))
            case StartLocal(step):
                log.info("start-local-backup", step=step, group=group, peer=peer.name)
                self._spawn(self._start(peer))
            case StopLocal():
                log.info("stop-local-backup", group=group, peer=peer.name)
                self.group.member.stop_local(peer.name)
                self._obtain()
                self._spawn(self._tell_path(peer, Path.CLOUD))
            case PathChanged(previous, path, reason, step, _):
                self.history.append(output)
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
                    self._spawn(self._tell_path(peer, path))

    # --- the initiator's requests

    async def _ask(self, peer: Peer) -> None:
        decider = peer.decider
        if decider is None:
            return
        operation = rbs.encode_group(rbs.QUERIES[self.role], self.group.config.id)
        try:
            reply = await peer.channel.rpc(operation, decider.options.query_timeout)
            state = rbs.decode_cloud_link(reply).state
        except _FAULTS as error:
            log.warning("query-unanswered", group=self.group.config.id, peer=peer.name, reason=str(error))
            return  # the decider's own timer counts the tries
        decider.answer(state, self.now())
        self.perform()

    async def _start(self, peer: Peer) -> None:
        decider = peer.decider
        if decider is None:
            return
        member = self.group.member
        position = member.position if self.role is Role.SECONDARY else None
        start = rbs.Start(self.group.config.id, self.config.initiator, decider.path, position)
        try:
            reply = await peer.channel.rpc(rbs.encode_start(start))
            if self.role is Role.PRIMARY:
                self._begin(peer, rbs.decode_started(reply) or Position())
        except _FAULTS as error:
            log.warning("local-backup-refused", group=self.group.config.id, peer=peer.name, reason=str(error))
            decider.start_failed(str(error), self.now())
        else:
            decider.started(self.now())
            self._obtain()
        self.perform()

    async def _tell_path(self, peer: Peer, path: Path) -> None:
        decider = peer.decider
        reply = await self._call(peer, rbs.encode_change(self.group.config.id, path))
        if reply is not None and decider is not None and self.role is Role.SECONDARY:
            decider.caught_up(rbs.decode_changed(reply), self.now())
            self.perform()

    async def _call(self, peer: Peer, operation: etree._Element) -> etree._Element | None:
        try:
            return await peer.channel.rpc(operation)
        except _FAULTS as error:
            log.warning(
                "rbs-request-failed",
                group=self.group.config.id,
                peer=peer.name,
                what=etree.QName(operation).localname,
                reason=str(error),
            )
            return None

    # --- user-info over the channel

    def _begin(self, peer: Peer, position: Position) -> None:
        options = SourceOptions(
            batch_records=self.group.config.max_records, receipt_timeout=3 * self.config.link.timeout
        )
        self.group.member.start_local(peer.name, position, options)

    def _pump(self, peer: Peer, now: float) -> None:
        """Send what the member has for this secondary: pushed by an initiator, streamed to one."""
        while (batch := self.group.member.next_local(peer.name, now)) is not None:
            if peer.decider is not None:
                self._spawn(self._deliver(peer, batch))
            elif peer.caller is not None:
                peer.caller.notify(wire.encode_batch(batch))

    async def _deliver(self, peer: Peer, batch: Batch) -> None:
        try:
            reply = await peer.channel.rpc(wire.encode_batch(batch, wire.DELIVER))
            receipt = wire.decode_receipt(reply)
        except _FAULTS as error:
            log.warning("local-delivery-failed", group=batch.group, peer=peer.name, reason=str(error))
            receipt = Receipt(batch.group, Result.FAILED, Position(), str(error))
            peer.channel.give_up("a delivery was not answered by a receipt")
        self.group.local_receipt(peer.name, receipt)

    async def _take_upload(self, peer: Peer, batch: Batch) -> None:
        receipt = await self.group.receive(batch, self.inspect(batch), local=True)
        await self._call(peer, wire.encode_receipt(receipt))

    # --- small things

    def _informant(self, name: str) -> Informant:
        peer = self.peers.get(name)
        if peer is None:
            raise RpcError.access_denied(f"{name} has no RBS channel with {self.device} in this group")
        if peer.informant is None:
            raise RpcError.operation_failed(
                f"{self.device} is {self.role.value} and initiates local backup itself: "
                "set the same initiator at both ends"
            )
        return peer.informant

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
            self.history.append(PathChanged(peer.told_path, path, "said by the initiator", "", self.now()))
        peer.told_path = path
        self._obtain()

    def _session_gone(self, peer: Peer) -> None:
        """The stream went with its session; what the links ask for now is decided without it."""
        if self.role is Role.PRIMARY:
            self.group.member.stop_local(peer.name)
        if peer.informant is not None and peer.told_path is not Path.CLOUD:
            self._follow(peer, Path.CLOUD)

    def _obtain(self) -> None:
        """A secondary obtains from the cloud unless it is backed up locally [0158]."""
        if self.role is Role.SECONDARY:
            local = any(
                peer.decider.local if peer.decider else peer.told_path.local for peer in self.peers.values()
            )
            self.group.obtain(not local)

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

    def _spawn(self, work: Awaitable[object]) -> None:
        async def run() -> None:
            await work

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _rearm(self, now: float) -> None:
        times = [self.cloud.next_deadline()]
        for peer in self.peers.values():
            times.append(peer.link.next_deadline())
            if peer.decider is not None:
                deadline = peer.decider.next_deadline()
                if deadline is not None:
                    times.append(deadline)
                if self.role is Role.SECONDARY and peer.path is Path.BOTH:
                    times.append(peer.polled_at + _POLL)
        due = min(times)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due != float("inf"):
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(due, now + 0.001), self.perform)
