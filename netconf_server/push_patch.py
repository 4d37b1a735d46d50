"""What changed between two readings of a selection, as a YANG patch (RFC 8641 section 3.7, RFC 8072)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from urllib.parse import quote

from lxml import etree

from netconf_server.difference import Difference, Happened, place_of
from netconf_server.place import Place
from netconf_server.subscription_stream import add
from netconf_server.xmltree import append_copy
from rui.schema import Kind, Node


class ChangeKind(StrEnum):
    """RFC 8641's change-type."""

    CREATE = "create"
    DELETE = "delete"
    INSERT = "insert"
    MOVE = "move"
    REPLACE = "replace"


_KINDS = {
    Happened.CREATED: ChangeKind.CREATE,
    Happened.DELETED: ChangeKind.DELETE,
    Happened.CHANGED: ChangeKind.REPLACE,
    Happened.MOVED: ChangeKind.MOVE,
}


def kind_of(difference: Difference) -> ChangeKind:
    """What a difference is in the words of RFC 8641: what users order is inserted, not created."""
    kind = _KINDS[difference.happened]
    return ChangeKind.INSERT if kind is ChangeKind.CREATE and difference.node.ordered_by_user else kind


def has_keyless(node: Node) -> bool:
    """Say whether a node is, or holds, a list without keys, whose entries no patch can name."""
    return any(inner.kind is Kind.LIST and not inner.keys for inner in node.walk())


def add_patch(parent: etree._Element, patch_id: int, changes: Iterable[Difference]) -> None:
    """Add a `yang-patch` with one edit for each change."""
    patch = add(parent, "yang-patch")
    add(patch, "patch-id", str(patch_id))
    for count, change in enumerate(changes, 1):
        kind = kind_of(change)
        edit = add(patch, "edit")
        add(edit, "edit-id", f"edit{count}")
        add(edit, "operation", kind)
        add(edit, "target", resource_path(change.place))
        if kind in (ChangeKind.INSERT, ChangeKind.MOVE):
            _add_where(edit, change)
        if change.new is not None and kind is not ChangeKind.MOVE:
            append_copy(add(edit, "value"), change.new)


def _add_where(edit: etree._Element, change: Difference) -> None:
    """Say behind which entry one stands that was inserted or moved; the first one is first."""
    previous = (
        None if change.new is None else next(change.new.itersiblings(change.node.tag, preceding=True), None)
    )
    if previous is None or change.place.parent is None:
        add(edit, "where", "first")
        return
    add(edit, "point", resource_path(place_of(change.place.parent, change.node, previous)))
    add(edit, "where", "after")


def resource_path(place: Place) -> str:
    """A place as the target of an edit (RFC 8072 section 2.2): `/module:list=key/leaf`."""
    if place.node is None or place.parent is None:
        return ""
    above = place.parent.node
    prefix = f"{place.node.module}:" if above is None or above.module != place.node.module else ""
    keys = ",".join(quote(value, safe="") for _, value in place.predicates)
    return f"{resource_path(place.parent)}/{prefix}{place.node.name}{'=' + keys if place.predicates else ''}"
