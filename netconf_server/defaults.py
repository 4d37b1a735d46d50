"""How default values are shown (RFC 6243): the modes of with-defaults as a view on the data.

The server keeps what clients set and nothing else, so its basic mode is explicit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import groupby, islice
from typing import Final

from lxml import etree

from netconf_server.configonly import only
from netconf_server.persist import empty_config
from netconf_server.providers import Entry
from netconf_server.query import Read
from netconf_server.values import key_tags
from netconf_server.written import tags_of
from netconf_server.xmltree import append_copy, parsed, to_bytes
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import OPERATIONS, Defaults, Kind, Node, Schema

_CAPABILITY: Final = "urn:ietf:params:netconf:capability:"
_OTHERS: Final = "report-all-tagged,trim"
CAPABILITIES: Final = (
    f"{_CAPABILITY}with-defaults:1.0?basic-mode=explicit&also-supported=report-all,{_OTHERS}",
    f"{_CAPABILITY}with-operational-defaults:1.0?basic-mode=report-all&also-supported=explicit,{_OTHERS}",
)

MODES: Final = {
    "explicit": Defaults.EXPLICIT,
    "trim": Defaults.TRIM,
    "report-all": Defaults.REPORT_ALL,
    "report-all-tagged": Defaults.REPORT_ALL_TAGGED,
}
# Entries that are completed at once.
_BATCH: Final = 256


class DefaultsViews:
    """The views of one schema, one for each mode."""

    def __init__(self, schema: Schema) -> None:
        paths: set[str] = set()
        for node in schema.tree.data.values():
            _note_defaults(node, paths)
        self._views = {mode: DefaultsView(schema, mode, frozenset(paths)) for mode in Defaults}

    def of(self, mode: Defaults) -> tuple[DefaultsView, ...]:
        """The view to read through; none for explicit."""
        return () if mode is Defaults.EXPLICIT else (self._views[mode],)


def _note_defaults(node: Node, paths: set[str]) -> bool:
    """Collect the paths of the nodes that have a default or have one below."""
    below = [_note_defaults(child, paths) for child in node.children.values() if child.kind not in OPERATIONS]
    if node.defaults or any(below):
        paths.add(node.path)
    return node.path in paths


class DefaultsView:
    """Shows defaults in a mode that changes something; `paths` are the nodes that have defaults in them."""

    def __init__(self, schema: Schema, mode: Defaults, paths: Set[str]) -> None:
        self._schema = schema
        self._mode = mode
        self._paths = paths

    def tree(self, tree: etree._Element) -> etree._Element:
        """A configuration with its defaults, and without those of state."""
        missing = self.missing([str(child.tag) for child in tree])
        shown = []
        for element in self._render(list(tree)) + missing:
            node = self._schema.tree.data[str(element.tag)]
            selected = only(element, node, config=True)
            if selected is not None:
                shown.append(to_bytes(selected))
        # All at once: copied element by element a large configuration takes several times as long.
        start, end = tags_of(empty_config())
        return parsed(b"".join((start, *shown, end)))

    def element(self, element: etree._Element, node: Node | None) -> etree._Element | None:
        """An element with its defaults; what no module defines has none."""
        if node is None or node.path not in self._paths:
            return element
        return next(iter(self._render([element])), None)

    def missing(self, present: Sequence[str]) -> list[etree._Element]:
        """The top-level containers that hold nothing but defaults."""
        absent = [
            etree.Element(node.tag, nsmap=names.nsmap(node.namespace))
            for node in self._schema.tree.data.values()
            if node.kind is Kind.CONTAINER and not (node.presence or node.when)
            if node.tag not in present and node.path in self._paths
        ]
        return [element for element in self._render(absent) if len(element)]

    def entries(self, nodes: Sequence[Node], reads: Iterator[Read]) -> Iterator[Read]:
        """The entries with their defaults, a few hundred at a time."""
        if nodes[-1].path not in self._paths:
            yield from reads
            return
        while batch := list(islice(reads, _BATCH)):
            for _, group in groupby(batch, lambda read: read[1].parents):
                yield from self._completed(nodes, list(group))

    def _completed(self, nodes: Sequence[Node], reads: Sequence[Read]) -> Iterator[Read]:
        """Entries of one parent, completed together."""
        level = self._render(_in_place(nodes, [entry for _, entry in reads]))
        for node in nodes[1:]:
            level = [child for parent in level for child in parent.iterchildren(node.tag)]
        for (plan, entry), shown in zip(reads, level, strict=True):
            yield plan, Entry(entry.parents, to_bytes(shown))

    def _render(self, elements: Sequence[etree._Element]) -> list[etree._Element]:
        if not elements:
            return []
        try:
            return self._schema.with_defaults(elements, self._mode)
        except ValueError as error:
            message = "the data does not fit the model, so its defaults are not known; read it as explicit"
            raise RpcError.operation_failed(message) from error


def _in_place(nodes: Sequence[Node], entries: Sequence[Entry]) -> list[etree._Element]:
    """Entries inside all that is above them, as top-level elements."""
    keys = iter(entries[0].parents)
    root = holder = empty_config()
    for node in nodes[:-1]:
        holder = etree.SubElement(holder, node.tag, nsmap=names.nsmap(node.namespace))
        if node.kind is Kind.LIST:
            values = next(keys)
            for tag, name in zip(key_tags(node), node.keys, strict=True):
                etree.SubElement(holder, tag).text = values[name]
    for entry in entries:
        append_copy(holder, parsed(entry.xml))
    return list(root)
