"""What operators read of a router: identities, links and replicas, and the users, never as one tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from lxml import etree

from netconf_server import Entry, Keys
from router.group import Group
from router.history import Identity
from router.rbs import Switch
from router.rbs.peer import Peer
from rui.backup import wire
from rui.backup.links import Link
from rui.backup.member import CLOUD
from rui.backup.record import subscriber_key
from rui.backup.source import SourceState
from rui.backup.version import ZERO
from rui.netconf import names

LINK_STATUS = "urn:rui-cloud:yang:link-status"

_KEY_LEAVES = ("mac-address", "outer-vlan", "inner-vlan")
_QUARANTINED_SHOWN = 1000
Groups = Mapping[str, Group]


class IdentityTree:
    """Gives ``/rui-identity:identity``."""

    def __init__(self, groups: Groups, device: str, address: str) -> None:
        self._groups = groups
        self._device = device
        self._address = address

    def read(self) -> etree._Element:
        """Return the identities in all groups."""
        tree = _Builder("identity", wire.IDENTITY)
        for name, group in self._groups.items():
            entry = tree.child("group").leaf("group-id", name)
            latest = group.history.entries[-1]
            _identity(entry, latest)
            own = _identity(entry.child("member").leaf("device-id", self._device), latest)
            own.leaf("address", self._address)
            for device, address in group.config.members.items():
                member = entry.child("member").leaf("device-id", device)
                if address:
                    member.leaf("address", address)
            for item in reversed(group.history.entries):
                _identity(
                    entry.child("history").leaf("index", item.index).leaf("device-id", self._device), item
                )
        return tree.element


class LinkStatusTree:
    """Gives ``/rui-link-status:link-status``.

    Where there is an RBS channel the links are judged by evidence; without one the cloud is up while it has a
    session.
    """

    def __init__(self, groups: Groups, link: CloudLink, switch: Switch) -> None:
        self._groups = groups
        self._link = link
        self._switch = switch

    def read(self) -> etree._Element:
        """Return links and replicas."""
        tree = _Builder("link-status", LINK_STATUS)
        links = self._switch.links()
        if not links:
            self._link.fill(tree.child("link"))
        for far_end, link in links.items():
            evidence(tree.child("link").leaf("far-end", far_end), link, self._switch.wall(link.since))
        for name, group in self._groups.items():
            entry = tree.child("group").leaf("group-id", name)
            failover = self._switch.groups.get(name)
            if group.member.serving:
                normal = failover.normal if failover else group.uplink.current is not None
                entry.leaf("communication-status", "normal" if normal else "abnormal")
            for peer in failover.peers.values() if failover else ():
                self._path(entry.child("path"), group, peer)
            if group.member.serving:
                _replica(entry.child("replica"), group)
        return tree.element

    def _path(self, entry: _Builder, group: Group, peer: Peer) -> None:
        secondary = peer.name if group.member.serving else self._switch.device
        entry.leaf("secondary", secondary).leaf("in-use", peer.path.in_use)
        decider = peer.decider
        if decider is None:
            entry.leaf("reason", "said by the initiator")
            if peer.informant is not None and peer.informant.waiting:
                entry.leaf("waiting-for", "this device's link to the cloud, as the initiator said")
            return
        entry.leaf("reason", f"{decider.step} {decider.reason}".strip())
        entry.leaf("since", _time(self._switch.wall(decider.since)))
        if decider.waiting_for:
            entry.leaf("waiting-for", decider.waiting_for)


def change_notification(device: str, far_end: str, link: Link, previous: str, at: datetime) -> etree._Element:
    """Return ``link-status-change`` for a link that is judged by evidence."""
    change = _Builder("link-status-change", LINK_STATUS).leaf("device-id", device)
    change.leaf("far-end", far_end).leaf("previous-state", previous)
    evidence(change, link, at)
    return change.element


def evidence(entry: _Builder, link: Link, since: datetime) -> None:
    """Write the leaves of grouping ``link``."""
    entry.leaf("state", link.state.value)
    if link.rtt is not None:
        entry.leaf("rtt", f"{link.rtt * 1000:.3f}")
    entry.leaf("loss", f"{link.loss * 100:.2f}").leaf("last-change", _time(since))
    entry.leaf("flaps", link.flaps).leaf("reason", link.reason)


class UserInfoTree:
    """Gives what stands beside the users in ``/rui-user-info:user-info``."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    def read(self) -> etree._Element:
        """Return each group's role, cursor and counts, and the first thousand of what the model refuses."""
        tree = _Builder("user-info", wire.USER_INFO)
        for name, group in self._groups.items():
            member = group.member
            entry = tree.child("group").leaf("group-id", name).leaf("role", member.role.value)
            entry.leaf("cursor", member.position.live)
            entry.leaf("users", len(member.table) - len(member.quarantined))
            if member.serving:
                entry.leaf("unprotected-users", group.unprotected_users())
            for _, bad in zip(range(_QUARANTINED_SHOWN), member.quarantined.values(), strict=False):
                refused = entry.child("quarantined").leaf("key", bad.key.decode())
                refused.leaf("version", bad.version).leaf("reason", bad.reason)
        return tree.element


