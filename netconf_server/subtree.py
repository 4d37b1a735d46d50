"""Subtree filters of RFC 6241 section 6, compiled once and applied to trees or to single entries.

A filter needs no schema. Where the caller gives the schema node of an element, list entries that are selected
in part keep their keys (section 6.2 allows the server to), so that a client can tell the entries apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

from lxml import etree

from netconf_server.values import key_tags
from netconf_server.xmltree import append_copy, attributes, scope
from rui.netconf import names
from rui.schema import Node

# XML's white space, which is what surrounds a value (section 6.2.5).
_SPACE: Final = " \t\r\n"
_WORDS: Final = re.compile(f"[^{_SPACE}]+")
# Children from which on it pays to ask in C which of them may be selected.
_MANY: Final = 64
_TRANSACTION_IDS: Final = "urn:ietf:params:xml:ns:netconf:txid:1.0"

# What a filter selects of one element: nothing, all of it, or some children (by position) each in part.
Selection: TypeAlias = "bool | dict[int, Selection]"


@dataclass(frozen=True)
class FilterNode:
    """One element of a filter; `namespace` None matches any, `text` is set for a content match node."""

    namespace: str | None
    name: str
    attributes: tuple[tuple[str, str], ...]
    text: str | None
    qualified: tuple[str, str] | None
    content: tuple[FilterNode, ...]
    others: tuple[FilterNode, ...]

    @property
    def is_selection(self) -> bool:
        """An empty element (section 6.2.4): selects the whole of what it names."""
        return self.text is None and not self.content and not self.others

    def names(self, tag: str) -> bool:
        """Say whether this node names elements with this tag; its attributes are not looked at."""
        if self.namespace is None:
            return tag.rpartition("}")[2] == self.name
        return tag == f"{{{self.namespace}}}{self.name}"

    def matches(self, element: etree._Element) -> bool:
        """Say whether name and attribute match expressions (section 6.2.2) hold for this element."""
        return self.names(element.tag) and all(element.get(key) == value for key, value in self.attributes)

    def text_matches(self, element: etree._Element) -> bool:
        """Say whether a content match (section 6.2.5) holds: equal without surrounding white space,
        prefixes resolved.
        """
        value = (element.text or "").strip(_SPACE)
        if self.qualified is not None and ":" in value:
            return _qualified(value, element) == self.qualified
        return value == self.text

    @cached_property
    def _keyed(self) -> tuple[etree.XPath, dict[str, str]] | None:
        """The elements inside another one that this node may select by its content match nodes, asked in C,
        and the expression's variables; None where that cannot be asked. No fewer than it selects.
        """
        plain = [(item, item.namespace) for item in self.content if item.qualified is None]
        namespaces = {f"n{i}": space for i, (_, space) in enumerate(plain) if space is not None}
        if self.namespace is None or not plain or len(namespaces) < len(plain):
            return None
        matches = "".join(
            f"[n{i}:{item.name}[normalize-space(text()) = $v{i}]]" for i, (item, _) in enumerate(plain)
        )
        values = {f"v{i}": " ".join(_WORDS.findall(item.text or "")) for i, (item, _) in enumerate(plain)}
        namespaces["own"] = self.namespace
        return etree.XPath(f"own:{self.name}{matches}", namespaces=namespaces), values

    def may_select(self, parent: etree._Element) -> frozenset[etree._Element] | None:
        """The children that this node may select something of, None for any; of others it selects nothing."""
        if self._keyed is None:
            return None
        found, values = self._keyed
        nodes = found(parent, **values)
        return frozenset(nodes) if isinstance(nodes, list) else None  # type: ignore[arg-type]


@dataclass(frozen=True)
class SubtreeFilter:
    """A compiled <filter type="subtree">; `top` are its top-level nodes, an empty filter selects nothing
    (6.4.2).
    """

    top: FilterNode

    @classmethod
    def compile(cls, element: etree._Element) -> SubtreeFilter:
        """Compile the <filter> element of a request."""
        return cls(_compile(element, is_root=True))

    def at(self, tag: str) -> list[FilterNode]:
        """The filter's top-level nodes that name elements with this tag; empty when nothing of it can be
        selected.
        """
        return [node for node in (*self.top.content, *self.top.others) if node.names(tag)]

    def apply(self, element: etree._Element, schema: Node | None = None) -> etree._Element | None:
        """What the filter selects of one top-level element; see `apply_nodes`."""
        return apply_nodes(self.at(str(element.tag)), element, schema)


def apply_nodes(
    nodes: Iterable[FilterNode], element: etree._Element, schema: Node | None = None
) -> etree._Element | None:
    """What sibling filter nodes together select of an element: the element itself if all of it, a pruned
    copy, or None.
    """
    return pruned(element, select(nodes, element), schema)


def select(nodes: Iterable[FilterNode], element: etree._Element) -> Selection:
    """What sibling filter nodes together select of an element."""
    return _merge(_select(node, element) for node in nodes)


def pruned(
    element: etree._Element, selection: Selection, schema: Node | None = None, depth: int | None = None
) -> etree._Element | None:
    """The element as far as it is selected: itself if all of it, a copy, or None.

    A copy keeps the keys of list entries. `depth` bounds the levels of each selected node: 1 is the node
    without children, None is no bound.
    """
    if selection is False:
        return None
    if selection is True and depth is None:
        return element
    copy = etree.Element(element.tag, attrib=attributes(element), nsmap=scope(element))
    _fill(copy, element, selection, schema, depth)
    return copy


def _compile(element: etree._Element, *, is_root: bool = False) -> FilterNode:
    name = etree.QName(element)
    children = [_compile(child) for child in element.iterchildren(etree.Element)]
    text = (element.text or "").strip(_SPACE) if not children and not is_root else ""
    return FilterNode(
        namespace=name.namespace,
        name=name.localname,
        attributes=() if is_root else _matched(element),
        text=text or None,
        qualified=_qualified(text, element) if ":" in text else None,
        content=tuple(child for child in children if child.text is not None),
        others=tuple(child for child in children if child.text is None),
    )


def _matched(element: etree._Element) -> tuple[tuple[str, str], ...]:
    """The attributes that are compared with the data's; those of transaction ids are said of the data."""
    return tuple(
        (str(key), str(value))
        for key, value in element.attrib.items()
        if names.split(str(key))[0] != _TRANSACTION_IDS
    )


