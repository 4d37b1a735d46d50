"""The edit-config that turns one configuration into another, touching only what differs (RFC 6241 7.2)."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from rui.config.diff import Crumb, Difference
from rui.netconf import names
from rui.schema import Kind

_OPERATION = names.base("operation")


def patch(differences: Iterable[Difference]) -> etree._Element | None:
    """Return the `config` element that makes the new out of the old; None where nothing differs.

    A list whose entries only stand in another order is replaced whole.
    """
    config = etree.Element(names.base("config"), nsmap=names.nsmap(names.BASE, {"nc": names.BASE}))
    for difference in differences:
        parent = _reach(config, difference.path[:-1])
        if difference.new is not None:
            copy = _copy(parent, difference.new)
            if difference.old is not None or difference.path[-1].node is None:
                copy.set(_OPERATION, "replace")
        elif difference.old is not None:
            _step(parent, difference.path[-1]).set(_OPERATION, "remove")
    return config if len(config) else None


def _reach(config: etree._Element, path: Iterable[Crumb]) -> etree._Element:
    """Find or make the elements of a path."""
    element = config
    for crumb in path:
        found = next((child for child in element if _is(child, crumb)), None)
        element = found if found is not None else _step(element, crumb)
    return element


def _is(element: etree._Element, crumb: Crumb) -> bool:
    if element.tag != crumb.tag or element.get(_OPERATION) is not None:
        return False
    node = crumb.node
    if node is None or node.kind is not Kind.LIST:
        return True
    texts = tuple(element.findtext(f"{{{node.namespace}}}{key}") or "" for key in node.keys)
    return texts == crumb.keys


def _step(parent: etree._Element, crumb: Crumb) -> etree._Element:
    """Make one element with its keys, or with its value if it is one of a leaf-list."""
    namespace = names.split(crumb.tag)[0] or ""
    element = etree.SubElement(parent, crumb.tag, nsmap=names.nsmap(namespace))
    node = crumb.node
    if node is not None and node.kind is Kind.LIST:
        for name, value in zip(node.keys, crumb.keys, strict=True):
            etree.SubElement(element, f"{{{node.namespace}}}{name}").text = value
    elif crumb.keys:
        element.text = crumb.keys[0]
    return element


def _copy(parent: etree._Element, element: etree._Element) -> etree._Element:
    """Append a copy that keeps the prefixes which values use."""
    nsmap = {prefix: uri for prefix, uri in element.nsmap.items() if uri != names.BASE or prefix}
    copy = etree.SubElement(parent, element.tag, nsmap=nsmap)  # type: ignore[arg-type]
    copy.text = element.text if len(element) == 0 else None
    for child in element.iterchildren(etree.Element):
        _copy(copy, child)
    return copy
