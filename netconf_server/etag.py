"""Entity tags of configuration (draft-ietf-netconf-transaction-id, its etag mechanism).

What a client has read it need not read again, and it can have an edit refused where somebody else was faster.
A tag is a digest of what a node holds: it is the same in every datastore that holds the same, after a restart
too, and nothing has to be remembered. It is over what the user may read, without defaults.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from lxml import etree

from netconf_server.listindex import item_key
from netconf_server.xmltree import to_bytes
from rui.netconf import names
from rui.schema import Kind, Node

NAMESPACE: Final = "urn:ietf:params:xml:ns:netconf:txid:1.0"
CAPABILITY: Final = "urn:ietf:params:netconf:capability:txid:etag:1.0"
ETAG: Final = f"{{{NAMESPACE}}}etag"
MODULE: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-txid"
_WITH_ETAG: Final = f"{{{MODULE}}}with-etag"
_DIGEST_BYTES: Final = 12
_ANY: Final = etree.XPath("boolean(descendant-or-self::*/@t:etag)", namespaces={"t": NAMESPACE})


def etag_of(parts: Sequence[etree._Element]) -> str:
    """The tag of a node, or of a datastore by its top-level nodes."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(to_bytes(part))
    return digest.hexdigest()


def wants_new_tag(operation: etree._Element) -> bool:
    """Say whether the reply to a change is to have the datastore's new tag (`with-etag`)."""
    asked = next(operation.iterchildren(_WITH_ETAG), None)
    return asked is not None and (asked.text or "").strip() == "true"


def ok_with_tag(tree: etree._Element) -> list[etree._Element]:
    """The `<ok/>` of a change that has led to this datastore, of which the user sees all that is given."""
    ok = etree.Element(names.OK, nsmap=names.nsmap(names.BASE, {"txid": NAMESPACE}))
    ok.set(ETAG, etag_of(list(tree)))
    return [ok]


def has_etags(element: etree._Element | None) -> bool:
    """Say whether a filter, or an edit, speaks of tags."""
    return element is not None and bool(_ANY(element))


def is_tagged(node: Node | None) -> bool:
    """Say whether instances of a node have tags of their own."""
    return node is not None and node.kind in (Kind.CONTAINER, Kind.LIST)


def by_name(
    parent: etree._Element | None, siblings: Mapping[str, Node]
) -> dict[tuple[object, ...], etree._Element]:
    """The children of an element by what tells them from each other."""
    children = () if parent is None else parent.iterchildren(etree.Element)
    return {name_of(child, siblings): child for child in children}


def name_of(element: etree._Element, siblings: Mapping[str, Node]) -> tuple[object, ...]:
    """What tells an element from its siblings."""
    node = siblings.get(str(element.tag))
    key = item_key(element, node) if node is not None and node.kind is Kind.LIST else ()
    return (str(element.tag), key)
