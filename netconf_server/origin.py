"""Where configuration in use comes from (RFC 8342 5.3.4): marks on it, and filters by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from netconf_server.query import Read
from netconf_server.values import DEFAULT, is_marked_default, key_tags
from netconf_server.xmltree import append_copy, attributes, scope
from rui.schema import Kind, Node

NAMESPACE: Final = "urn:ietf:params:xml:ns:yang:ietf-origin"
ORIGIN: Final = f"{{{NAMESPACE}}}origin"
_INTENDED: Final = "intended"
_DEFAULT: Final = "default"


@dataclass(frozen=True)
class OriginFilter:
    """Local names of the origins to show, or with `negated` of those not to."""

    origins: frozenset[str]
    negated: bool = False

    def takes(self, origin: str) -> bool:
        """Say whether configuration of this origin is shown."""
        return (origin in self.origins) is not self.negated


class OriginView:
    """Marks configuration with its origin, and shows only what a filter takes.

    It needs defaults marked as such (report-all-tagged); `keep_marks` says whether the reader wants that too.
    What a provider marks itself stays.
    """

    def __init__(self, wanted: OriginFilter | None, *, show: bool, keep_marks: bool) -> None:
        self._wanted = wanted
        self._show = show
        self._keep_marks = keep_marks

    def tree(self, tree: etree._Element) -> etree._Element:
        """A configuration datastore has no origins."""
        return tree

    def element(self, element: etree._Element, node: Node | None) -> etree._Element | None:
        """An element with its marks; state has none."""
        if node is None or not node.config:
            return element
        prefixes = {**scope(element), "or": NAMESPACE} if self._show else scope(element)
        copy = etree.Element(element.tag, attrib=attributes(element), nsmap=prefixes)
        origin = _of(element) or _INTENDED
        if self._show:
            copy.set(ORIGIN, f"or:{origin}")
        return copy if self._fill(copy, element, node, origin) else None

    def missing(self, _present: Sequence[str]) -> list[etree._Element]:
        """Nothing is shown that is not there."""
        return []

    def entries(self, _nodes: Sequence[Node], reads: Iterator[Read]) -> Iterator[Read]:
        """Large lists are state."""
        return reads

    def _fill(self, copy: etree._Element, element: etree._Element, node: Node, origin: str) -> bool:
        """Copy what the filter takes; say whether the copy is to be shown."""
        shown = self._wanted is None or (self._wanted.takes(origin) and _counts(node))
        if len(element) == 0:
            copy.text = element.text
        keys = key_tags(node)
        for child in element.iterchildren(etree.Element):
            inner = node.children.get(str(child.tag))
            if inner is None or not inner.config or child.tag in keys:
                append_copy(copy, child)
                shown = shown or (inner is not None and not inner.config)
                continue
            own = _of(child)
            part = etree.SubElement(copy, child.tag, attrib=attributes(child), nsmap=scope(child))
            if not self._keep_marks:
                part.attrib.pop(DEFAULT, "")
            if self._show and own is not None:
                part.set(ORIGIN, f"or:{own}")
            if self._fill(part, child, inner, own or origin):
                shown = True
            else:
                copy.remove(part)
        return shown


def _of(element: etree._Element) -> str | None:
    """The origin that an element states itself."""
    stated = element.get(ORIGIN)
    if stated is not None:
        return stated.rpartition(":")[2]
    return _DEFAULT if is_marked_default(element) else None


def _counts(node: Node) -> bool:
    """A container without presence has no origin."""
    return node.kind is not Kind.CONTAINER or bool(node.presence)
