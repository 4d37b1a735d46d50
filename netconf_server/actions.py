"""Actions (RFC 7950 7.15): operations on one instance of a data node, found by its place in the data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from lxml import etree

from netconf_server.call import Reply, RpcCall, SessionInfo
from netconf_server.datastores import Datastores
from netconf_server.faults import to_rpc_error
from netconf_server.place import Place, read_keys
from netconf_server.providers import Keys
from netconf_server.query import Query, SeenBy
from netconf_server.readout import Readout
from netconf_server.subtree import SubtreeFilter
from netconf_server.values import key_tags
from netconf_server.xmltree import append_copy, parsed, scope
from rui.netconf import names
from rui.netconf.errors import ErrorType, RpcError
from rui.schema import DataError, Kind, Node

ACTION: Final = "{urn:ietf:params:xml:ns:yang:1}action"


@dataclass(frozen=True)
class ActionCall:
    """One action that is invoked.

    `nodes` lead from the top to the action, `elements` are what stands for them in the request, the last with
    the input in it; `keys` are those of the list entries above by list name.
    """

    session: SessionInfo
    nodes: tuple[Node, ...]
    elements: tuple[etree._Element, ...]
    keys: Keys

    @property
    def input(self) -> etree._Element:
        """The element of the action, which holds its input parameters; not to be changed."""
        return self.elements[-1]


ActionHandler: TypeAlias = Callable[[ActionCall], Awaitable[Reply]]
"""Carries out an action on an instance that exists; answers and refuses as a Handler does."""

Guard: TypeAlias = Callable[[ActionCall], None]
"""Looks at an action before it is carried out; raises RpcError to refuse it."""


class Actions:
    """The actions that a server carries out; `readout` is where their instances are found."""

    def __init__(self, datastores: Datastores, readout: Readout, seen_by: SeenBy) -> None:
        self._schema = datastores.schema
        self._datastores = datastores
        self._readout = readout
        self._seen_by = seen_by
        self._handlers: dict[str, ActionHandler] = {}
        self.guard: Guard | None = None

    def register(self, path: str, handler: ActionHandler) -> None:
        """Carry out the action at a schema path by `handler`. Raises UnknownNodeError, ValueError."""
        if self._schema.node(path).kind is not Kind.ACTION:
            raise ValueError(f"{path} is no action")
        self._handlers[path] = handler

    async def answer(self, call: RpcCall) -> Reply:
        """Find the action that is asked for and carry it out."""
        found, place = self._find(call)
        if self.guard is not None:
            self.guard(found)
        node = found.nodes[-1]
        handler = self._handlers.get(node.path)
        if handler is None:
            raise place.at(
                RpcError.operation_not_supported(
                    f"the action {place.text} is in the model but not served here"
                )
            )
        self._check_input(call, node)
        self._check_instance(found, place)
        return await handler(found)

    # --- where it is

    def _find(self, call: RpcCall) -> tuple[ActionCall, Place]:
        level: Mapping[str, Node] = self._schema.tree.data
        known = {module.namespace for module in self._schema.modules}
        parent, place = call.operation, Place.root()
        nodes: list[Node] = []
        elements: list[etree._Element] = []
        keys: dict[str, dict[str, str]] = {}
        while not nodes or nodes[-1].kind is not Kind.ACTION:
            element = _only_child(parent, nodes[-1] if nodes else None, place)
            node = level.get(str(element.tag))
            if node is None:
                raise place.unknown(element, known)
            nodes.append(node)
            elements.append(element)
            place = _below(place, element, node, keys)
            parent, level = element, node.children
        return ActionCall(call.session, tuple(nodes), tuple(elements), keys), place

    def _check_input(self, call: RpcCall, node: Node) -> None:
        data = next(call.operation.iterchildren(etree.Element))
        try:
            self._schema.check_nested(data, node)
        except DataError as error:
            raise to_rpc_error(
                error, self._schema, error_type=ErrorType.PROTOCOL, data=call.operation
            ) from error

    def _check_instance(self, found: ActionCall, place: Place) -> None:
        """Refuse an action on what does not exist, or may not be read by this user."""
        asked = etree.Element("filter")
        holder = target = asked
        for node, element in zip(found.nodes[:-1], found.elements[:-1], strict=True):
            holder = etree.SubElement(holder, element.tag, nsmap=scope(element))
            for tag in key_tags(node):
                key = element.find(tag)
                if key is not None:
                    append_copy(holder, key)
                    etree.SubElement(holder, tag)
            if node.kind is Kind.LIST or node.presence:
                target = holder
        if target is asked:
            return
        query = Query(SubtreeFilter.compile(asked), self._seen_by(found.session.user))
        data = b"".join(self._readout.everything(self._datastores.running, query))
        if next(parsed(b"<data>" + data + b"</data>").iter(target.tag), None) is None:
            raise place.at(
                RpcError.data_missing(f"{place.text}: there is no such instance; see get for those there are")
            )


def _only_child(parent: etree._Element, node: Node | None, place: Place) -> etree._Element:
    """The one child that leads on; keys stand beside it."""
    keys = key_tags(node) if node is not None else ()
    children = [child for child in parent.iterchildren(etree.Element) if child.tag not in keys]
    if not children:
        message = f"{place.text} names no action; give the elements down to one, and nothing else"
        raise place.at(RpcError.missing_element("action", message))
    if len(children) > 1:
        message = f"{place.text} holds {names.split(str(children[1].tag))[1]!r} besides; name one action only"
        raise place.at(RpcError.unknown_element(str(children[1].tag), message))
    return children[0]


def _below(place: Place, element: etree._Element, node: Node, keys: dict[str, dict[str, str]]) -> Place:
    """The place of an element of the request; collects the keys of a list entry."""
    if node.kind not in (Kind.CONTAINER, Kind.LIST, Kind.ACTION):
        here = place.child(node)
        raise here.at(RpcError.unknown_element(str(element.tag), f"{here.text} is no action and has none"))
    if node.kind is not Kind.LIST:
        return place.child(node)
    leafs = read_keys(element, node, place)
    keys[node.name] = {names.split(str(leaf.tag))[1]: (leaf.text or "").strip() for leaf in leafs}
    return place.entry(node, leafs)
