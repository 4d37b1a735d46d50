"""Whether a notification goes to a subscriber (RFC 8341 3.4.6), told from its first tag."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from lxml import etree

from netconf_server.nacmaccess import Access
from netconf_server.nacmpath import Instance, instance_of
from netconf_server.nacmrules import Right
from rui.schema import Kind, Node, Schema

Content: TypeAlias = "bytes | Sequence[bytes] | etree._Element"

_START = re.compile(rb"\s*<(?:([\w.-]+):)?([\w.-]+)((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
_NAMESPACE = re.compile(rb"\sxmlns(?::([\w.-]+))?\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
# A start tag longer than this is read with the whole notification.
_LOOK = 1024


class Hearing:
    """Knows the notifications of a schema."""

    def __init__(self, schema: Schema) -> None:
        self._tops = schema.tree.notifications
        self._data = schema.tree.data

    def permits(self, access: Access, content: Content) -> bool:
        """Say whether a user may receive this notification."""
        if access.unlimited:
            return True
        tag = _root_tag(content)
        node = self._tops.get(tag)
        if node is not None:
            return access.may_hear(node)
        top = self._data.get(tag)
        return access.reads_unknown() if top is None else _inside(access, _element(content), top, [])


def _inside(access: Access, element: etree._Element, node: Node, trail: list[Instance]) -> bool:
    """A notification inside data is received by who may read it and all that it stands in."""
    trail.append(instance_of(element))
    if not access.permits(node, Right.READ, trail):
        return False
    for child in element.iterchildren(etree.Element):
        inner = node.children.get(str(child.tag))
        if inner is None:
            continue
        if inner.kind is Kind.NOTIFICATION:
            return access.permits(inner, Right.READ, [*trail, instance_of(child)])
        if inner.kind in (Kind.CONTAINER, Kind.LIST):
            return _inside(access, child, inner, trail)
    return False


def _root_tag(content: Content) -> str:
    if isinstance(content, etree._Element):
        return str(content.tag)
    match = _START.match(_start(content))
    if match is None:
        return str(_element(content).tag)
    for prefix, double, single in _NAMESPACE.findall(match[3]):
        if prefix == (match[1] or b""):
            return f"{{{(double or single).decode()}}}{match[2].decode()}"
    return match[2].decode()


def _start(content: bytes | Sequence[bytes]) -> bytes:
    if isinstance(content, bytes):
        return content[:_LOOK]
    start = b""
    for piece in content:
        start += piece[:_LOOK]
        if len(start) >= _LOOK:
            break
    return start


def _element(content: Content) -> etree._Element:
    if isinstance(content, etree._Element):
        return content
    return etree.fromstring(content if isinstance(content, bytes) else b"".join(content))
