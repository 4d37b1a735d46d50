"""Where operational data comes from: small trees and large lists, each given by the program that has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from lxml import etree

from netconf_server.xmltree import append_copy
from rui.schema import Kind, Node, Schema

Keys: TypeAlias = Mapping[str, Mapping[str, str]]
"""Key predicates by list name: `{"group": {"group-id": "g1"}, "user": {"mac-address": "02:…"}}`, texts as
sent.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a large list: the keys of each list above it, outermost first, and its XML, namespace
    declared.
    """

    parents: tuple[Mapping[str, str], ...]
    xml: bytes


class TreeProvider(Protocol):
    """Gives a small operational tree; the server applies the filter."""

    def read(self) -> etree._Element | None:
        """The element at the path it is registered for, fresh or unchanging; None when there is none now."""


class ListProvider(Protocol):
    """Gives the entries of one large list, never all at once."""

    def read(self, keys: Keys) -> Iterable[Entry]:
        """The entries that fit all `keys` (empty: all), and no others; entries of one parent next to each
        other.

        It is read in slices while other work goes on, so it has to stand changes of what it reads from.
        """


Told: TypeAlias = Callable[[Keys, bytes | None], None]
"""Takes the keys of a changed entry, those of the lists above too, and its XML until now; None: it is new."""


@runtime_checkable
class WatchedList(ListProvider, Protocol):
    """A list that says when its entries change, so that clients may subscribe to its changes (RFC 8641)."""

    def watch(self, told: Told) -> Callable[[], None]:
        """Have `told` called, in the event loop, after each entry has come, changed or gone; return what ends
        that. `read` gives what the entry is then.
        """


@dataclass(frozen=True)
class ListBranch:
    """A registered ListProvider and the schema nodes from the top to its list.

    `outer_given`: trees give all entries of the lists above, so nothing has to be read to know them.
    """

    nodes: tuple[Node, ...]
    provider: ListProvider
    outer_given: bool = False


@dataclass(frozen=True)
class TreeBranch:
    """A registered TreeProvider and the tags from the top to its element; `nodes` are as far as the schema
    knows.
    """

    tags: tuple[str, ...]
    provider: TreeProvider


class Providers:
    """The providers of one server."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.trees: list[TreeBranch] = []
        self.lists: list[ListBranch] = []

    def add_tree(self, path: str, provider: TreeProvider) -> None:
        """Register for a schema path below containers only. Raises UnknownNodeError, ValueError."""
        nodes = self._nodes(path)
        if any(node.kind is Kind.LIST for node in nodes[:-1]):
            raise ValueError(f"{path} is inside a list; register a tree at or above that list")
        self.trees.append(TreeBranch(tuple(node.tag for node in nodes), provider))

    def add_top(self, tag: str, provider: TreeProvider) -> None:
        """Register for a top-level element that the schema may not know."""
        self.trees.append(TreeBranch((tag,), provider))

    def add_list(self, path: str, provider: ListProvider, *, outer_given: bool = False) -> None:
        """Register for a list; one for each list, and one below any outer list, of which `outer_given` says
        that a tree gives all entries. Raises UnknownNodeError, ValueError.
        """
        nodes = self._nodes(path)
        if nodes[-1].kind is not Kind.LIST:
            raise ValueError(f"{path} is a {nodes[-1].kind}, not a list")
        if nodes[-1].config:
            raise ValueError(f"{path} is configuration; only lists of state (config false) have a provider")
        outer = _first_list(nodes)
        for branch in self.lists:
            if _first_list(branch.nodes) == outer:
                raise ValueError(f"{outer.path} has a list provider already: {branch.nodes[-1].path}")
        self.lists.append(ListBranch(nodes, provider, outer_given))

    def top_tags(self) -> Sequence[str]:
        """The tags of the top-level elements that some provider gives, in order of registration."""
        tags = [branch.tags[0] for branch in self.trees] + [branch.nodes[0].tag for branch in self.lists]
        return list(dict.fromkeys(tags))

    def _nodes(self, path: str) -> tuple[Node, ...]:
        steps = path.strip("/").split("/")
        return tuple(self._schema.node("/" + "/".join(steps[: i + 1])) for i in range(len(steps)))


def _first_list(nodes: Sequence[Node]) -> Node:
    return next(node for node in nodes if node.kind is Kind.LIST)


def combine(target: etree._Element, source: etree._Element, node: Node | None) -> None:
    """Merge the children of `source` into `target`, both instances of `node`: entries by key, leafs
    replaced.
    """
    for child in source.iterchildren(etree.Element):
        inner = node.children.get(str(child.tag)) if node is not None else None
        same = _counterpart(target, child, inner)
        if same is None:
            append_copy(target, child)
        elif inner is not None and inner.kind in (Kind.CONTAINER, Kind.LIST):
            combine(same, child, inner)
        else:
            target.remove(same)
            append_copy(target, child)


def _counterpart(target: etree._Element, child: etree._Element, node: Node | None) -> etree._Element | None:
    if node is None or node.kind is Kind.LEAF_LIST:
        return None
    if node.kind is not Kind.LIST:
        return target.find(child.tag)
    if not node.keys:
        return None
    wanted = _key_texts(child, node)
    return next((item for item in target.iterchildren(child.tag) if _key_texts(item, node) == wanted), None)


def _key_texts(entry: etree._Element, node: Node) -> list[str]:
    return [(entry.findtext(f"{{{node.namespace}}}{key}") or "").strip() for key in node.keys]
