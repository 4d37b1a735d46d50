"""What is different between two configuration trees: which nodes were created, deleted, changed and moved.

Only the topmost node of what came or went is named. Equal parts are told by their bytes, so that a large tree
with a small change is mostly passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice, takewhile
from typing import Final, TypeAlias

from lxml import etree

from netconf_server.listindex import item_key
from netconf_server.place import Place
from netconf_server.values import key_tags, value_of
from netconf_server.xmltree import to_bytes
from rui.schema import Kind, Node

Elements: TypeAlias = Sequence[etree._Element]

_MANY: Final = 64
_SEVERAL: Final = 4


class Happened(StrEnum):
    """What became of a node; a moved one stands elsewhere in a list that users order."""

    CREATED = "created"
    DELETED = "deleted"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True)
class Difference:
    """One difference; `old` is None for what was created, `new` for what was deleted.

    `implied` says that a node went because another case of its choice came (RFC 7950 7.9).
    """

    happened: Happened
    node: Node
    place: Place
    old: etree._Element | None
    new: etree._Element | None
    implied: bool = False


def differences(old: etree._Element, new: etree._Element, top: Mapping[str, Node]) -> Iterator[Difference]:
    """Compare two trees whose children are top-level nodes; `top` are the schema's by tag."""
    return between(old, new, top, Place.root())


def differences_inside(
    old: etree._Element, new: etree._Element, node: Node, place: Place
) -> Iterator[Difference]:
    """Compare two instances of a container or list entry that stands at a place."""
    return between(old, new, node.children, place)


def between(
    old: etree._Element, new: etree._Element, siblings: Mapping[str, Node], place: Place
) -> Iterator[Difference]:
    """Compare the children of two elements at a place; `siblings` are the schema's nodes that they may be."""
    before, after = _by_tag(old), _by_tag(new)
    came = [siblings[tag] for tag in after if tag not in before and tag in siblings]
    for tag in dict.fromkeys((*before, *after)):
        node = siblings.get(tag)
        if node is None:
            continue
        implied = tag not in after and any(node.excludes(other) for other in came)
        for found in of_node(before.get(tag, []), after.get(tag, []), node, place):
            yield replace(found, implied=True) if implied else found


def _by_tag(parent: etree._Element) -> dict[str, list[etree._Element]]:
    found: dict[str, list[etree._Element]] = {}
    for child in parent:
        tag = child.tag
        if tag in found:
            found[tag].append(child)
        elif isinstance(tag, str):
            found[tag] = [child]
    return found


def of_node(old: Elements, new: Elements, node: Node, place: Place) -> Iterator[Difference]:
    """Compare the elements of one node below the same parent, which stands at a place."""
    if node.kind in (Kind.LIST, Kind.LEAF_LIST):
        yield from _items(*_without_common_ends(old, new), node, place)
        return
    one, other = next(iter(old), None), next(iter(new), None)
    if one is None or other is None:
        yield from _alone(one, other, node, place.child(node))
    elif node.kind is Kind.LEAF:
        # Equal texts with a prefix may be two values.
        same = one.text == other.text and ":" not in (one.text or "")
        if not same and value_of(one, node) != value_of(other, node):
            yield Difference(Happened.CHANGED, node, place.child(node), one, other)
    elif node.kind is not Kind.CONTAINER:
        if to_bytes(one) != to_bytes(other):
            yield Difference(Happened.CHANGED, node, place.child(node), one, other)
    # The parts of a wide container are compared by their bytes in any case.
    elif max(len(one), len(other)) >= _MANY or to_bytes(one) != to_bytes(other):
        yield from between(one, other, node.children, place.child(node))


def _without_common_ends(old: Elements, new: Elements) -> tuple[Elements, Elements]:
    """Leave out what is equal at the beginning and at the end of both."""
    before, after = _texts(old), _texts(new)
    start = sum(1 for _ in takewhile(_are_equal, zip(before, after, strict=False)))
    limit = min(len(old), len(new)) - start
    pairs = zip(reversed(before), reversed(after), strict=False)
    end = sum(1 for _ in takewhile(_are_equal, islice(pairs, limit)))
    return old[start : len(old) - end], new[start : len(new) - end]


def _are_equal(pair: tuple[bytes, bytes]) -> bool:
    return pair[0] == pair[1]


def _texts(items: Elements) -> Sequence[bytes]:
    """A text of each sibling such that equal texts are equal elements.

    Where there are several, all are written at once and cut apart at their end tags, up to ten times as fast.
    """
    parent = items[0].getparent() if len(items) >= _SEVERAL else None
    if parent is not None:
        first = items[0]
        name = etree.QName(first).localname
        end = f"</{first.prefix}:{name}>" if first.prefix else f"</{name}>"
        texts = to_bytes(parent).split(end.encode())
        # Entries that hold an element of their own name, or are empty, do not come out as one piece each.
        if len(texts) == len(items) + 1:
            # What stands before the first one is no part of it, but the prefixes that it declares are.
            texts[0] = repr(parent.nsmap).encode() + texts[0].partition(f"<{end[2:-1]}".encode())[2]
            return texts[:-1]
    return [to_bytes(item) for item in items]


def _alone(
    old: etree._Element | None, new: etree._Element | None, node: Node, place: Place
) -> Iterator[Difference]:
    """What only one side has; a container without presence says nothing by itself, but what is in it does."""
    if old is None and new is None:
        return
    if node.kind is Kind.CONTAINER and not node.presence:
        empty = etree.Element(node.tag)
        yield from between(empty if old is None else old, empty if new is None else new, node.children, place)
        return
    yield Difference(Happened.CREATED if old is None else Happened.DELETED, node, place, old, new)


def _items(old: Elements, new: Elements, node: Node, place: Place) -> Iterator[Difference]:
    if not old or not new:
        for item in old:
            yield Difference(Happened.DELETED, node, place_of(place, node, item), item, None)
        for item in new:
            yield Difference(Happened.CREATED, node, place_of(place, node, item), None, item)
        return
    before = {item_key(item, node): item for item in old}
    after = {item_key(item, node): item for item in new}
    for key, item in before.items():
        if key not in after:
            yield Difference(Happened.DELETED, node, place_of(place, node, item), item, None)
    for key, item in after.items():
        if key not in before:
            yield Difference(Happened.CREATED, node, place_of(place, node, item), None, item)
    stayed = [key for key in after if key in before]
    order = [key for key in before if key in after] if node.ordered_by_user else stayed
    for key, earlier in zip(stayed, order, strict=True):
        one, other = before[key], after[key]
        if key != earlier:
            yield Difference(Happened.MOVED, node, place_of(place, node, other), one, other)
        if node.kind is Kind.LIST and to_bytes(one) != to_bytes(other):
            yield from between(one, other, node.children, place_of(place, node, other))


def place_of(above: Place, node: Node, item: etree._Element) -> Place:
    """The place of an element below this one; a key that is missing is left out."""
    if node.kind is Kind.LEAF_LIST:
        return above.value(node, item)
    if node.kind is not Kind.LIST:
        return above.child(node)
    leafs = (item.find(tag) for tag in key_tags(node))
    return above.entry(node, [leaf for leaf in leafs if leaf is not None])
