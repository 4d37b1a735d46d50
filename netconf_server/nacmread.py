"""What a user is not allowed to read is left out of what he reads, without a word (RFC 8341 3.2.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lxml import etree

from netconf_server.nacmaccess import Access, Scope
from netconf_server.nacmpath import Instance, instance_of, instance_with
from netconf_server.nacmrules import Right
from netconf_server.providers import Entry
from netconf_server.query import Read
from netconf_server.xmltree import append_copy, attributes, scope
from rui.schema import Kind, Node


def readable(access: Access, element: etree._Element, node: Node | None) -> etree._Element | None:
    """A top-level element as far as the user may read it: itself where that is all of it, else a copy.

    `node` is None for what no module defines.
    """
    if access.unlimited:
        return element
    if node is None:
        return element if access.reads_unknown() else None
    return _readable(access, element, node)


def _readable(access: Access, element: etree._Element, node: Node) -> etree._Element | None:
    extent = access.scope(node, Right.READ)
    if extent is Scope.ALL:
        return element
    trail = [instance_of(element)]
    if extent is Scope.NONE or not access.permits(node, Right.READ, trail):
        return None
    copy = etree.Element(element.tag, attrib=attributes(element), nsmap=scope(element))
    _fill(access, copy, element, node, trail)
    return copy


def _fill(
    access: Access, copy: etree._Element, element: etree._Element, node: Node, trail: list[Instance]
) -> None:
    for child in element.iterchildren(etree.Element):
        inner = node.children.get(str(child.tag))
        extent = Scope.ALL if inner is None else access.scope(inner, Right.READ)
        if inner is None or extent is Scope.ALL:
            append_copy(copy, child)
        elif extent is Scope.PART:
            trail.append(instance_of(child))
            if access.permits(inner, Right.READ, trail):
                part = etree.SubElement(copy, child.tag, attrib=attributes(child), nsmap=scope(child))
                part.text = child.text if len(child) == 0 else None
                _fill(access, part, child, inner, trail)
            trail.pop()


class Readable:
    """A view (see `netconf_server.query`) that leaves out what the user may not read.

    Rules without keys cost an entry of a large list nothing where the whole list may be read; a rule with the
    keys of an outer list is looked at once for each of its entries.
    """

    def __init__(self, access: Access, top: Mapping[str, Node]) -> None:
        self._access = access
        self._top = top

    def tree(self, tree: etree._Element) -> etree._Element:
        """A datastore's tree as far as the user may read it: itself where that is all of it."""
        parts = [(child, self.element(child, self._top.get(str(child.tag)))) for child in tree]
        if all(part is child for child, part in parts):
            return tree
        copy = etree.Element(tree.tag, nsmap=scope(tree))
        for _, part in parts:
            if part is not None:
                append_copy(copy, part)
        return copy

    def element(self, element: etree._Element, node: Node | None) -> etree._Element | None:
        """A top-level element as far as the user may read it."""
        return readable(self._access, element, node)

    def missing(self, present: Sequence[str]) -> list[etree._Element]:  # noqa: ARG002
        """Nothing is added."""
        return []

    def entries(self, nodes: Sequence[Node], reads: Iterator[Read]) -> Iterator[Read]:
        """The entries of a large list as far as the user may read them."""
        extents = [self._access.scope(node, Right.READ) for node in nodes]
        if Scope.NONE in extents:
            return iter(())
        open_ = all(self._access.unconditional(node, Right.READ) for node in nodes[:-1])
        if open_ and extents[-1] is Scope.ALL:
            return reads
        return _checked(_Entries(self._access, nodes), reads)


def _checked(entries: _Entries, reads: Iterator[Read]) -> Iterator[Read]:
    for plan, entry in reads:
        shown = entries.check(entry)
        if shown is not None:
            yield plan, shown


class _Entries:
    def __init__(self, access: Access, nodes: Sequence[Node]) -> None:
        self._access = access
        self._nodes = nodes
        self._parents: tuple[object, ...] | None = None
        self._trail: list[Instance] = []
        self._extent = Scope.NONE

    def check(self, entry: Entry) -> Entry | None:
        """Give the entry as far as it may be seen."""
        if entry.parents != self._parents:
            self._parents = entry.parents
            self._trail = self._way(entry)
            self._extent = self._measure()
        if self._extent is Scope.PART:
            return self._part(entry)
        return entry if self._extent is Scope.ALL else None

    def _way(self, entry: Entry) -> list[Instance]:
        keys = iter(entry.parents)
        return [
            instance_with(node, next(keys, {}) if node.kind is Kind.LIST else {}) for node in self._nodes[:-1]
        ]

    def _measure(self) -> Scope:
        """How much of the entries of these parents may be read."""
        above = (
            self._access.permits(node, Right.READ, self._trail[: depth + 1])
            for depth, node in enumerate(self._nodes[:-1])
        )
        return (
            self._access.scope_below(self._nodes[-1], Right.READ, self._trail) if all(above) else Scope.NONE
        )

    def _part(self, entry: Entry) -> Entry | None:
        element = etree.fromstring(entry.xml)
        node = self._nodes[-1]
        trail = [*self._trail, instance_of(element)]
        if not self._access.permits(node, Right.READ, trail):
            return None
        copy = etree.Element(element.tag, attrib=attributes(element), nsmap=scope(element))
        _fill(self._access, copy, element, node, trail)
        return Entry(entry.parents, etree.tostring(copy))
