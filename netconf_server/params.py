"""Reading the parameters of NETCONF's own operations (RFC 6241 section 7), once the schema has held the
envelope.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from netconf_server.confirmed import DEFAULT_TIMEOUT, Confirmation
from netconf_server.defaults import MODES
from netconf_server.etag import ETAG
from netconf_server.holders import NMDA
from netconf_server.query import Wanted
from netconf_server.subtree import SubtreeFilter
from netconf_server.xmltree import scope, to_bytes
from netconf_server.xpathfilter import XPathFilter
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.netconf.tags import ErrorType
from rui.schema import Defaults

OPAQUE: Final = frozenset({
    names.base("config"), names.base("filter"), f"{{{NMDA}}}config", f"{{{NMDA}}}subtree-filter",
})  # fmt: skip
"""Parameters that hold data of other modules; the schema is shown the envelope without their content."""


def envelope(operation: etree._Element) -> etree._Element:
    """The operation for the schema: a copy in which `config` and `filter` are empty, itself without these."""
    opaque = any(child.tag in OPAQUE for child in operation.iter(etree.Element))
    if not opaque and ETAG not in operation.attrib:
        return operation
    copy = etree.Element(operation.tag, nsmap=scope(operation))
    for child in operation.iterchildren(etree.Element):
        _copy_envelope(copy, child)
    return copy


def _copy_envelope(parent: etree._Element, source: etree._Element) -> None:
    copy = etree.SubElement(parent, source.tag, nsmap=scope(source))
    if source.tag in OPAQUE:
        return
    copy.attrib.update(source.attrib)
    copy.text = source.text
    for child in source.iterchildren(etree.Element):
        _copy_envelope(copy, child)


def text(operation: etree._Element, name: str) -> str | None:
    """The text of a leaf parameter in the base namespace without white space around it, None if absent."""
    found = operation.findtext(names.base(name))
    return None if found is None else found.strip()


def texts(operation: etree._Element) -> dict[str, str]:
    """The texts of all parameters in the base namespace by name, as `text` gives them one by one."""
    return {
        name: (child.text or "").strip()
        for child in operation.iterchildren(etree.Element)
        for namespace, name in (names.split(str(child.tag)),)
        if namespace == names.BASE
    }


def confirmation(operation: etree._Element) -> Confirmation | None:
    """How a commit waits for its confirmation, None when it is a final one. Raises RpcError."""
    timeout, persist = text(operation, "confirm-timeout"), text(operation, "persist")
    if operation.find(names.base("confirmed")) is not None:
        return Confirmation(DEFAULT_TIMEOUT if timeout is None else float(timeout), persist)
    if timeout is not None or persist is not None:
        message = "confirm-timeout and persist are of a confirmed commit; add <confirmed/> or leave them out"
        raise RpcError.missing_element("confirmed", message)
    return None


def defaults_mode(operation: etree._Element) -> Defaults | None:
    """The mode that `with-defaults` asks for (RFC 6243 4.5.1), None where it is left out."""
    leaf = next(operation.iterchildren("{*}with-defaults"), None)
    return None if leaf is None else MODES[(leaf.text or "").strip()]


def copy_mode(operation: etree._Element, *, tagged: bool) -> Defaults:
    """The mode of a copy; without `tagged`, between datastores, what is tagged as default is not set (RFC
    6243 4.5.3).
    """
    mode = defaults_mode(operation)
    if mode is None or (mode is Defaults.REPORT_ALL_TAGGED and not tagged):
        return Defaults.EXPLICIT
    return mode


def read_filter(operation: etree._Element) -> Wanted:
    """The filter of an operation, None when it has none. Raises RpcError."""
    tag = names.base("filter")
    element = operation.find(tag)
    if element is None:
        return None
    kind = element.get("type") or element.get(names.base("type")) or "subtree"
    if kind == "subtree":
        return SubtreeFilter.compile(element)
    if kind != "xpath":
        message = f"filter type {kind[:40]!r} is unknown; use subtree or xpath"
        raise RpcError.bad_attribute("type", tag, message, error_type=ErrorType.PROTOCOL)
    expression = element.get("select")
    if expression is None:
        raise RpcError.missing_attribute("select", tag, error_type=ErrorType.PROTOCOL)
    try:
        return XPathFilter(expression, prefixes(element))
    except ValueError as error:
        message = f"select is no XPath expression that can be used here: {error}"
        raise RpcError.bad_attribute("select", tag, message, error_type=ErrorType.PROTOCOL) from None


def filter_bytes(operation: etree._Element) -> bytes:
    """The filter of an operation as bytes, with all prefixes in scope; nothing where it has none."""
    element = next(operation.iterchildren(names.base("filter")), None)
    return b"" if element is None else to_bytes(element)


def prefixes(element: etree._Element) -> dict[str, str]:
    """The prefixes that an expression standing in this element may use."""
    return {prefix: uri for prefix, uri in scope(element).items() if prefix}
