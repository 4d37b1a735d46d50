"""Locks on parts of running (RFC 5717): which nodes, held by whom, and what they forbid to others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from lxml import etree

from netconf_server.place import Place
from netconf_server.values import key_tags, value_of
from rui.netconf.errors import RpcError
from rui.schema import Kind, Node

_MAX_LOCKS: Final = 256
_MAX_NODES: Final = 1_000
_MAX_ID: Final = 4_294_967_295

Step: TypeAlias = tuple[object, ...]
"""One step to an instance: its tag, and the values of its keys or its own in a leaf-list."""


@dataclass(frozen=True)
class LockedNode:
    """An instance of configuration, which need not be there any more, and its instance-identifier."""

    steps: tuple[Step, ...]
    place: Place

    def overlaps(self, other: LockedNode) -> bool:
        """Say whether one of the two is in the other."""
        common = min(len(self.steps), len(other.steps))
        return self.steps[:common] == other.steps[:common]


@dataclass(frozen=True)
class PartialLock:
    """A lock that is held: its id, by which session and since when, what was asked for and what is locked."""

    id: int
    session: int
    since: datetime
    selects: tuple[str, ...]
    nodes: tuple[LockedNode, ...]


class PartialLocks:
    """The partial locks of one server; `top` are the schema's top-level nodes by tag."""

    def __init__(self, top: Mapping[str, Node]) -> None:
        self._top = top
        self._held: dict[int, PartialLock] = {}
        self._last = 0

    @property
    def held(self) -> tuple[PartialLock, ...]:
        """The locks there are."""
        return tuple(self._held.values())

    def acquire(
        self, session: int, selects: Sequence[str], elements: Sequence[etree._Element], now: datetime
    ) -> PartialLock:
        """Lock elements of running. Raises RpcError."""
        if len(elements) > _MAX_NODES or len(self._held) >= _MAX_LOCKS:
            raise RpcError.resource_denied(
                f"there can be {_MAX_LOCKS} partial locks of {_MAX_NODES} nodes each; lock a node above these"
            )
        nodes = tuple(self._node(element) for element in elements)
        for lock in self.of_others(session):
            if any(mine.overlaps(theirs) for mine in nodes for theirs in lock.nodes):
                raise RpcError.lock_denied(
                    lock.session, f"session {lock.session} has locked some of it; wait until it unlocks"
                )
        self._last = self._last % _MAX_ID + 1
        lock = PartialLock(self._last, session, now, tuple(selects), nodes)
        self._held[lock.id] = lock
        return lock

    def release(self, number: int, session: int) -> None:
        """Give a lock back. Raises RpcError `invalid-value` when this session has none of that id."""
        lock = self._held.get(number)
        if lock is None or lock.session != session:
            raise RpcError.invalid_value(
                f"this session has no partial lock {number}; see what partial-lock said"
            )
        del self._held[number]

    def release_all(self, session: int) -> None:
        """Give back what a session that ended holds."""
        self._held = {number: lock for number, lock in self._held.items() if lock.session != session}

    def of_others(self, session: int | None) -> Iterator[PartialLock]:
        """The locks that other sessions hold."""
        return (lock for lock in self._held.values() if lock.session != session)

    def check_change(self, old: etree._Element, new: etree._Element, session: int | None) -> None:
        """Refuse a change of what other sessions have locked. Raises RpcError `in-use`."""
        for lock in self.of_others(session):
            for node in lock.nodes:
                if not _same(self._find(old, node.steps), self._find(new, node.steps)):
                    raise node.place.at(
                        RpcError.in_use(
                            f"{node.place.text} is locked by session {lock.session}; wait until it unlocks"
                        )
                    )

    # --- instances

    def _node(self, element: etree._Element) -> LockedNode:
        chain = [element, *element.iterancestors()][-2::-1]
        level = self._top
        place = Place.root()
        steps: list[Step] = []
        for item in chain:
            node = level[str(item.tag)]
            steps.append(_step(item, node))
            leafs = [leaf for tag in key_tags(node) if (leaf := item.find(tag)) is not None]
            if node.kind is Kind.LEAF_LIST:
                place = place.value(node, item)
            else:
                place = place.entry(node, leafs) if leafs else place.child(node)
            level = node.children
        return LockedNode(tuple(steps), place)

    def _find(self, tree: etree._Element, steps: Sequence[Step]) -> etree._Element | None:
        level = self._top
        found: etree._Element | None = tree
        for step in steps:
            node = level[str(step[0])]
            items = found.iterchildren(node.tag) if found is not None else iter(())
            found = next((item for item in items if _step(item, node) == step), None)
            level = node.children
        return found


def _step(item: etree._Element, node: Node) -> Step:
    if node.kind is Kind.LEAF_LIST:
        return (node.tag, value_of(item, node))
    leafs = (item.find(tag) for tag in key_tags(node))
    return (node.tag, *(value_of(leaf, node.children[str(leaf.tag)]) for leaf in leafs if leaf is not None))


def _same(old: etree._Element | None, new: etree._Element | None) -> bool:
    if old is None or new is None:
        return old is new
    if old.tag != new.tag or len(old) != len(new) or (len(old) == 0 and (old.text or "") != (new.text or "")):
        return False
    return all(_same(mine, theirs) for mine, theirs in zip(old, new, strict=True))
