"""What an edit has changed: looks only where the edit speaks, so that a small edit of much costs little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lxml import etree

from netconf_server.difference import Difference, Happened, between, of_node, place_of
from netconf_server.editops import OPERATION, Operation
from netconf_server.listindex import find_entry, has_plain_keys
from netconf_server.place import Place
from netconf_server.values import key_tags
from netconf_server.xmltree import to_bytes
from rui.schema import Kind, Node

# So many entries of one list are looked for; of more the whole list is compared, which is quicker then.
_FEW: Final = 2


def edit_differences(
    old: etree._Element, new: etree._Element, edit: etree._Element, top: Mapping[str, Node]
) -> Iterator[Difference]:
    """What differs between two trees of which `new` came of `old` by an edit, and by nothing else.

    `edit` is its `config`, with the default operation merge or none; `top` are the schema's nodes by tag.
    """
    return _inside(edit, old, new, top, Place.root())


def _inside(
    edit: etree._Element,
    old: etree._Element,
    new: etree._Element,
    siblings: Mapping[str, Node],
    place: Place,
    *,
    same: Sequence[str] = (),
) -> Iterator[Difference]:
    """What differs inside of two elements but for the children with the tags in `same`."""
    asked: dict[str, list[etree._Element]] = {}
    for child in edit.iterchildren(etree.Element):
        tag = str(child.tag)
        if tag in siblings and tag not in same:
            asked.setdefault(tag, []).append(child)
    # What one case of a choice brings takes others away, of which the edit does not speak (RFC 7950 7.9).
    if any(siblings[tag].choices for tag in asked):
        yield from between(old, new, siblings, place)
        return
    for tag, items in asked.items():
        yield from _named(items, old, new, siblings[tag], place)


def _named(
    items: list[etree._Element], old: etree._Element, new: etree._Element, node: Node, place: Place
) -> Iterator[Difference]:
    """What the edit has changed of one node below these two."""
    if node.kind is Kind.CONTAINER:
        one, other = old.find(node.tag), new.find(node.tag)
        if one is not None and other is not None and _merges(items[0]):
            yield from _inside(items[0], one, other, node.children, place.child(node))
            return
    elif node.kind is Kind.LIST and len(items) <= _FEW and not node.ordered_by_user and has_plain_keys(node):
        entries = {_key(item, node): item for item in items}
        for key, item in entries.items():
            pair = find_entry(old, node, key), find_entry(new, node, key)
            yield from _entry(item, *pair, node, place_of(place, node, item))
        return
    yield from of_node(list(old.iterchildren(node.tag)), list(new.iterchildren(node.tag)), node, place)


def _entry(
    item: etree._Element,
    one: etree._Element | None,
    other: etree._Element | None,
    node: Node,
    place: Place,
) -> Iterator[Difference]:
    if one is None and other is None:
        return
    if one is None or other is None:
        yield Difference(Happened.CREATED if one is None else Happened.DELETED, node, place, one, other)
    elif _merges(item):
        yield from _inside(item, one, other, node.children, place, same=key_tags(node))
    elif to_bytes(one) != to_bytes(other):
        yield from between(one, other, node.children, place)


def _merges(item: etree._Element) -> bool:
    """Whether what the edit leaves out of this node stays as it is."""
    return item.get(OPERATION) in (None, Operation.MERGE)


def _key(item: etree._Element, node: Node) -> tuple[str, ...]:
    return tuple(item.findtext(tag) or "" for tag in key_tags(node))
