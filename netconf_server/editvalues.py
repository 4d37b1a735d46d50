"""Edits that do nothing but give leafs that are there other values, as most edits of programs do.

What does more, or what is wrong, is left to `edit`, which says exactly what is wrong with it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lxml import etree

from netconf_server.difference import Difference, Happened
from netconf_server.listindex import find_entry, has_plain_keys
from netconf_server.place import Place
from netconf_server.values import canonical, key_tags, value_of
from netconf_server.xmltree import value_prefixes
from rui.schema import Kind, Node


def set_values(
    top: Mapping[str, Node], tree: etree._Element, config: etree._Element
) -> list[Difference] | None:
    """Give the leafs of `tree` the values that the edit `config` has for them; return what differs then.

    None, with nothing done, where the edit does anything else or may be refused. Its default operation is
    merge; `top` are the schema's top-level nodes by tag.
    """
    plan = _Plan()
    if not plan.inside(config, tree, top, Place.root(), ()):
        return None
    return [found for leaf in plan.leafs if (found := leaf.set()) is not None]


@dataclass(frozen=True)
class _Leaf:
    """A leaf that is there, what the edit has for it, and the place of its parent."""

    found: etree._Element
    asked: etree._Element
    node: Node
    above: Place

    @property
    def is_settable(self) -> bool:
        """Whether the text says all of the new value, or the value is the same with its prefixes too."""
        prefixes = value_prefixes(self.asked)
        return not prefixes or (self.found.text == self.asked.text and value_prefixes(self.found) == prefixes)

    def set(self) -> Difference | None:
        """Give it the value; return the difference, if it is one."""
        text = canonical(self.asked.text, self.node)
        if (text or "") == (self.found.text or ""):
            return None
        old, before = copy.copy(self.found), value_of(self.found, self.node)
        self.found.text = text
        if value_of(self.found, self.node) == before:
            return None
        return Difference(Happened.CHANGED, self.node, self.above.child(self.node), old, self.found)


@dataclass
class _Plan:
    leafs: list[_Leaf] = field(default_factory=list)

    def inside(
        self,
        source: etree._Element,
        target: etree._Element,
        siblings: Mapping[str, Node],
        place: Place,
        keys: Sequence[str],
    ) -> bool:
        """Find what the children of an edit element mean; say False where it is more than values."""
        if source.text is not None and not source.text.isspace():
            return False
        seen: set[object] = set()
        for child in source:
            node = siblings.get(str(child.tag))
            if node is None or child.attrib or node.choices or not node.config:
                return False
            if node.kind is Kind.LIST:
                if not self._entry(child, target, node, place, seen):
                    return False
                continue
            if node.tag in seen:
                return False
            seen.add(node.tag)
            if len(child) if node.tag in keys else not self._single(child, target, node, place):
                return False
        return True

    def _single(self, child: etree._Element, target: etree._Element, node: Node, place: Place) -> bool:
        found = next(target.iterchildren(node.tag), None)
        if found is None:
            return False
        if node.kind is Kind.CONTAINER:
            return len(child) > 0 and self.inside(child, found, node.children, place.child(node), ())
        leaf = _Leaf(found, child, node, place)
        self.leafs.append(leaf)
        return node.kind is Kind.LEAF and len(child) == 0 and leaf.is_settable

    def _entry(
        self, child: etree._Element, target: etree._Element, node: Node, place: Place, seen: set[object]
    ) -> bool:
        tags = key_tags(node)
        leafs = [leaf for tag in tags if (leaf := next(child.iterchildren(tag), None)) is not None]
        key = tuple(leaf.text or "" for leaf in leafs)
        if len(leafs) < len(tags) or (node.tag, key) in seen or not has_plain_keys(node):
            return False
        seen.add((node.tag, key))
        found = find_entry(target, node, key)
        return found is not None and self.inside(child, found, node.children, place.entry(node, leafs), tags)
