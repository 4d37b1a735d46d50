"""Users of a group who hold the same address.

A server gives an address to one user at a time. Two routers that served apart, each its half or one after the
other, may have seen different parts of that: what one adopts of the other can name a new holder of an
address whose former holder is still online here (DESIGN, offers). Nobody can know which of the two is right,
so neither is taken off; both are reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, Protocol

from rui.backup.messages import Change

KEPT = 1000
"""Conflicts of one search that are named; of more only the number is known."""

# The leaves are read as UserInfo.encode writes them, without prefix.
_ADDRESS = re.compile(rb"<(?:ipv4-address|ipv6-address|ipv6-delegated-prefix)>([^<]+)<")


class Users(Protocol):
    """Whose addresses are compared: :class:`rui.backup.sharing.Users`, or a table."""

    def get(self, key: bytes) -> Change | None:
        """Return what is held of a key, an end too."""

    def live_keys(self) -> list[bytes]:
        """Return the keys of all who are online."""


class Conflict(NamedTuple):
    """Two users hold an address: who was adopted, and who was here before or was adopted too."""

    address: str
    adopted: bytes
    other: bytes


class Search:
    """One look through all users for those who hold an address of some adopted ones, in slices."""

    def __init__(self, users: Users, adopted: Iterable[bytes]) -> None:
        """``adopted`` are keys; who is offline by now holds nothing."""
        self.found: list[Conflict] = []
        self.unnamed = 0
        """Conflicts beyond :data:`KEPT`."""
        self._users = users
        self._adopted = frozenset(adopted)
        self._holders: dict[bytes, bytes] = {}
        for key in sorted(self._adopted):
            for address in _addresses(users, key):
                holder = self._holders.setdefault(address, key)
                if holder != key:
                    self._report(address, key, holder)
        self._rest: Iterator[bytes] = iter(users.live_keys() if self._holders else ())

    def slices(self, count: int) -> Iterator[None]:
        """Look at ``count`` users at each step, until all were looked at."""
        while keys := list(islice(self._rest, count)):
            for key in keys:
                if key in self._adopted:
                    continue
                for address in _addresses(self._users, key):
                    holder = self._holders.get(address)
                    if holder is not None:
                        self._report(address, holder, key)
            yield

    def _report(self, address: bytes, adopted: bytes, other: bytes) -> None:
        if len(self.found) < KEPT:
            self.found.append(Conflict(address.decode(), adopted, other))
        else:
            self.unnamed += 1


def lasts(users: Users, conflict: Conflict) -> bool:
    """Say whether both users still hold the address."""
    address = conflict.address.encode()
    return all(address in _addresses(users, key) for key in (conflict.adopted, conflict.other))


def _addresses(users: Users, key: bytes) -> list[bytes]:
    held = users.get(key)
    return [] if held is None or held.record is None else _ADDRESS.findall(held.record)
