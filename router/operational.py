"""What operators read of a router: identities, and the users, never as one tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from lxml import etree

from netconf_server import Entry, Keys, Told
from router.group import Group
from router.history import Identity
from router.tree import Builder, moment
from rui.backup import wire
from rui.backup.record import subscriber_key

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
        tree = Builder("identity", wire.IDENTITY)
        for name, group in self._groups.items():
            entry = tree.child("group").leaf("group-id", name)
            latest = group.history.entries[-1]
            _identity(entry, latest)
            entry.leaf("standing", group.standing)
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


class UserInfoTree:
    """Gives what stands beside the users in ``/rui-user-info:user-info``."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    def read(self) -> etree._Element:
        """Return each group's role, cursor and counts, and the first thousand of what the model refuses."""
        tree = Builder("user-info", wire.USER_INFO)
        for name, group in self._groups.items():
            member = group.member
            entry = tree.child("group").leaf("group-id", name).leaf("role", member.role.value)
            entry.leaf("cursor", member.position.live)
            entry.leaf("users", len(member.users) - len(member.quarantined))
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

    def watch(self, told: Told) -> Callable[[], None]:
        """Have ``told`` called of each user that comes, changes or goes, until what is returned is called."""
        ends = [self._watch(name, group, told) for name, group in self._groups.items()]

        def end() -> None:
            for one in ends:
                one()

        return end

    def _watch(self, name: str, group: Group, told: Told) -> Callable[[], None]:
        table, parent = group.member.table, {"group-id": name}

        def changed(key: bytes, before: bytes | None) -> None:
            if key in group.member.quarantined:
                # What the model refused was not shown
                before = None
            parts = dict(zip(_KEY_LEAVES, key.decode().split("/"), strict=True))
            told({"group": parent, "user": parts}, before)

        def end() -> None:
            table.watchers = tuple(known for known in table.watchers if known is not changed)

        table.watchers += (changed,)
        return end

    def _of(self, name: str, group: Group, user: Mapping[str, str]) -> Iterator[Entry]:
        member = group.member
        parents = ({"group-id": name},)
        # A copy of the keys: users come and go while this is read
        for key in self._keys(group, user):
            change = member.users.get(key)
            if change is not None and change.record is not None and key not in member.quarantined:
                yield Entry(parents, change.record)

    def _keys(self, group: Group, user: Mapping[str, str]) -> list[bytes]:
        values = [user.get(leaf) for leaf in _KEY_LEAVES]
        if None not in values:
            mac, outer, inner = (value or "" for value in values)
            if not (outer.isdigit() and inner.isdigit() and mac.isascii()):
                return []
            return [subscriber_key(mac, int(outer), int(inner))]
        if not any(values):
            return group.member.users.live_keys()
        table = group.member.table
        keys = table.held_keys() if values[0] is None else table.with_mac(values[0].lower().encode())
        parts = [None if value is None else value.lower().encode() for value in values]
        return [
            key
            for key in keys
            if all(part is None or part == held for part, held in zip(parts, key.split(b"/"), strict=True))
        ]


def _identity(entry: Builder, item: Identity) -> Builder:
    entry.leaf("role", item.role.value).leaf("epoch", item.epoch)
    entry.leaf("since", moment(item.since)).leaf("reason", item.reason)
    return entry.filled(("step", item.step))
