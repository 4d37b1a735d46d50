"""Tables of operational data, from their description in `rui.views`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from netconf_cli import requests
from netconf_cli.session import Session
from netconf_cli.table import tabulate
from netconf_cli.walk import Item, lead
from rui.netconf import names
from rui.schema import Kind, Node, Schema, UnknownNodeError
from rui.views import Table, View

_TIME = "ietf-yang-types:date-and-time"
_FRACTION = re.compile(r"\.\d+")


@dataclass(frozen=True)
class Leaf:
    """A leaf that a table shows or chooses by: of the entry itself, or `up` lists and containers above."""

    title: str
    node: Node
    up: int


@dataclass(frozen=True)
class BoundTable:
    """A table of a model: `nodes` lead from the top to its list."""

    table: Table
    nodes: tuple[Node, ...]
    columns: tuple[Leaf, ...]

    @property
    def nested(self) -> bool:
        """Whether its entries hold lists."""
        return any(_lists(child) for child in self.nodes[-1].children.values())

    def wanted(self, chosen: Sequence[tuple[Leaf, str]]) -> etree._Element:
        """The filter for this table's data: the leafs of `chosen` have these values."""
        outer: etree._Element | None = None
        element: etree._Element | None = None
        for depth, node in enumerate(self.nodes):
            nsmap = names.nsmap(node.namespace)
            if element is None:
                outer = element = etree.Element(node.tag, nsmap=nsmap)
            else:
                element = etree.SubElement(element, node.tag, nsmap=nsmap)
            for leaf, value in chosen:
                if leaf.up == len(self.nodes) - 1 - depth:
                    _add(element, leaf.node, value)
        if outer is None or element is None:
            raise ValueError(f"{self.table.path} leads nowhere")
        # Where entries hold lists of their own, the columns only
        if self.nested:
            for column in self.columns:
                if column.up == 0 and all(column.node is not leaf.node for leaf, _ in chosen):
                    _add(element, column.node, None)
        return outer


@dataclass(frozen=True)
class BoundView:
    """A view of a model: its tables, and by what its rows can be chosen."""

    view: View
    tables: tuple[BoundTable, ...]
    choices: Mapping[str, tuple[Leaf, str]]
    """Leaf and help of each choice by name."""


def _add(element: etree._Element, node: Node, value: str | None) -> None:
    etree.SubElement(element, node.tag, nsmap=names.nsmap(node.namespace)).text = value


def bind(views: Sequence[View], schema: Schema) -> list[BoundView]:
    """The views of which the schema has a table, with those tables.

    Leafs that other modules add to a table's list become further columns and choices.
    """
    bound = []
    for view in views:
        tables: tuple[BoundTable, ...] = ()
        for table in view.tables:
            found = _bound(table, schema)
            if found is not None and not (table.otherwise and tables):
                tables = (*tables, found)
        if tables:
            bound.append(BoundView(view, tables, _choices(view, tables[0])))
    return bound


def _choices(view: View, table: BoundTable) -> dict[str, tuple[Leaf, str]]:
    found = {
        choice.name: (leaf, choice.help)
        for choice in view.choices
        if (leaf := _leaf(table.nodes, choice.name, choice.leaf)) is not None
    }
    for leaf in _added(table.nodes[-1]) if found else ():
        found.setdefault(leaf.node.name, (leaf, " ".join(leaf.node.description.split()).partition(". ")[0]))
    return found


def _bound(table: Table, schema: Schema) -> BoundTable | None:
    steps = table.path.strip("/").split("/")
    try:
        nodes = tuple(schema.node("/" + "/".join(steps[: end + 1])) for end in range(len(steps)))
    except UnknownNodeError:
        return None
    columns = (_leaf(nodes, column.title, column.leaf) for column in table.columns)
    return BoundTable(table, nodes, (*filter(None, columns), *_added(nodes[-1])))


def _leaf(nodes: Sequence[Node], title: str, path: str) -> Leaf | None:
    """The leaf at a column's path, from the list at the end of `nodes`; None where the model lacks it."""
    up = path.count("../")
    node = nodes[-1 - up].child(path.rpartition("/")[2])
    return Leaf(title, node, up) if node is not None else None


def _added(node: Node) -> list[Leaf]:
    """The leafs that other modules add to a list."""
    added = (child for child in node.children.values() if child.module != node.module)
    return [Leaf(child.name.replace("-", " "), child, 0) for child in added if child.kind is Kind.LEAF]


async def rows(
    session: Session, bound: BoundTable, chosen: Sequence[tuple[Leaf, str]], top: Mapping[str, Node]
) -> AsyncIterator[tuple[str, ...]]:
    """Yield the cells of each row, while the reply comes."""
    operation = requests.get(bound.wanted(chosen))
    led = [node.tag for node in bound.nodes]
    if bound.nested:
        led += bound.nodes[-1].children
    async for row in lead(_Rows(bound), session.call(operation), top, led):
        yield row


def lines(
    session: Session, bound: BoundTable, chosen: Sequence[tuple[Leaf, str]], top: Mapping[str, Node]
) -> AsyncIterator[str]:
    """Yield the lines of a table."""
    titles = [column.title for column in bound.columns]
    return tabulate(titles, rows(session, bound, chosen, top))


class _Rows:
    """Turns entries of one list into cells."""

    def __init__(self, bound: BoundTable) -> None:
        self._tag = bound.nodes[-1].tag
        self._columns = [(leaf.node.tag, leaf.up, _form(leaf.node)) for leaf in bound.columns]
        self._own = [leaf.node.tag for leaf in bound.columns if leaf.up == 0]
        self._depth = len(bound.nodes)
        # The leafs of each open node: of those on the way the keys, of an entry with lists inside all
        self._open: list[dict[str, str]] = []

    def open(self, item: Item) -> Iterator[tuple[str, ...]]:
        """Enter a node."""
        self._open.append(_leafs(item.element))
        return iter(())

    def whole(self, item: Item, _parents: tuple[Item, ...]) -> Iterator[tuple[str, ...]]:
        """A row, a leaf of one, or something on the way that held nothing more."""
        depth = len(self._open) + 1
        if depth == self._depth and item.element.tag == self._tag:
            # Only the columns' leafs are made objects of: a record has twice as many
            yield self._cells(_leafs(item.element.iterchildren(*self._own)))
        elif depth == self._depth + 1:
            self._open[-1][str(item.element.tag)] = item.element.text or ""

    def close(self, item: Item) -> Iterator[tuple[str, ...]]:
        """Leave a node."""
        leafs = self._open.pop()
        if len(self._open) + 1 == self._depth and item.element.tag == self._tag:
            yield self._cells(leafs)

    def _cells(self, leafs: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(
            form((self._open[-up] if up else leafs).get(tag, "").strip()) for tag, up, form in self._columns
        )


def _leafs(elements: Iterable[etree._Element]) -> dict[str, str]:
    return {str(element.tag): element.text or "" for element in elements}


def _form(leaf: Node) -> Callable[[str], str]:
    """How a value becomes a cell: identities without their module, times to the second."""
    kind = leaf.type
    if kind is not None and kind.base == "identityref":
        return lambda text: text.rpartition(":")[2]
    if kind is not None and _TIME in kind.typedefs:
        return lambda text: _FRACTION.sub("", text)
    return str


def _lists(node: Node) -> bool:
    return node.kind is Kind.LIST or any(_lists(child) for child in node.children.values())
