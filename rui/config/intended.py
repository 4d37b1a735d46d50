"""What a device's configuration should be, as far as somebody says so, against what it is.

An intended configuration names nodes. Of leafs and containers outside lists it says what it names, and no
more. An entry of a list that it names is its own whole: whatever else the device has in that entry is a
difference too. So routers agree where they must, and keep to themselves what nobody speaks of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lxml import etree

from rui.config.diff import Difference, differences, keys_of
from rui.config.patch import patch
from rui.netconf import names
from rui.schema import Kind, Node

Level = Mapping[str, Node]


@dataclass(frozen=True)
class Plan:
    """What would have to change on one device: nothing where `edit` (a `config` element) is None."""

    differences: tuple[Difference, ...]
    edit: etree._Element | None


def plan(running: etree._Element, intended: etree._Element, top: Level) -> Plan:
    """Compare a device's running configuration with the intended one; both are `config` or `data`."""
    found = tuple(differences(covered(running, intended, top), intended, top, defaults=True))
    return Plan(found, patch(found))


def overlay(parts: Iterable[etree._Element], top: Level) -> etree._Element:
    """Join configurations, the later one winning: what all members share, then what is one member's own."""
    joined = etree.Element(names.base("config"), nsmap=names.nsmap(names.BASE))
    for part in parts:
        _join(joined, part, top)
    return joined


def _join(target: etree._Element, part: etree._Element, level: Level) -> None:
    for child in part.iterchildren(etree.Element):
        node = level.get(str(child.tag))
        same = _same(target, child, node)
        if same is None:
            _copy(target, child)
        elif node is not None and node.kind in (Kind.CONTAINER, Kind.LIST):
            _join(same, child, node.children)
        elif node is None or node.kind is not Kind.LEAF_LIST:
            target.replace(same, _copy(target, child))


def covered(running: etree._Element, intended: etree._Element, level: Level) -> etree._Element:
    """The part of `running` that `intended` speaks of."""
    part = etree.Element(intended.tag, nsmap=names.nsmap(names.split(str(intended.tag))[0] or ""))
    for child in intended.iterchildren(etree.Element):
        node = level.get(str(child.tag))
        found = _same(running, child, node)
        if found is None:
            continue
        if node is not None and node.kind is Kind.CONTAINER:
            part.append(covered(found, child, node.children))
        else:
            _copy(part, found)
    return part


def _same(parent: etree._Element, child: etree._Element, node: Node | None) -> etree._Element | None:
    """The child of `parent` that is the same instance as `child`."""
    wanted = keys_of(child, node)
    return next((item for item in parent.iterchildren(child.tag) if keys_of(item, node) == wanted), None)


def _copy(parent: etree._Element, element: etree._Element) -> etree._Element:
    """Append a copy that stands alone."""
    copy = etree.fromstring(etree.tostring(element, with_tail=False))
    parent.append(copy)
    return copy
