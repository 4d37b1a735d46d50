"""From a subtree filter to the keys that a large list is asked for, and to what is still to be checked
afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from lxml import etree

from netconf_server.providers import Keys
from netconf_server.subtree import FilterNode
from rui.schema import Kind, Node

Filters: TypeAlias = "list[FilterNode] | None"
"""The sibling filter nodes that name one element; None selects all of it, an empty list nothing."""


def surviving(filters: Filters, element: etree._Element | None) -> Filters:
    """Those filter nodes whose attributes and content matches hold for this element (None: an element with
    nothing in it).
    """
    if filters is None:
        return None
    return [node for node in filters if _holds(node, element)]


def below(filters: Filters, tag: str) -> Filters:
    """What surviving filter nodes say of a child with this tag that is no content match."""
    if filters is None or any(not node.others for node in filters):
        return None
    return [other for node in filters for other in node.others if other.names(tag)]


def key_plans(
    nodes: Sequence[Node], filters: Filters, *, outer_given: bool = False, inside_list: bool = False
) -> list[Keys]:
    """The reads to make of a list provider: key predicates for the lists of `nodes`, the path to its list.

    Where every filter node pins all keys of a list there is one read for each distinct entry, else one read
    with the keys that they all pin. Different plans never give one entry twice. No plan: nothing is read.
    But entries of an outer list are known by those inside them unless they are `outer_given`, so once such an
    outer entry is selected (`inside_list`) its inner ones are read even if none of them is shown.
    """
    if filters is not None and not filters:
        return [{}] if inside_list and not outer_given else []
    node, rest = nodes[0], nodes[1:]
    if node.kind is not Kind.LIST:
        return key_plans(rest, below(filters, rest[0].tag), outer_given=outer_given, inside_list=inside_list)
    plans: list[Keys] = []
    for keys, group in _combinations(node, filters):
        inner: list[Keys] = [{}]
        if rest:
            inner = key_plans(rest, below(group, rest[0].tag), outer_given=outer_given, inside_list=True)
        plans += [{node.name: keys, **plan} if keys else plan for plan in inner]
    return plans


def covers(plan: Keys, node: Node, filter_node: FilterNode) -> bool:
    """Say whether every entry of this list read by `plan` is selected whole by the filter node."""
    pinned = plan.get(node.name, {})
    return (
        not filter_node.others
        and not filter_node.attributes
        and all(
            content.text is not None and pinned.get(content.name) == content.text and _is_key(content, node)
            for content in filter_node.content
        )
    )


def _combinations(node: Node, filters: Filters) -> list[tuple[dict[str, str], Filters]]:
    if filters is None:
        return [({}, None)]
    pins = [_pins(filter_node, node) for filter_node in filters]
    if all(len(pin) == len(node.keys) for pin in pins):
        groups: dict[tuple[tuple[str, str], ...], list[FilterNode]] = {}
        for pin, filter_node in zip(pins, filters, strict=True):
            groups.setdefault(tuple(pin.items()), []).append(filter_node)
        return [(dict(pin), group) for pin, group in groups.items()]
    common = {key: value for key, value in pins[0].items() if all(pin.get(key) == value for pin in pins)}
    return [(common, filters)]


def _pins(filter_node: FilterNode, node: Node) -> dict[str, str]:
    """The keys that content matches pin, in the order of the key statement."""
    found = {c.name: c.text for c in filter_node.content if _is_key(c, node) and c.text is not None}
    return {key: found[key] for key in node.keys if key in found}


def _is_key(content: FilterNode, node: Node) -> bool:
    return content.name in node.keys and content.namespace in (None, node.namespace)


def _holds(node: FilterNode, element: etree._Element | None) -> bool:
    if element is None:
        return not node.content and not node.attributes
    if not node.matches(element):
        return False
    children = list(element.iterchildren(etree.Element))
    return all(
        any(content.matches(child) and content.text_matches(child) for child in children)
        for content in node.content
    )
