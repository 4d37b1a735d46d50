"""The operations of edit-config on a configuration tree (RFC 6241 7.2; RFC 7950 7.5.8, 7.6.7, 7.7.9, 7.8.6,
7.9, 8.3).

Only what an *edit* means is decided here: which nodes are made, changed, moved and removed. Whether the
outcome is valid is libyang's word, asked for by the datastore afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml import etree

from netconf_server.editleaf import edit_leaf, remove, renewed, set_leaf
from netconf_server.editops import (
    OPERATION,
    REMOVING,
    SETTING,
    Operation,
    read_default_operation,
    read_operation,
)
from netconf_server.editplain import add_plain
from netconf_server.editshape import check_attributes, check_no_text, check_single
from netconf_server.listindex import ListIndex, key_of
from netconf_server.place import Place, read_keys
from netconf_server.userorder import move, read_position
from netconf_server.values import key_tags, value_of
from rui.netconf.errors import RpcError
from rui.netconf.tags import ErrorType
from rui.schema import Kind, Node

__all__ = [
    "OPERATION", "REMOVING", "Operation", "apply_edit", "read_default_operation", "read_operation",
]  # fmt: skip


def apply_edit(
    top: Mapping[str, Node],
    tree: etree._Element,
    config: etree._Element,
    default: Operation = Operation.MERGE,
    *,
    continue_on_error: bool = False,
) -> list[RpcError]:
    """Apply the children of `config` to `tree` in place.

    `top` are the schema's top-level nodes by tag, `tree` holds the top-level nodes of the datastore. The
    first fault raises RpcError and leaves the tree half changed, so give a copy; with `continue_on_error`
    faulty nodes are left out and their errors returned instead.
    """
    edit = _Edit(top, continue_on_error)
    if default is Operation.REPLACE:
        for child in list(tree):
            tree.remove(child)
    edit.children(config, tree, None, default, Place.root())
    return edit.errors


@dataclass
class _Edit:
    top: Mapping[str, Node]
    continue_on_error: bool
    errors: list[RpcError] = field(default_factory=list)
    index: ListIndex = field(default_factory=ListIndex)

    def children(
        self,
        source: etree._Element,
        target: etree._Element,
        parent: Node | None,
        inherited: Operation,
        place: Place,
    ) -> None:
        """Apply each child of an edit element to the children of its counterpart; `parent` is None at the
        top.
        """
        siblings = self.top if parent is None else parent.children
        cases: dict[str, str] = {}
        seen: set[str] = set()
        check_no_text(source, place)
        for child in source.iterchildren(etree.Element):
            try:
                node = self._find_node(siblings, child, place)
                check_single(child, node, seen, place)
                if parent is not None and child.tag in key_tags(parent):
                    _check_key(child, place.child(node))
                    continue
                operation = read_operation(child, inherited)
                if operation in SETTING:
                    _check_cases(node, cases, place)
                self._node(child, target, node, operation, place)
                if node.choices and operation not in REMOVING:
                    self._drop_other_cases(target, siblings, node)
            except RpcError as error:
                known = siblings.get(str(child.tag))
                if error.path is None and known is not None:
                    place.child(known).at(error)
                if not self.continue_on_error:
                    raise
                self.errors.append(error)

    def _find_node(self, siblings: Mapping[str, Node], source: etree._Element, place: Place) -> Node:
        node = siblings.get(str(source.tag))
        if node is None or node.kind in (Kind.ACTION, Kind.NOTIFICATION):
            known = {name.partition("}")[0][1:] for name in (*self.top, *siblings)}
            raise place.unknown(source, known)
        if not node.config:
            here = place.child(node)
            message = f"{here.text} is state, not configuration (config false); leave it out"
            raise here.at(RpcError.unknown_element(str(source.tag), message))
        return node

    def _node(
        self, source: etree._Element, target: etree._Element, node: Node, operation: Operation, place: Place
    ) -> None:
        if source.attrib:
            check_attributes(source, node, place)
        if node.kind is Kind.CONTAINER:
            self._container(source, target, node, operation, place.child(node))
        elif node.kind is Kind.LIST:
            self._entry(source, target, node, operation, place)
        elif node.kind is Kind.LEAF_LIST:
            self._value(source, target, node, operation, place.value(node, source))
        else:
            edit_leaf(source, target, node, operation, place.child(node))

    def _container(
        self, source: etree._Element, target: etree._Element, node: Node, operation: Operation, place: Place
    ) -> None:
        found = target.find(node.tag)
        if operation in REMOVING:
            remove(found, operation, place)
            return
        if operation is Operation.CREATE and found is not None:
            raise place.exists()
        if operation is Operation.NONE and found is None and node.presence:
            raise place.missing("create it first, or use merge")
        if found is None or operation is Operation.REPLACE:
            found = renewed(target, found, node)
        self.children(source, found, node, operation, place)
        # A container without presence says nothing by itself (RFC 7950 7.5.1): it exists while it has
        # content.
        if not node.presence and len(found) == 0:
            target.remove(found)

    def _entry(
        self, source: etree._Element, target: etree._Element, node: Node, operation: Operation, above: Place
    ) -> None:
        if operation in SETTING and add_plain(source, target, node, self.index):
            return
        leafs = read_keys(source, node, above)
        place = above.entry(node, leafs)
        key = key_of(leafs, node)
        found = self.index.find(target, node, key)
        position = read_position(source, node)
        if not _goes_on(found, operation, place):
            remove(found, operation, place)
            self.index.forget(target, node, key)
            return
        if found is None or operation is Operation.REPLACE:
            found = renewed(target, found, node)
            for leaf in leafs:
                set_leaf(found, None, leaf, node.children[str(leaf.tag)])
            self.index.add(target, node, key, found)
        if position is not None and operation is not Operation.NONE:
            found = move(self.index, node, found, position, place)
        self.children(source, found, node, operation, place)

    def _value(
        self, source: etree._Element, target: etree._Element, node: Node, operation: Operation, place: Place
    ) -> None:
        key = (value_of(source, node),)
        found = self.index.find(target, node, key)
        position = read_position(source, node)
        if not _goes_on(found, operation, place):
            remove(found, operation, place)
            self.index.forget(target, node, key)
            return
        if found is None:
            found = set_leaf(target, None, source, node)
            self.index.add(target, node, key, found)
        if position is not None and operation is not Operation.NONE:
            move(self.index, node, found, position, place)

    def _drop_other_cases(self, target: etree._Element, siblings: Mapping[str, Node], node: Node) -> None:
        """A node of one case that exists removes the nodes of the other cases (RFC 7950 7.9)."""
        if target.find(node.tag) is None:
            return
        for other in list(target):
            sibling = siblings.get(str(other.tag))
            if sibling is not None and node.excludes(sibling):
                target.remove(other)
                self.index.forget_list(target, sibling)


def _goes_on(found: etree._Element | None, operation: Operation, place: Place) -> bool:
    """Say whether a list entry or value stays or is made; raise RpcError where the operation does not fit."""
    if operation is Operation.CREATE and found is not None:
        raise place.exists()
    if operation is Operation.NONE and found is None:
        raise place.missing("create it first, or use merge")
    return operation not in REMOVING


def _check_key(source: etree._Element, place: Place) -> None:
    if source.get(OPERATION) in REMOVING:
        message = f"{place.text} is a key; delete the whole list entry instead"
        raise RpcError.bad_attribute(OPERATION, str(source.tag), message, error_type=ErrorType.PROTOCOL)


def _check_cases(node: Node, chosen: dict[str, str], place: Place) -> None:
    """Refuse an edit that gives two cases of one choice (RFC 7950 8.3.1)."""
    for member in node.choices:
        if chosen.setdefault(member.choice, member.case) != member.case:
            message = (
                f"cases {chosen[member.choice]!r} and {member.case!r} exclude each other; give one of them"
            )
            raise place.child(node).at(RpcError.bad_element(node.tag, message))
