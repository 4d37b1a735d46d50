"""Changes of large lists on their way to one subscriber: told by the provider, kept by key until they leave.

However often an entry changes before that, it waits once, with what it was at first; what it has become is
read when it is sent. So memory is bounded by the entries that wait, and nothing is told that is not true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, TypeAlias

from lxml import etree

from netconf_server.difference import Difference, Happened, differences_inside, place_of
from netconf_server.place import Place
from netconf_server.providers import Entry, Keys, ListBranch, WatchedList
from netconf_server.push_patch import has_keyless, resource_path
from netconf_server.pushdown import Filters, below, key_plans
from netconf_server.values import key_tags
from netconf_server.xmltree import parsed, to_bytes
from rui.netconf import names
from rui.schema import Kind, Node

MAX_WAITING: Final = 10_000
"""Entries of one list that may wait for one subscriber; beyond it they are forgotten, and he is told so."""

START: Final = b'<data xmlns="%s">' % names.BASE.encode()
END: Final = b"</data>"

Pieces: TypeAlias = Callable[[Sequence[ListBranch]], Iterator[bytes]]
"""Reads what a subscription selects, with these large lists and no others."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry that has changed: its keys, those of each list as a tuple, and its XML at first."""

    keys: Keys
    values: tuple[tuple[str, ...], ...]
    before: bytes | None


class ListFeed:
    """The changes of one list that wait for one subscription, whose filters name the top-level element.

    `lost` says that more changed than could wait; it stays until somebody takes note.
    """

    def __init__(self, branch: ListBranch, provider: WatchedList, filters: Filters) -> None:
        self.branch = branch
        self.lost = False
        self._keys = key_tags(branch.nodes[-1])
        # Where a part of an entry cannot be named, entries are told as a whole.
        self._whole = any(has_keyless(inner) for inner in branch.nodes[-1].children.values())
        self._provider = provider
        self._plans = key_plans(branch.nodes, filters)
        self._waiting: dict[tuple[tuple[str, ...], ...], Waiting] = {}
        self._wake: Callable[[], None] = lambda: None
        self._end: Callable[[], None] | None = None

    def open(self, wake: Callable[[], None]) -> None:
        """Begin to listen; `wake` is called when something waits."""
        self._wake = wake
        self._end = self._provider.watch(self._told)

    def close(self) -> None:
        """Listen no more."""
        if self._end is not None:
            self._end()
            self._end = None
        self.clear()

    def clear(self) -> None:
        """Forget what waits: the subscriber gets everything."""
        self._waiting.clear()
        self.lost = False

    @property
    def waits(self) -> bool:
        """Whether something is to be told."""
        return self.lost or bool(self._waiting)

    def differences(self, pieces: Pieces, limit: int) -> list[Difference]:
        """Take at most `limit` entries that wait and say what became of what is selected of them."""
        taken = [self._waiting.pop(key) for key in list(islice(self._waiting, limit))]
        # Entries of one parent have to stand next to each other.
        taken.sort(key=lambda item: item.values[:-1])
        old = [(item, item.before) for item in taken if item.before is not None]
        new = [(item, entry.xml) for item in taken for entry in islice(self._provider.read(item.keys), 1)]
        before, after = self._selected(pieces, old), self._selected(pieces, new)
        return list(
            chain.from_iterable(
                self._compare(before.get(path), after.get(path)) for path in dict.fromkeys((*before, *after))
            )
        )

    def _told(self, keys: Keys, before: bytes | None) -> None:
        values = tuple(tuple(part.values()) for part in keys.values())
        if values in self._waiting or not any(_fits(plan, keys) for plan in self._plans):
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.clear()
            self.lost = True
        self._waiting[values] = Waiting(keys, values, before)
        self._wake()

    def _selected(self, pieces: Pieces, entries: Sequence[tuple[Waiting, bytes]]) -> dict[str, _Siblings]:
        """What is selected where the list has only these entries, by the place of what holds them."""
        if not entries:
            return {}
        branch = ListBranch(self.branch.nodes, _Chosen(entries))
        tree = parsed(b"".join((START, *pieces([branch]), END)))
        return {resource_path(found.above): found for found in _siblings(tree, self.branch.nodes)}

    def _compare(self, old: _Siblings | None, new: _Siblings | None) -> Iterator[Difference]:
        """What became of the entries of one parent; providers write keys in one way."""
        node = self.branch.nodes[-1]
        above = (old or new or _NOTHING).above
        before, after = ((found or _NOTHING).by_key(self._keys) for found in (old, new))
        for key in dict.fromkeys((*before, *after)):
            one, other = before.get(key), after.get(key)
            if one is None and other is not None:
                yield Difference(Happened.CREATED, node, place_of(above, node, other), None, other)
            elif one is not None and other is None:
                yield Difference(Happened.DELETED, node, place_of(above, node, one), one, None)
            elif one is not None and other is not None and to_bytes(one) != to_bytes(other):
                place = place_of(above, node, other)
                if self._whole:
                    yield Difference(Happened.CHANGED, node, place, one, other)
                else:
                    yield from differences_inside(one, other, node, place)


@dataclass(frozen=True)
class _Siblings:
    """Entries that one node holds."""

    above: Place
    items: Sequence[etree._Element]

    def by_key(self, keys: Sequence[str]) -> dict[tuple[str | None, ...], etree._Element]:
        """The entries by the texts of their keys, which have these tags."""
        return {tuple(item.findtext(key) for key in keys): item for item in self.items}


_NOTHING: Final = _Siblings(Place.root(), ())


class _Chosen:
    """A provider of some entries that were read already."""

    def __init__(self, entries: Sequence[tuple[Waiting, bytes]]) -> None:
        self._entries = entries

    def read(self, keys: Keys) -> Iterator[Entry]:
        for item, xml in self._entries:
            if _fits(keys, item.keys):
                yield Entry(tuple(item.keys.values())[:-1], xml)


def is_selected(nodes: Sequence[Node], filters: Filters) -> bool:
    """Say whether a filter can select anything of the list at the end of `nodes`."""
    for node in nodes[1:]:
        if not filters:
            break
        filters = below(filters, node.tag)
    return filters is None or bool(filters)


def needs_others(nodes: Sequence[Node], filters: Filters) -> bool:
    """Say whether what a filter selects of a list depends on more than its entries and the keys above."""
    if filters is None or len(nodes) == 1:
        return False
    node, rest = nodes[0], nodes[1:]
    keys = node.keys if node.kind is Kind.LIST else ()
    return any(
        filter_node.attributes
        or any(content.name not in keys for content in filter_node.content)
        or needs_others(rest, below([filter_node], rest[0].tag))
        for filter_node in filters
    )


def _fits(plan: Keys, keys: Keys) -> bool:
    """Say whether an entry is among those that a reading asks for; keys may be written in either case."""
    return all(
        keys.get(name, {}).get(leaf, "").lower() == value.lower()
        for name, part in plan.items()
        for leaf, value in part.items()
    )


def _siblings(tree: etree._Element, nodes: Sequence[Node]) -> Iterator[_Siblings]:
    """The entries of the list at the end of `nodes`, those of one parent together."""
    holders = [(tree, Place.root())]
    for node in nodes[:-1]:
        holders = [
            (child, place_of(place, node, child))
            for holder, place in holders
            for child in holder.iterchildren(node.tag)
        ]
    for holder, place in holders:
        items = list(holder.iterchildren(nodes[-1].tag))
        if items:
            yield _Siblings(place, items)
