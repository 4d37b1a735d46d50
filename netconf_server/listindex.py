"""Finds list entries and leaf-list values by key, so that an edit of many entries takes one look over each
list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from lxml import etree

from netconf_server.values import Value, key_tags, value_of
from rui.schema import Node

KeyValues: TypeAlias = tuple[Value, ...]


class ListIndex:
    """An index per (parent element, list), built when first asked for; tell it of every entry added or
    removed.
    """

    def __init__(self) -> None:
        self._maps: dict[tuple[etree._Element, str], dict[KeyValues, etree._Element]] = {}

    def find(self, parent: etree._Element, node: Node, key: KeyValues) -> etree._Element | None:
        """The entry (or value) of this list with this key, or None."""
        return self._map(parent, node).get(key)

    def add(self, parent: etree._Element, node: Node, key: KeyValues, item: etree._Element) -> None:
        """Take note of a new entry or value."""
        self._map(parent, node)[key] = item

    def forget(self, parent: etree._Element, node: Node, key: KeyValues) -> None:
        """Take note of a removed entry or value."""
        self._map(parent, node).pop(key, None)

    def forget_list(self, parent: etree._Element, node: Node) -> None:
        """Take note that the whole list or leaf-list is gone."""
        self._maps.pop((parent, node.tag), None)

    def _map(self, parent: etree._Element, node: Node) -> dict[KeyValues, etree._Element]:
        # The element itself is in the key, which keeps lxml's proxy of it, and so its identity, alive.
        found = self._maps.get((parent, node.tag))
        if found is None:
            found = {item_key(item, node): item for item in parent.iterchildren(node.tag)}
            self._maps[(parent, node.tag)] = found
        return found


def item_key(item: etree._Element, node: Node) -> KeyValues:
    """The key of a list entry in a valid tree, or the value of a leaf-list item as a key of one."""
    if node.kind == "leaf-list":
        return (value_of(item, node),)
    leafs = (item.find(tag) for tag in key_tags(node))
    return key_of([leaf for leaf in leafs if leaf is not None], node)


def key_of(leafs: Iterable[etree._Element], node: Node) -> KeyValues:
    """The key made of these key leafs, in the order of the list's key statement."""
    return tuple(value_of(leaf, node.children[str(leaf.tag)]) for leaf in leafs)
