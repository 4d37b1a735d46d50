"""New list entries of the plainest kind: nothing but leafs, without attributes. Large edits are made of them.

What is not that plain is left to `edit`, which says exactly what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from netconf_server.editleaf import set_leaf
from netconf_server.listindex import ListIndex
from netconf_server.values import canonical, key_tags, value_of
from rui.netconf import names
from rui.schema import Kind, Node


def add_plain(source: etree._Element, target: etree._Element, node: Node, index: ListIndex) -> bool:
    """Add the entry `source` to the list of `target`. Say False, and do nothing, where it is there already
    or is not plain.
    """
    children = list(source)
    key = []
    for tag, child in zip(key_tags(node), children, strict=False):
        if child.tag != tag:
            return False
        key.append(value_of(child, node.children[tag]))
    if len(key) < len(node.keys) or source.attrib or (source.text and not source.text.isspace()):
        return False
    if index.find(target, node, tuple(key)) is not None:
        return False
    # Below an element of its own namespace there is nothing to declare.
    declared = target.tag.startswith(f"{{{node.namespace}}}")
    prefixes = None if declared else names.nsmap(node.namespace)
    fresh = etree.SubElement(target, node.tag, nsmap=prefixes)
    if not _fill(fresh, children, node):
        target.remove(fresh)
        return False
    index.add(target, node, tuple(key), fresh)
    return True


def _fill(fresh: etree._Element, children: Sequence[etree._Element], node: Node) -> bool:
    seen: set[str] = set()
    for child in children:
        tag = child.tag
        inner = node.children.get(tag)
        if inner is None or inner.kind is not Kind.LEAF or not inner.config or inner.choices:
            return False
        if child.attrib or len(child) or tag in seen:
            return False
        seen.add(tag)
        text = child.text
        if inner.namespace != node.namespace or (text and ":" in text):
            set_leaf(fresh, None, child, inner)
        else:
            etree.SubElement(fresh, tag).text = canonical(text, inner)
    return True
