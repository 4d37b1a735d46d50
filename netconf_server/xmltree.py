"""Copies and text of XML trees that keep the namespace prefixes which values (not only names) use.

lxml drops a prefix when an element is copied without the ancestor that declares it, and also when an element
is appended below one that declares the same namespace by another prefix. Values of identityref and
instance-identifier need their prefixes, so elements are rebuilt in place by SubElement, which keeps them.
"""

from __future__ import annotations

from typing import cast

from lxml import etree


def append_copy(parent: etree._Element, element: etree._Element) -> etree._Element:
    """Append a copy of `element`, without tail, comments and processing instructions, and return it."""
    copy = etree.SubElement(parent, element.tag, attrib=attributes(element), nsmap=scope(element))
    _fill(copy, element)
    return copy


def _fill(copy: etree._Element, element: etree._Element) -> None:
    for child in element.iterchildren(etree.Element):
        append_copy(copy, child)
    if len(copy) == 0:
        copy.text = element.text


def refill(fresh: etree._Element, element: etree._Element) -> None:
    """Give an empty element that stands in its place already the content of another one."""
    _fill(fresh, element)
    for prefix, namespace in value_prefixes(element).items():
        if fresh.nsmap.get(prefix) != namespace:
            known = next(name for name, uri in fresh.nsmap.items() if uri == namespace)
            fresh.text = (fresh.text or "").replace(f"{prefix}:", f"{known}:" if known else "")


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
    """A copy of an element that stands alone, with every prefix that was in scope."""
    return parsed(to_bytes(element))


def parsed(data: bytes) -> etree._Element:
    """The element of bytes that were made here."""
    return etree.fromstring(data, _PARSER)


_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


def scope(element: etree._Element) -> dict[str, str]:
    """The prefixes in scope, typed for lxml's constructors (the default one is None, whatever stubs say)."""
    return cast("dict[str, str]", element.nsmap)


def attributes(element: etree._Element) -> dict[str, str]:
    """The attributes of an element as plain text."""
    return {str(name): str(value) for name, value in element.attrib.items()}