class Users:
    """Gives ``/rui-user-info:user-info/group/user``, record by record."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    def read(self, keys: Keys) -> Iterable[Entry]:
        """Yield the records that fit the keys, in the bytes that the primary wrote."""
        wanted = keys.get("group", {}).get("group-id")
        user = keys.get("user", {})
        for name, group in self._groups.items():
            if wanted is None or wanted == name:
                yield from self._of(name, group, user)

    def _of(self, name: str, group: Group, user: Mapping[str, str]) -> Iterator[Entry]:
        member = group.member
        parents = ({"group-id": name},)
        # A copy of the keys: users come and go while this is read
        for key in self._keys(group, user):
            change = member.table.get(key)
            if change is not None and change.record is not None and key not in member.quarantined:
                yield Entry(parents, change.record)

    def _keys(self, group: Group, user: Mapping[str, str]) -> list[bytes]:
        values = [user.get(leaf) for leaf in _KEY_LEAVES]
        if None not in values:
            mac, outer, inner = (value or "" for value in values)
            if not (outer.isdigit() and inner.isdigit() and mac.isascii()):
                return []
            return [subscriber_key(mac, int(outer), int(inner))]
        keys = group.member.table.live_keys()
        if not any(values):
            return keys
        parts = [None if value is None else value.lower().encode() for value in values]
        return [
            key
            for key in keys
            if all(part is None or part == held for part, held in zip(parts, key.split(b"/"), strict=True))
        ]


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

    def fill(self, link: _Builder) -> None:
        """Write the leaves of grouping ``link``, the far end first."""
        link.leaf("far-end", CLOUD)
        self._leaves(link, self.state)

    def notification(self, device: str, previous: str) -> etree._Element:
        """Return ``link-status-change``."""
        change = _Builder("link-status-change", LINK_STATUS).leaf("device-id", device)
        change.leaf("far-end", CLOUD).leaf("previous-state", previous)
        self._leaves(change, self.state)
        return change.element

    def _leaves(self, link: _Builder, state: str) -> None:
        link.leaf("state", state).leaf("last-change", _time(self.changed))
        link.leaf("flaps", self.flaps).leaf("reason", self.reason)

    def _changed(self, was_up: bool, reason: str) -> bool:
        if was_up == bool(self.sessions):
            return False
        self.changed = datetime.now(UTC)
        self.flaps += 1
        self.reason = reason
        return True


class _Builder:
    """Adds children in one namespace."""

    def __init__(self, name: str, namespace: str, parent: etree._Element | None = None) -> None:
        self._namespace = namespace
        tag = f"{{{namespace}}}{name}"
        nsmap = names.nsmap(namespace)
        self.element = (
            etree.Element(tag, nsmap=nsmap) if parent is None else etree.SubElement(parent, tag, nsmap=nsmap)
        )

    def child(self, name: str) -> _Builder:
        """Add a container or list entry and return it."""
        return _Builder(name, self._namespace, self.element)

    def leaf(self, name: str, value: object) -> _Builder:
        """Add a leaf and return the parent."""
        etree.SubElement(self.element, f"{{{self._namespace}}}{name}").text = str(value)
        return self


def _identity(entry: _Builder, item: Identity) -> _Builder:
    entry.leaf("role", item.role.value).leaf("epoch", item.epoch)
    return entry.leaf("since", _time(item.since)).leaf("reason", item.reason)


def _replica(replica: _Builder, group: Group) -> None:
    source = group.member.source
    lag = group.cloud_lag()
    replica.leaf("name", CLOUD).leaf("cursor", source.position.cursor)
    replica.leaf("state", _replica_state(source.state, source.position.cursor >= group.member.durable))
    replica.leaf("lag-records", lag.records).leaf("lag-seconds", f"{lag.seconds:.3f}")
    oldest = group.oldest_unacknowledged()
    if oldest is not None and oldest != ZERO:
        replica.leaf("oldest-unacknowledged", oldest)
    replica.leaf("quarantined", group.uplink.refused)


def _replica_state(state: SourceState, level: bool) -> str:
    match state:
        case SourceState.SNAPSHOT:
            return "snapshot"
        case SourceState.STREAMING | SourceState.WAITING:
            return "in-sync" if level else "catching-up"
        case SourceState.DISCONNECTED | SourceState.REFUSED:
            return "disconnected"


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
