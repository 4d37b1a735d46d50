"""What a user changes is held against his rights, node by node (RFC 8341 3.2.5 to 3.2.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from lxml import etree

from netconf_server.change import Change
from netconf_server.difference import Difference, Happened, place_of
from netconf_server.edit import Operation, read_operation
from netconf_server.nacmaccess import Access, Scope
from netconf_server.nacmpath import Instance, instance_of
from netconf_server.nacmrules import Right
from netconf_server.place import Place
from netconf_server.values import key_tags
from rui.netconf.errors import RpcError
from rui.netconf.tags import ErrorType
from rui.schema import Kind, Node

_NEEDED: Final = {
    Happened.CREATED: Right.CREATE,
    Happened.DELETED: Right.DELETE,
    Happened.CHANGED: Right.UPDATE,
    Happened.MOVED: Right.UPDATE,
}
_WRITES: Final = frozenset(_NEEDED.values())
# What may fail because something exists or not: refused before it can tell that.
_TELLING: Final = {Operation.CREATE: Right.CREATE, Operation.DELETE: Right.DELETE}

Nodes: TypeAlias = Mapping[str, Node]


def check_request(access: Access, config: etree._Element, default: Operation, top: Nodes) -> None:
    """Refuse the creates and deletes of an edit that the user has no right to, whether or not they would fit.

    Otherwise `data-exists` and `data-missing` would tell him what is there. Raises RpcError `access-denied`.
    """
    if not access.unlimited:
        _Check(access, top, config).requested(config, default, top, [])


def check_change(access: Access, change: Change, top: Nodes) -> None:
    """Raise `access-denied` for the first difference that a change makes and the user has no right to.

    Every node that comes, goes or changes needs the right; what goes because another case of its choice came
    needs none (RFC 8341 3.2.5). Names nothing that the user may not read.
    """
    old, new = change.old, change.new
    if access.unlimited or old is new or all(_is_open(access, top.get(tag)) for tag in _tags(old, new)):
        return
    before, after = _Check(access, top, old), _Check(access, top, new)
    for found in change.all_differences(top):
        if not found.implied:
            (before if found.new is None else after).difference(found)


def _tags(*trees: etree._Element) -> set[str]:
    return {str(child.tag) for tree in trees for child in tree.iterchildren(etree.Element)}


def _is_open(access: Access, node: Node | None) -> bool:
    return node is not None and all(access.scope(node, right) is Scope.ALL for right in _WRITES)


@dataclass(frozen=True)
class _Check:
    """The rights, the schema's top-level nodes, and the element whose children are data."""

    access: Access
    top: Nodes
    root: etree._Element

    def requested(
        self, parent: etree._Element, inherited: Operation, nodes: Nodes, trail: list[Instance]
    ) -> None:
        """Look at an edit element's children for operations that would tell what exists."""
        for child in parent.iterchildren(etree.Element):
            node = nodes.get(str(child.tag))
            if node is None or not node.config:
                continue  # the edit itself says what is wrong with it
            try:
                operation = read_operation(child, inherited)
            except RpcError:
                continue  # as it does of an operation that is none
            trail.append(instance_of(child))
            right = _TELLING.get(operation)
            if right is not None and not _is_nothing(node) and not self.access.permits(node, right, trail):
                # The request's own words may be repeated.
                raise self._denied(right, child, known=len(trail))
            self.requested(child, operation, node.children, trail)
            trail.pop()

    def difference(self, found: Difference) -> None:
        """Look at what came, went or changed."""
        right = _NEEDED[found.happened]
        element = found.old if found.new is None else found.new
        if element is None or self.access.scope(found.node, right) is Scope.ALL:
            return
        trail = [instance_of(part) for part in self._chain(element)]
        if not self.access.permits(found.node, right, trail):
            raise self._denied(right, element)
        if right is not Right.UPDATE:
            self._below(right, element, found.node, trail)

    def _below(self, right: Right, parent: etree._Element, above: Node, trail: list[Instance]) -> None:
        """What is in a node came or went with it; keys do with their entry."""
        for child in parent.iterchildren(etree.Element):
            node = above.children.get(str(child.tag))
            if node is None or child.tag in key_tags(above) or self.access.scope(node, right) is Scope.ALL:
                continue
            trail.append(instance_of(child))
            if not _is_nothing(node) and not self.access.permits(node, right, trail):
                raise self._denied(right, child)
            self._below(right, child, node, trail)
            trail.pop()

    def _denied(self, right: Right, element: etree._Element, known: int = 0) -> RpcError:
        """The error for an element: beyond its first `known` steps no more is named than may be read."""
        place, nodes = Place.root(), self.top
        trail: list[Instance] = []
        for part in self._chain(element):
            node = nodes[str(part.tag)]
            trail.append(instance_of(part))
            if len(trail) > known and not self.access.permits(node, Right.READ, trail):
                break
            place, nodes = place_of(place, node, part), node.children
        message = (
            f"user {self.access.user} has no right to {right} here: "
            "ask for a rule in /ietf-netconf-acm:nacm that permits it"
        )
        return place.at(RpcError.access_denied(message, error_type=ErrorType.APPLICATION))

    def _chain(self, element: etree._Element) -> list[etree._Element]:
        """The elements from the top-level node to this one."""
        chain = [element]
        while (parent := chain[-1].getparent()) is not None and parent is not self.root:
            chain.append(parent)
        return chain[::-1]


def _is_nothing(node: Node) -> bool:
    """A container without presence is there always, so nobody creates or deletes it (RFC 7950 7.5.1)."""
    return node.kind is Kind.CONTAINER and not node.presence
