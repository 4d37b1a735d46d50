"""What operators read of a router's links, paths and replicas: ``/rui-link-status:link-status``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from lxml import etree

from router.audit import Known
from router.group import Group
from router.rbs import Switch
from router.rbs.failover import GroupFailover
from router.rbs.peer import Peer
from router.tree import Builder, moment
from rui.backup.links import Link
from rui.backup.member_outputs import CLOUD
from rui.backup.source import Source, SourceState
from rui.backup.version import ZERO

LINK_STATUS = "urn:rui-cloud:yang:link-status"


class LinkStatusTree:
    """Gives ``/rui-link-status:link-status``.

    Where there is an RBS channel the links are judged by evidence; without one the cloud is up while it has a
    session.
    """

    def __init__(self, groups: Mapping[str, Group], link: CloudLink, switch: Switch) -> None:
        self._groups = groups
        self._link = link
        self._switch = switch

    def read(self) -> etree._Element:
        """Return links, paths and replicas."""
        tree = Builder("link-status", LINK_STATUS)
        links = self._switch.links()
        if not links:
            self._link.fill(tree.child("link"))
        for far_end, link in links.items():
            evidence(tree.child("link").leaf("far-end", far_end), link, self._switch.wall(link.since))
        for name, group in self._groups.items():
            self._group(tree.child("group").leaf("group-id", name), group, self._switch.groups.get(name))
        return tree.element

    def _group(self, entry: Builder, group: Group, failover: GroupFailover | None) -> None:
        member = group.member
        if member.serving:
            normal = failover.normal if failover else group.uplink.current is not None
            entry.leaf("communication-status", "normal" if normal else "abnormal")
        if failover is not None:
            for peer in failover.peers.values():
                self._path(entry.child("path"), self._secondary(group, peer.name), failover, peer)
        if len(member.sharing):
            shared = entry.child("sharing").leaf("primary", member.position.writer.device)
            shared.filled(("via", member.sharing.via)).leaf("users", len(member.sharing))
        if member.serving:
            for name, source in ((CLOUD, member.source), *member.locals.items()):
                _replica(entry.child("replica"), group, name, source)
            for name in group.config.members:
                known = group.audits.of(name)
                if name not in member.locals and known is not None:
                    # The cloud serves it, and has told what comparing it has shown
                    _audited(entry.child("replica").leaf("name", name), known)
        if failover is not None:
            self._history(entry, group, failover)

    def _secondary(self, group: Group, peer: str) -> str:
        return peer if group.member.serving else self._switch.device

    def _path(self, entry: Builder, secondary: str, failover: GroupFailover, peer: Peer) -> None:
        entry.leaf("secondary", secondary).leaf("in-use", peer.path.in_use)
        decider, latest = peer.decider, failover.history.latest(peer.name)
        if decider is None:
            entry.leaf("reason", "said by the initiator")
            if latest is not None:
                entry.leaf("since", moment(latest.at))
            if peer.informant is not None and peer.informant.waiting:
                entry.leaf("waiting-for", "this device's link to the cloud, as the initiator said")
            return
        entry.leaf("reason", f"{decider.step} {decider.reason}".strip()).filled(("step", decider.step))
        entry.leaf("since", moment(latest.at if latest else self._switch.wall(decider.since)))
        entry.filled(("waiting-for", decider.waiting_for))

    def _history(self, entry: Builder, group: Group, failover: GroupFailover) -> None:
        for move in reversed(failover.history.entries):
            change = move.change
            past = entry.child("history").leaf("index", move.index).leaf("time", moment(move.at))
            past.leaf("secondary", self._secondary(group, move.peer))
            past.leaf("previous", change.previous.in_use).leaf("in-use", change.path.in_use)
            past.filled(("reason", change.reason), ("step", change.step))


def change_notification(device: str, far_end: str, link: Link, previous: str, at: datetime) -> etree._Element:
    """Return ``link-status-change`` for a link that is judged by evidence."""
    change = Builder("link-status-change", LINK_STATUS).leaf("device-id", device)
    change.leaf("far-end", far_end).leaf("previous-state", previous)
    evidence(change, link, at)
    return change.element


def evidence(entry: Builder, link: Link, since: datetime) -> None:
    """Write the leaves of grouping ``link``."""
    entry.leaf("state", link.state.value)
    if link.rtt is not None:
        entry.leaf("rtt", f"{link.rtt * 1000:.3f}")
    entry.leaf("loss", f"{link.loss * 100:.2f}").leaf("last-change", moment(since))
    entry.leaf("flaps", link.flaps).leaf("reason", link.reason)


class CloudLink:
    """The link to the cloud as this end sees it: up while a session of it has subscribed."""

    def __init__(self) -> None:
        self.sessions: set[int] = set()
        self.changed = datetime.now(UTC)
        self.flaps = 0
        self.reason = "no session yet"

    def opened(self, session: int, reason: str) -> bool:
        """Take note of a session; say whether the link changed."""
        was_up = bool(self.sessions)
        self.sessions.add(session)
        return self._changed(was_up, reason)

    def closed(self, session: int, reason: str) -> bool:
        """Take note that a session is gone; say whether the link changed."""
        was_up = bool(self.sessions)
        self.sessions.discard(session)
        return self._changed(was_up, reason)

    @property
    def state(self) -> str:
        """The state in the model's word."""
        return "up" if self.sessions else "down" if self.flaps else "unknown"

    def fill(self, link: Builder) -> None:
        """Write the leaves of grouping ``link``, the far end first."""
        link.leaf("far-end", CLOUD)
        self._leaves(link, self.state)

    def notification(self, device: str, previous: str) -> etree._Element:
        """Return ``link-status-change``."""
        change = Builder("link-status-change", LINK_STATUS).leaf("device-id", device)
        change.leaf("far-end", CLOUD).leaf("previous-state", previous)
        self._leaves(change, self.state)
        return change.element

    def _leaves(self, link: Builder, state: str) -> None:
        link.leaf("state", state).leaf("last-change", moment(self.changed))
        link.leaf("flaps", self.flaps).leaf("reason", self.reason)

    def _changed(self, was_up: bool, reason: str) -> bool:
        if was_up == bool(self.sessions):
            return False
        self.changed = datetime.now(UTC)
        self.flaps += 1
        self.reason = reason
        return True


def _replica(entry: Builder, group: Group, name: str, source: Source) -> None:
    """Write one copy that this primary serves."""
    entry.leaf("name", name)
    cursor = source.position.cursor
    lag, oldest = group.lag(cursor), group.oldest_unacknowledged(cursor)
    entry.leaf("cursor", cursor)
    entry.leaf("state", _replica_state(source, cursor >= group.member.durable))
    entry.filled(("reason", source.failing or source.reason))
    entry.leaf("lag-records", lag.records).leaf("lag-seconds", f"{lag.seconds:.3f}")
    if oldest is not None and oldest != ZERO:
        entry.leaf("oldest-unacknowledged", oldest)
    if source is group.member.source:
        entry.leaf("quarantined", group.uplink.refused)
    _audited(entry, group.audits.of(name))


def _audited(entry: Builder, known: Known | None) -> None:
    if known is not None:
        entry.leaf("audit-result", known.agreement.value).leaf("audited", moment(known.at))
        entry.leaf("repaired", known.repaired)


def _replica_state(source: Source, level: bool) -> str:
    match source.state:
        case SourceState.SNAPSHOT:
            return "snapshot"
        case SourceState.STREAMING | SourceState.WAITING:
            return "in-sync" if level else "catching-up"
        case SourceState.DISCONNECTED | SourceState.REFUSED:
            return "disconnected"
