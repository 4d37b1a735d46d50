"""Configuration apart from state (the config-filter of RFC 8526 3.1.1.1): as a function and as a view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lxml import etree

from netconf_server.persist import empty_config
from netconf_server.query import Read
from netconf_server.values import key_tags
from netconf_server.xmltree import append_copy, attributes, scope
from rui.schema import OPERATIONS, Kind, Node


def only(element: etree._Element, node: Node, *, config: bool) -> etree._Element | None:
    """The element with only its configuration or only its state: itself where that is all of it, else a
    copy, None where nothing is left.

    Configuration that leads to state stays, with the keys of its list entries.
    """
    if _wholly(node, config):
        return element
    if not node.config:
        return None if config else element
    copy = etree.Element(element.tag, attrib=attributes(element), nsmap=scope(element))
    kept = _fill(copy, element, node, config=config)
    return copy if kept or config else None


def _wholly(node: Node, config: bool) -> bool:
    """Whether only configuration, or only state, can be in a node; operations are never in data."""
    return node.config is config and all(
        _wholly(child, config) for child in node.children.values() if child.kind not in OPERATIONS
    )


def _fill(copy: etree._Element, element: etree._Element, node: Node, *, config: bool) -> bool:
    """Copy what belongs; say whether there was anything but keys and empty containers."""
    keys = key_tags(node)
    kept = False
    if len(element) == 0:
        copy.text = element.text
    for child in element.iterchildren(etree.Element):
        inner = node.children.get(str(child.tag))
        if inner is None or child.tag in keys:
            append_copy(copy, child)
        elif inner.config is not config and (config or inner.kind not in (Kind.CONTAINER, Kind.LIST)):
            continue
        elif not inner.config or inner.kind not in (Kind.CONTAINER, Kind.LIST):
            append_copy(copy, child)
            kept = True
        else:
            part = etree.SubElement(copy, child.tag, attrib=attributes(child), nsmap=scope(child))
            if _fill(part, child, inner, config=config) or config:
                kept = True
            else:
                copy.remove(part)
    return kept


class ConfigView:
    """Shows only configuration, or only state."""

    def __init__(self, *, config: bool) -> None:
        self._config = config

    def tree(self, tree: etree._Element) -> etree._Element:
        """A configuration datastore is all configuration."""
        return tree if self._config else empty_config()

    def element(self, element: etree._Element, node: Node | None) -> etree._Element | None:
        """The wanted half of an element; what no module defines is state."""
        if node is None:
            return None if self._config else element
        return only(element, node, config=self._config)

    def missing(self, _present: Sequence[str]) -> list[etree._Element]:
        """Nothing is shown that is not there."""
        return []

    def entries(self, _nodes: Sequence[Node], reads: Iterator[Read]) -> Iterator[Read]:
        """Large lists are state."""
        return iter(()) if self._config else reads
