"""The operations partial-lock and partial-unlock (RFC 5717)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from lxml import etree

from netconf_server import params
from netconf_server.call import Handler, Reply, RpcCall
from netconf_server.datastores import Datastores
from netconf_server.query import SeenBy
from netconf_server.xpathfilter import XPathFilter
from rui.netconf import names
from rui.netconf.errors import RpcError

NAMESPACE: Final = "urn:ietf:params:xml:ns:netconf:partial-lock:1.0"
CAPABILITY: Final = "urn:ietf:params:netconf:capability:partial-lock:1.0"


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


class PartialLockOperations:
    """The handlers of the two operations."""

    def __init__(self, datastores: Datastores, seen_by: SeenBy) -> None:
        self._datastores = datastores
        self._seen_by = seen_by

    def handlers(self) -> dict[str, Handler]:
        """The handlers by tag."""
        return {_tag("partial-lock"): self._lock, _tag("partial-unlock"): self._unlock}

    async def _lock(self, call: RpcCall) -> Reply:
        selects = list(call.operation.iterchildren(_tag("select")))
        texts = [(select.text or "").strip() for select in selects]
        choose = partial(self._choose, selects, call.session.user)
        lock = await self._datastores.partial_lock(call.session.id, texts, choose)
        number = etree.Element(_tag("lock-id"), nsmap=names.nsmap(NAMESPACE))
        number.text = str(lock.id)
        reply: list[etree._Element] = [number]
        for node in lock.nodes:
            locked = etree.Element(_tag("locked-node"), nsmap=names.nsmap(NAMESPACE, node.place.namespaces))
            locked.text = node.place.text
            reply.append(locked)
        return reply

    def _choose(self, selects: Sequence[etree._Element], user: str) -> Sequence[etree._Element]:
        tree = self._datastores.running
        for view in self._seen_by(user):
            tree = view.tree(tree)
        elements: dict[etree._Element, None] = {}
        for select in selects:
            elements.update(dict.fromkeys(_selected(select, tree)))
        if not elements:
            raise RpcError.operation_failed(
                "the expressions select nothing that is configured; create it first, or select what is above",
                app_tag="no-matches",
            )
        return list(elements)

    async def _unlock(self, call: RpcCall) -> Reply:
        text = call.operation.findtext(_tag("lock-id"))
        if text is None:
            raise RpcError.missing_element(_tag("lock-id"), "lock-id is missing; give what partial-lock said")
        self._datastores.partial_unlock(call.session.id, int(text))
        return None


def _selected(select: etree._Element, tree: etree._Element) -> Sequence[etree._Element]:
    """The elements of running that one expression selects, in the order of the data."""
    try:
        expression = XPathFilter((select.text or "").strip(), params.prefixes(select))
    except ValueError as error:
        raise RpcError.invalid_value(
            f"select is no XPath expression that can be used here: {error}"
        ) from None
    try:
        chosen = expression.nodes(tree)
    except RpcError as error:
        if error.tag == "invalid-value":
            error.app_tag = "not-a-node-set"
        raise
    if tree in chosen:
        return list(tree)
    return [element for element in tree.iter(etree.Element) if element in chosen]
