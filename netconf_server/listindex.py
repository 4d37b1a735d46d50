"""Finds list entries and leaf-list values by key, so that an edit of many entries takes one look over each
list, and one of few does not have to know them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias

from lxml import etree

from netconf_server.values import Value, key_tags, value_of
from rui.schema import Node

KeyValues: TypeAlias = tuple[Value, ...]

# So many entries of one list are searched for before it is worth an index.
_SINGLE: Final = 2


class ListIndex:
    """An index per (parent element, list), built when it is worth it; tell it of every entry that was added
    or removed, once it is.
    """

    def __init__(self) -> None:
        self._maps: dict[tuple[etree._Element, str], dict[KeyValues, etree._Element]] = {}
        self._searches: Counter[tuple[etree._Element, str]] = Counter()
        self._last: tuple[etree._Element, str, KeyValues, etree._Element] | None = None

    def find(self, parent: etree._Element, node: Node, key: KeyValues) -> etree._Element | None:
        """The entry (or value) of this list with this key, or None."""
        last = self._last
        if last is not None and last[0] is parent and last[1:3] == (node.tag, key):
            return last[3]
        place = (parent, node.tag)
        if place not in self._maps and self._searches[place] < _SINGLE and has_plain_keys(node):
            self._searches[place] += 1
            found = find_entry(parent, node, key)
            self._last = None if found is None else (parent, node.tag, key, found)
            return found
        return self._map(parent, node).get(key)

    def add(self, parent: etree._Element, node: Node, key: KeyValues, item: etree._Element) -> None:
        """Take note of a new entry or value."""
        self._last = None
        known = self._maps.get((parent, node.tag))
        if known is not None:
            known[key] = item

    def forget(self, parent: etree._Element, node: Node, key: KeyValues) -> None:
        """Take note of a removed entry or value."""
        self._last = None
        known = self._maps.get((parent, node.tag))
        if known is not None:
            known.pop(key, None)

    def forget_list(self, parent: etree._Element, node: Node) -> None:
        """Take note that the whole list or leaf-list is gone."""
        self._last = None
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


def has_plain_keys(node: Node) -> bool:
    """Whether keys are equal exactly when their texts are."""
    leafs = [node.children[tag] for tag in key_tags(node)]
    return bool(leafs) and all(leaf.type is not None and leaf.type.base == "string" for leaf in leafs)


def find_entry(parent: etree._Element, node: Node, key: KeyValues) -> etree._Element | None:
    """The entry with this key, of a list with plain keys."""
    values = {f"key{number}": str(value) for number, value in enumerate(key)}
    found = _expression(node.namespace, node.name, node.keys)(parent, **values)
    first = found[0] if isinstance(found, list) and found else None
    return first if isinstance(first, etree._Element) else None


@lru_cache(maxsize=1024)
def _expression(namespace: str, name: str, keys: tuple[str, ...]) -> etree.XPath:
    tests = "".join(f"[list:{key}=$key{number}]" for number, key in enumerate(keys))
    return etree.XPath(f"list:{name}{tests}", namespaces={"list": namespace})