def _qualified(value: str, element: etree._Element) -> tuple[str, str] | None:
    prefix, _, name = value.partition(":")
    namespace = element.nsmap.get(prefix)
    return (namespace, name) if namespace is not None else None


def _select(node: FilterNode, element: etree._Element) -> Selection:
    """What one filter node selects of one element (the rules of section 6.3)."""
    if not node.matches(element):
        return False
    if node.text is not None:
        return node.text_matches(element)
    if node.is_selection:
        return True
    children = list(element.iterchildren(etree.Element))
    chosen: dict[int, Selection] = {}
    for content in node.content:
        hits = [
            i for i, child in enumerate(children) if content.matches(child) and content.text_matches(child)
        ]
        if not hits:
            return False
        chosen.update(dict.fromkeys(hits, True))
    if not node.others:
        return True
    if len(children) > _MANY:
        _select_of_many(node, element, children, chosen)
        return chosen or False
    for i, child in enumerate(children):
        if chosen.get(i) is not True:
            found = _merge(_select(other, child) for other in node.others)
            if found is not False:
                chosen[i] = found
    return chosen or False


def _select_of_many(
    node: FilterNode,
    element: etree._Element,
    children: list[etree._Element],
    chosen: dict[int, Selection],
) -> None:
    """Add to `chosen` what is selected of many children: those that no filter node names, or that have other
    keys, are not looked at one by one.
    """
    named: dict[str, list[tuple[FilterNode, frozenset[etree._Element] | None]]] = {}
    for i, child in enumerate(children):
        tag = str(child.tag)
        if tag not in named:
            named[tag] = [(other, other.may_select(element)) for other in node.others if other.names(tag)]
        fitting = [other for other, possible in named[tag] if possible is None or child in possible]
        if fitting and chosen.get(i) is not True:
            found = _merge(_select(other, child) for other in fitting)
            if found is not False:
                chosen[i] = found


def _merge(selections: Iterable[Selection]) -> Selection:
    """Several filter siblings of one name select what any of them selects."""
    merged: Selection = False
    for selection in selections:
        if selection is True:
            return True
        if selection is False:
            continue
        if merged is False:
            merged = selection
        elif isinstance(merged, dict):
            merged = {
                i: _merge((merged.get(i, False), selection.get(i, False)))
                for i in sorted({*merged, *selection})
            }
    return merged


def _fill(
    copy: etree._Element,
    element: etree._Element,
    selection: bool | dict[int, Selection],
    schema: Node | None,
    depth: int | None,
) -> None:
    """Copy the selected children of an element, and the keys of a list entry."""
    keys = key_tags(schema) if schema is not None else ()
    below = None if depth is None or selection is not True else depth - 1
    if len(element) == 0:
        copy.text = element.text
    for i, child in enumerate(element.iterchildren(etree.Element)):
        chosen = selection if isinstance(selection, bool) else selection.get(i, False)
        if below is not None and below <= 0:
            chosen = False
        if child.tag in keys or (chosen is True and depth is None):
            append_copy(copy, child)
        elif chosen is not False:
            inner = schema.children.get(str(child.tag)) if schema is not None else None
            part = etree.SubElement(copy, child.tag, attrib=attributes(child), nsmap=scope(child))
            _fill(part, child, chosen, inner, depth if below is None else below)
