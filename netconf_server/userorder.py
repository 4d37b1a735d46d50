"""The insert attribute of user-ordered lists and leaf-lists (RFC 7950 7.7.9 and 7.8.6)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from netconf_server.listindex import KeyValues, ListIndex, item_key
from netconf_server.place import Place
from netconf_server.values import key_tags, value_of_text
from netconf_server.xmltree import refill, scope
from rui.netconf.errors import ErrorType, RpcError
from rui.schema import Node

YANG: Final = "urn:ietf:params:xml:ns:yang:1"
INSERT: Final = f"{{{YANG}}}insert"
KEY: Final = f"{{{YANG}}}key"
VALUE: Final = f"{{{YANG}}}value"

_PREDICATE = re.compile(r"""\s*\[\s*(?:([\w.-]+):)?([\w.-]+)\s*=\s*(?:'([^']*)'|"([^"]*)")\s*\]\s*""")


@dataclass(frozen=True)
class Position:
    """Where an entry goes: `where` is first, last, before or after; `anchor` the key of its neighbour for
    the latter two.
    """

    where: str
    anchor: KeyValues | None = None


def unexpected_attribute(source: etree._Element, node: Node) -> str | None:
    """The first attribute that has no meaning on an element of this node (RFC 7950 8.3.1), or None."""
    if not source.attrib:
        return None
    if node.ordered_by_user:
        wrong = VALUE if node.kind == "list" else KEY
        return wrong if wrong in source.attrib else None
    return next((name for name in (INSERT, KEY, VALUE) if name in source.attrib), None)


def read_position(source: etree._Element, node: Node) -> Position | None:
    """Read the insert, key and value attributes; None when there is no insert. Raises RpcError."""
    where = source.get(INSERT)
    if where is None:
        return None
    if where in ("first", "last"):
        return Position(where)
    tag = str(source.tag)
    if where not in ("before", "after"):
        message = f"insert is {where!r}; give first, last, before or after"
        raise RpcError.bad_attribute(INSERT, tag, message, error_type=ErrorType.PROTOCOL)
    attribute = KEY if node.kind == "list" else VALUE
    text = source.get(attribute)
    if text is None:
        raise RpcError.missing_attribute(attribute, tag, error_type=ErrorType.PROTOCOL)
    if node.kind == "list":
        return Position(where, _read_key(text, source, node))
    return Position(where, (value_of_text(text, source.nsmap, node),))


def _read_key(text: str, source: etree._Element, node: Node) -> KeyValues:
    """Read key predicates such as `[ex:name='a'][ex:unit='1']`, prefixes as declared on the element."""
    found: dict[str, str] = {}
    end = 0
    while match := _PREDICATE.match(text, end):
        namespace = source.nsmap.get(match[1]) if match[1] else node.namespace
        found[f"{{{namespace}}}{match[2]}"] = match[3] if match[3] is not None else match[4]
        end = match.end()
    if end != len(text) or set(found) != set(key_tags(node)):
        message = (
            f"key {text!r} does not name each key of {node.name!r} once, as in [p:{node.keys[0]}='value']"
        )
        raise RpcError.bad_attribute(KEY, str(source.tag), message, error_type=ErrorType.PROTOCOL)
    return tuple(value_of_text(found[tag], source.nsmap, node.children[tag]) for tag in key_tags(node))


def move(
    index: ListIndex, node: Node, item: etree._Element, position: Position, place: Place
) -> etree._Element:
    """Put an entry or value of a list where `position` says; return the element it is now.

    Raises RpcError `bad-attribute` with app-tag `missing-instance` when the neighbour does not exist.
    """
    target = item.getparent()
    anchor = None if target is None else _anchor(index, target, node, position)
    if anchor is None or target is None:
        raise _no_anchor(item, node, place)
    if anchor is item:
        return item
    fresh = etree.Element(item.tag, nsmap=scope(item))
    if position.where in ("first", "before"):
        anchor.addprevious(fresh)
    else:
        anchor.addnext(fresh)
    refill(fresh, item)
    target.remove(item)
    index.add(target, node, item_key(fresh, node), fresh)
    return fresh


def _anchor(
    index: ListIndex, target: etree._Element, node: Node, position: Position
) -> etree._Element | None:
    if position.anchor is not None:
        return index.find(target, node, position.anchor)
    return next(target.iterchildren(node.tag, reversed=position.where == "last"), None)


def _no_anchor(item: etree._Element, node: Node, place: Place) -> RpcError:
    attribute = KEY if node.kind == "list" else VALUE
    message = f"{place.text}: the entry to insert it beside does not exist; create that one first"
    error = RpcError.bad_attribute(attribute, str(item.tag), message, error_type=ErrorType.APPLICATION)
    error.app_tag = "missing-instance"
    return place.at(error)
