"""Tables of operational data, from their description in `rui.views`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from netconf_cli import requests
from netconf_cli.session import Session
from netconf_cli.table import tabulate
from netconf_cli.walk import Item, lead
from rui.netconf import names
from rui.schema import Kind, Node, Schema, UnknownNodeError
from rui.views import Choice, Table, View

_TIME = "ietf-yang-types:date-and-time"
_FRACTION = re.compile(r"\.\d+")


@dataclass(frozen=True)
class BoundTable:
    """A table of a model: `nodes` lead from the top to its list."""

    table: Table
    nodes: tuple[Node, ...]

    def wanted(self, chosen: Mapping[str, str]) -> etree._Element:
        """The filter for this table's data: the leafs of `chosen` (by their path) have these values."""
        outer: etree._Element | None = None
        element: etree._Element | None = None
        for depth, node in enumerate(self.nodes):
            nsmap = names.nsmap(node.namespace)
            if element is None:
                outer = element = etree.Element(node.tag, nsmap=nsmap)
            else:
                element = etree.SubElement(element, node.tag, nsmap=nsmap)
            up = len(self.nodes) - 1 - depth
            for path, value in chosen.items():
                if path.count("../") == up:
                    self._leaf(element, node, path, value)
        if outer is None or element is None:
            raise ValueError(f"{self.table.path} leads nowhere")
        self._narrow(element, chosen)
        return outer

    def _narrow(self, element: etree._Element, chosen: Mapping[str, str]) -> None:
        """Where entries hold lists of their own, ask for the columns only."""
        if not any(_lists(child) for child in self.nodes[-1].children.values()):
            return
        for column in self.table.columns:
            if "/" not in column.leaf and column.leaf not in chosen:
                self._leaf(element, self.nodes[-1], column.leaf, None)

    @staticmethod
    def _leaf(element: etree._Element, node: Node, path: str, value: str | None) -> None:
        leaf = node.child(path.rpartition("/")[2])
        if leaf is not None:
            etree.SubElement(element, leaf.tag).text = value


def bind(views: Sequence[View], schema: Schema) -> list[tuple[View, tuple[BoundTable, ...]]]:
    """The views of which the schema has a table, with those tables."""
    bound = []
    for view in views:
        tables: tuple[BoundTable, ...] = ()
        for table in view.tables:
            found = _bound(table, schema)
            if found is not None and not (table.otherwise and tables):
                tables = (*tables, found)
        if tables:
            bound.append((view, tables))
    return bound


def _bound(table: Table, schema: Schema) -> BoundTable | None:
    steps = table.path.strip("/").split("/")
    try:
        nodes = tuple(schema.node("/" + "/".join(steps[: end + 1])) for end in range(len(steps)))
    except UnknownNodeError:
        return None
    return BoundTable(table, nodes)


async def rows(
    session: Session, bound: BoundTable, chosen: Mapping[str, str], top: Mapping[str, Node]
) -> AsyncIterator[tuple[str, ...]]:
    """Yield the cells of each row, while the reply comes."""
    operation = requests.get(bound.wanted(chosen))
    async for row in lead(_Rows(bound), session.call(operation), top):
        yield row


def lines(
    session: Session, bound: BoundTable, chosen: Mapping[str, str], top: Mapping[str, Node]
) -> AsyncIterator[str]:
    """Yield the lines of a table."""
    titles = [column.title for column in bound.table.columns]
    return tabulate(titles, rows(session, bound, chosen, top))


class _Rows:
    """Turns entries of one list into cells."""

    def __init__(self, bound: BoundTable) -> None:
        self._tag = bound.nodes[-1].tag
        self._columns = bound.table.columns
        self._leaf_nodes = [_leaf_node(bound.nodes, column.leaf) for column in self._columns]
        self._depth = len(bound.nodes)
        self._open: list[Item] = []
        self._leafs: dict[str, str] = {}

    def open(self, item: Item) -> Iterator[tuple[str, ...]]:
        """Enter a node; the columns of an entry with lists inside are collected until its end."""
        self._open.append(item)
        if self._is_row(item, len(self._open)):
            self._leafs = dict(zip(item.node.keys if item.node else (), item.keys, strict=False))
        return iter(())

    def whole(self, item: Item, parents: tuple[Item, ...]) -> Iterator[tuple[str, ...]]:
        """A row, a leaf of one, or something on the way that held nothing more."""
        depth = len(parents) + 1
        if self._is_row(item, depth):
            yield self._cells(item, parents, {})
        elif depth == self._depth + 1:
            self._leafs[item.name] = item.element.text or ""

    def close(self, item: Item) -> Iterator[tuple[str, ...]]:
        """Leave a node."""
        if self._is_row(item, len(self._open)):
            yield self._cells(item, tuple(self._open[:-1]), self._leafs)
        self._open.pop()

    def _is_row(self, item: Item, depth: int) -> bool:
        return depth == self._depth and item.element.tag == self._tag

    def _cells(self, item: Item, parents: Sequence[Item], known: Mapping[str, str]) -> tuple[str, ...]:
        cells = []
        for (_, path), leaf in zip(self._columns, self._leaf_nodes, strict=True):
            name = path.rpartition("/")[2]
            up = path.count("../")
            text = parents[-up].text(name) if up else known.get(name) or item.text(name)
            cells.append(_cell(leaf, text))
        return tuple(cells)


def _leaf_node(nodes: Sequence[Node], path: str) -> Node | None:
    """The leaf that a column's path leads to, from the list at the end of `nodes`."""
    return nodes[-1 - path.count("../")].child(path.rpartition("/")[2])


def _cell(leaf: Node | None, text: str) -> str:
    """A value as a cell: identities without their module, times to the second."""
    kind = leaf.type if leaf is not None else None
    if kind is not None and kind.base == "identityref":
        return text.rpartition(":")[2]
    if kind is not None and _TIME in kind.typedefs:
        return _FRACTION.sub("", text)
    return text


def _lists(node: Node) -> bool:
    return node.kind is Kind.LIST or any(_lists(child) for child in node.children.values())


def choices_of(view: View) -> Mapping[str, Choice]:
    """A view's choices by name."""
    return {choice.name: choice for choice in view.choices}
