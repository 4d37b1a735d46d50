"""Copies and text of XML trees that keep the namespace prefixes which values (not only names) use."""

from __future__ import annotations

from typing import cast

from lxml import etree


def detached_copy(element: etree._Element) -> etree._Element:
    """Copy an element without its tail, comments and processing instructions, with every prefix that was in
    scope.

    lxml's own deepcopy drops prefixes declared further up, which `identityref` and instance-identifier
    values need.
    """
    copy = etree.Element(element.tag, attrib=attributes(element), nsmap=scope(element))
    _fill(copy, element)
    return copy


def append_copy(parent: etree._Element, element: etree._Element) -> etree._Element:
    """Append a copy of `element` to `parent` and return it; as `detached_copy`."""
    copy = etree.SubElement(parent, element.tag, attrib=attributes(element), nsmap=scope(element))
    _fill(copy, element)
    return copy


def _fill(copy: etree._Element, element: etree._Element) -> None:
    children = False
    for child in element.iterchildren(etree.Element):
        append_copy(copy, child)
        children = True
    if not children:
        copy.text = element.text


def value_prefixes(element: etree._Element) -> dict[str, str]:
    """The prefixes that the text of a leaf element uses, with their namespaces (empty for most leafs)."""
    text = element.text or ""
    if ":" not in text:
        return {}
    return {
        prefix: uri for prefix, uri in element.nsmap.items() if prefix is not None and f"{prefix}:" in text
    }


def to_bytes(element: etree._Element) -> bytes:
    """The element as UTF-8 bytes without XML declaration and tail."""
    return etree.tostring(element, with_tail=False)


def reparsed(element: etree._Element) -> etree._Element:
    """A copy of a whole element as `detached_copy` makes it, faster for large ones."""
    return etree.fromstring(to_bytes(element), _PARSER)


_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


def scope(element: etree._Element) -> dict[str, str]:
    """The prefixes in scope, typed for lxml's constructors (the default one is None, whatever stubs say)."""
    return cast("dict[str, str]", element.nsmap)


def attributes(element: etree._Element) -> dict[str, str]:
    """The attributes of an element as plain text."""
    return {str(name): str(value) for name, value in element.attrib.items()}
