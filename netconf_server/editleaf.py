"""Edits of nodes without children of their own: leafs, leaf-list values, anydata and anyxml (RFC 7950 7.6.7,
7.7.9, 7.10.4, 7.11.4).
"""

from __future__ import annotations

from lxml import etree

from netconf_server.editops import OPERATION, REMOVING, Operation
from netconf_server.place import Place
from netconf_server.values import canonical, is_default, is_marked_default
from netconf_server.xmltree import append_copy, value_prefixes
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Kind, Node


def edit_leaf(
    source: etree._Element, target: etree._Element, node: Node, operation: Operation, place: Place
) -> None:
    """Carry out an edit of a leaf, anydata or anyxml; `place` is its own. Raises RpcError."""
    found = target.find(node.tag)
    if is_marked_default(source):
        if not is_default(source, node):
            message = (
                f"{place.text} is marked as default, but {(source.text or '')[:40]!r} is not its default"
            )
            raise place.at(RpcError.invalid_value(message))
        if operation not in REMOVING:
            operation = Operation.REMOVE
    if operation in REMOVING:
        remove(found, operation, place)
    elif operation is Operation.NONE:
        if found is None:
            raise place.missing("use merge to set it")
    elif operation is Operation.CREATE and found is not None:
        raise place.exists()
    elif node.kind is Kind.LEAF:
        set_leaf(target, found, source, node)
    else:
        _set_whole(target, found, source, place)


def remove(found: etree._Element | None, operation: Operation, place: Place) -> None:
    """Take away what is there; `delete` of what is not raises RpcError `data-missing`."""
    parent = None if found is None else found.getparent()
    if found is not None and parent is not None:
        parent.remove(found)
    elif operation is Operation.DELETE:
        raise place.missing("it cannot be deleted; use remove where absence is no fault")


def renewed(target: etree._Element, found: etree._Element | None, node: Node) -> etree._Element:
    """An empty element for the node: in the place of `found`, or as the last child."""
    if found is None:
        return etree.SubElement(target, node.tag, nsmap=names.nsmap(node.namespace))
    fresh = etree.Element(node.tag, nsmap=names.nsmap(node.namespace))
    target.replace(found, fresh)
    return fresh


def set_leaf(
    target: etree._Element, found: etree._Element | None, source: etree._Element, node: Node
) -> etree._Element:
    """Give the leaf `found`, or a new one, the value of `source`; return the element it is now."""
    prefixes = value_prefixes(source)
    if found is not None:
        if not prefixes:
            found.text = canonical(source.text, node)
            return found
        if found.text == source.text and value_prefixes(found) == prefixes:
            return found
        target.remove(found)
    namespace = names.split(str(source.tag))[0] or ""
    leaf = etree.SubElement(target, source.tag, nsmap=names.nsmap(namespace, prefixes))
    leaf.text = canonical(source.text, node)
    return leaf


def _set_whole(
    target: etree._Element, found: etree._Element | None, source: etree._Element, place: Place
) -> None:
    """Set anydata or anyxml, which are replaced as a whole (RFC 7950 7.10.4, 7.11.4).

    Text beside elements is refused: libyang reads nothing of what stands behind it.
    """
    if _is_mixed(source):
        message = f"{place.text} holds text beside elements, which cannot be kept; put it into an element"
        raise place.at(RpcError.bad_element(str(source.tag), message))
    if found is not None:
        target.remove(found)
    append_copy(target, source).attrib.pop(OPERATION, "")


def _is_mixed(element: etree._Element) -> bool:
    return any(
        _says(child.tail) or (child is holder[0] and _says(holder.text))
        for holder in element.iter(etree.Element)
        for child in holder
    )


def _says(text: str | None) -> bool:
    return text is not None and bool(text.strip())
