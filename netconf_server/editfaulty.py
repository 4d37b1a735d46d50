"""Which nodes of an edit are at fault for what the model refuses (RFC 6241 7.2, continue-on-error)."""

from __future__ import annotations

import re

from lxml import etree

from netconf_server.faults import named_either_way
from netconf_server.values import key_tags
from rui.netconf.errors import ErrorTag, RpcError
from rui.schema import Kind, Node, Schema

# Strings in predicates may hold slashes.
_LAST_STEP = re.compile(r"/(?:[^/'\"]|'[^']*'|\"[^\"]*\")*$")
_SOMETHING_MISSING = frozenset({ErrorTag.DATA_MISSING, ErrorTag.MISSING_ELEMENT})


def take_out_faulty(refused: RpcError, config: etree._Element, schema: Schema) -> bool:
    """Take the nodes that `refused` speaks of out of an edit, in place; `config` holds its top-level nodes.

    Say False, and leave the edit as it is, where one of the errors cannot be laid to a node of it: when what
    the edit does in one place breaks what stands in another.
    """
    faulty = [_at_fault(error, config, schema) for error in refused.all]
    if not all(faulty):
        return False
    for node in {node: None for nodes in faulty for node in nodes}:
        parent = node.getparent()
        if parent is not None:
            parent.remove(node)
    return True


def _at_fault(error: RpcError, config: etree._Element, schema: Schema) -> list[etree._Element]:
    """What to leave out so that this error is not made: the node that it names; the entry or presence
    container around, where that is what lacks something, or is told apart by a faulty key.
    """
    if error.path is None:
        return []
    path = named_either_way(error.path)
    found = _find(path, error, config)
    while not found and path and error.tag in _SOMETHING_MISSING:
        path, longer = _LAST_STEP.sub("", path), path
        if path == longer:
            break
        above = _find(path, error, config)
        found = [whole for node in above if (whole := _that_exists_by_itself(node, schema)) is not None]
    return [_with_its_key(node, schema) for node in found]


def _find(path: str, error: RpcError, config: etree._Element) -> list[etree._Element]:
    if not path:
        return []
    try:
        found = config.xpath(f".{path}", namespaces=error.path_namespaces)
    except etree.XPathError:
        return []
    return [node for node in found if isinstance(node, etree._Element)] if isinstance(found, list) else []


def _that_exists_by_itself(element: etree._Element, schema: Schema) -> etree._Element | None:
    """The element, or the next one around it, whose existence means something: where it lacks what is
    mandatory it may not be at all.
    """
    node = _node(element, schema)
    while node is not None and node.kind is not Kind.LIST and not node.presence:
        parent = element.getparent()
        if parent is None:
            return None
        element, node = parent, _node(parent, schema)
    return None if node is None else element


def _with_its_key(element: etree._Element, schema: Schema) -> etree._Element:
    parent = element.getparent()
    around = None if parent is None else _node(parent, schema)
    return (
        parent if parent is not None and around is not None and element.tag in key_tags(around) else element
    )


def _node(element: etree._Element, schema: Schema) -> Node | None:
    tags = [str(step.tag) for step in (element, *element.iterancestors())][::-1]
    return schema.find(tags[1:])
