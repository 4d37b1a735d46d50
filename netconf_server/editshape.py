"""Whether elements of an edit have the shape of their nodes (RFC 7950 8.3.1): attributes, text, number."""

from __future__ import annotations

from typing import Final

from lxml import etree

from netconf_server.editops import OPERATION
from netconf_server.place import Place
from netconf_server.userorder import unexpected_attribute
from rui.netconf import names
from rui.netconf.errors import ErrorType, RpcError
from rui.schema import Kind, Node

_YANG: Final = "urn:ietf:params:xml:ns:yang:1"
_ORDERING: Final = frozenset(f"{{{_YANG}}}{name}" for name in ("insert", "key", "value"))
_SINGLE: Final = frozenset({Kind.CONTAINER, Kind.LEAF, Kind.ANYDATA, Kind.ANYXML})
_TERMINAL: Final = frozenset({Kind.LEAF, Kind.LEAF_LIST})


def check_attributes(source: etree._Element, node: Node, place: Place) -> None:
    """Refuse attributes that have no meaning on a node; those of other namespaces are passed over as
    annotations. Raises RpcError `unknown-attribute`.
    """
    wrong = unexpected_attribute(source, node)
    for name in source.attrib:
        namespace = names.split(str(name))[0]
        if name != OPERATION and name not in _ORDERING and namespace in (None, names.BASE, _YANG):
            wrong = str(name)
    if wrong is not None:
        error = RpcError.unknown_attribute(wrong, str(source.tag), error_type=ErrorType.PROTOCOL)
        if wrong == names.split(OPERATION)[1]:
            error.message = f"attribute 'operation' needs a prefix that stands for {names.BASE}"
        raise place.child(node).at(error)


def check_single(source: etree._Element, node: Node, seen: set[str], place: Place) -> None:
    """Refuse a second element of a node that can be there once, and elements in a value; `seen` are the tags
    so far. Raises RpcError.
    """
    if node.kind in _SINGLE:
        if source.tag in seen:
            here = place.child(node)
            message = f"{here.text} is given twice; give it once"
            raise here.at(RpcError.bad_element(str(source.tag), message))
        seen.add(str(source.tag))
    if node.kind in _TERMINAL and len(source):
        child = next(source.iterchildren(etree.Element), None)
        if child is not None:
            here = place.child(node)
            message = f"{here.text} holds a value, not elements such as {names.split(str(child.tag))[1]!r}"
            raise here.at(RpcError.unknown_element(str(child.tag), message))


def check_no_text(source: etree._Element, place: Place) -> None:
    """Refuse text between the children of a container or list entry. Raises RpcError `bad-element`."""
    text = source.text
    if text is not None and not text.isspace() and text:
        raise place.at(
            RpcError.bad_element(
                str(source.tag), f"{place.text} holds elements, not text such as {text[:40]!r}"
            )
        )
