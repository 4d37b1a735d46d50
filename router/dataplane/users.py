"""The online users as elements of nftables sets, and the transactions that bring the kernel to them.

A user gives up to four elements: its MAC with each address, by which it may send, and each address with the
mark of its group, by which packets find it. Two users may claim the same element for a moment (an address
that is given on before its former holder is deleted), so an element may have several holders.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from router.dataplane.values import DataPlaneConfig, Names, Subscriber

KEYS_A_TRANSACTION = 8000
"""The kernel takes one transaction at a time; a longer one would keep the gate from being refreshed."""

_Place = tuple[str, str]
"""A set or map, and the key of an element in it."""


class Users:
    """What the kernel is to hold, and what it does not hold yet."""

    def __init__(self, config: DataPlaneConfig, names: Names) -> None:
        self._names = names
        self._users: dict[str, dict[bytes, Subscriber]] = {group.id: {} for group in config.groups}
        self._wanted: dict[_Place, str] = {}
        self._waiting: dict[_Place, list[str]] = {}
        self._changed: dict[_Place, str | None] = {}

    def __len__(self) -> int:
        return sum(len(users) for users in self._users.values())

    @property
    def behind(self) -> int:
        """Elements that the kernel does not hold as wanted yet."""
        return len(self._changed)

    def keys(self, group: str) -> list[bytes]:
        """Return the keys of a group's users, as they are now."""
        return list(self._users[group])

    def get(self, group: str, key: bytes) -> Subscriber | None:
        """Return a user; None where there is none."""
        return self._users[group].get(key)

    def put(self, group: str, key: bytes, user: Subscriber) -> Subscriber | None:
        """Add a user or change it; return what it was."""
        users = self._users[group]
        old = users.get(key)
        if old == user:
            return old
        users[key] = user
        for place, data in self._elements(group, user):
            self._hold(place, data)
        if old is not None:
            self._release_all(group, old)
        return old

    def delete(self, group: str, key: bytes) -> Subscriber | None:
        """Remove a user and return it; one that is not there is no error."""
        old = self._users[group].pop(key, None)
        if old is not None:
            self._release_all(group, old)
        return old

    def take(self) -> str:
        """Return the next transaction, empty when the kernel is to hold all; it counts as carried out."""
        removed: dict[str, list[str]] = {}
        added: dict[str, list[str]] = {}
        for place in list(islice(self._changed, KEYS_A_TRANSACTION)):
            before, after = self._changed.pop(place), self._wanted.get(place)
            if before == after:
                continue
            where, key = place
            if before is not None:
                removed.setdefault(where, []).append(key)
            if after is not None:
                added.setdefault(where, []).append(key + after)
        return "".join([*self._commands("delete", removed), *self._commands("add", added)])

    def start_over(self) -> None:
        """The kernel holds nothing any more: all is to be added again."""
        self._changed = dict.fromkeys(self._wanted)

    def _commands(self, command: str, elements: dict[str, list[str]]) -> Iterator[str]:
        for where, items in elements.items():
            yield f"{command} element inet {self._names.table} {where} {{ {', '.join(items)} }}\n"

    def _elements(self, group: str, user: Subscriber) -> Iterator[tuple[_Place, str]]:
        number = self._names.number(group)
        data = f" : {self._names.mark(group):#x}"
        for family, address in (("4", user.ipv4), ("6", user.ipv6)):
            if address:
                yield (f"from{family}_{number}", f"{user.mac} . {address}"), ""
                yield (f"to{family}", address), data

    def _hold(self, place: _Place, data: str) -> None:
        if place in self._wanted:
            self._waiting.setdefault(place, []).append(data)
        else:
            self._changed.setdefault(place, None)
            self._wanted[place] = data

    def _release_all(self, group: str, user: Subscriber) -> None:
        for place, data in self._elements(group, user):
            self._release(place, data)

    def _release(self, place: _Place, data: str) -> None:
        waiting = self._waiting.get(place, [])
        if data in waiting:
            waiting.remove(data)
        else:
            self._changed.setdefault(place, self._wanted.pop(place))
            if waiting:
                self._wanted[place] = waiting.pop(0)
        if not waiting:
            self._waiting.pop(place, None)
