"""The audit log: one event for every change of a datastore, with who made it, from where, and what it was.

Values that the models close to readers (`nacm:default-deny-all`) and password hashes are not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

import structlog
from lxml import etree

from netconf_server.call import SessionInfo
from netconf_server.change import MOST_TOLD, Change
from netconf_server.datastores import Datastores
from netconf_server.difference import Difference, Happened, place_of
from netconf_server.nacmaccess import Marks
from netconf_server.nacmrules import MODULE, Right
from netconf_server.place import Place
from netconf_server.values import key_tags
from rui.schema import Kind, Node

log = structlog.get_logger(__name__)

MASK: Final = "***"
_MAX_VALUE: Final = 200
_HASH: Final = "iana-crypt-hash:crypt-hash"


class Audit:
    """Logs what becomes of the datastores; `session_of` finds an open session."""

    def __init__(self, datastores: Datastores, session_of: Callable[[int], SessionInfo | None]) -> None:
        self._schema = datastores.schema
        self._marks = Marks(self._schema)
        self._session_of = session_of
        datastores.on_commit(apply=self.changed)
        datastores.on_edit(self.changed)

    def changed(self, change: Change) -> None:
        """Log a change, at most a hundred of its nodes."""
        found = islice(self._lines(change), MOST_TOLD + 1)
        lines = list(found)
        if not lines:
            return
        session = None if change.session is None else self._session_of(change.session)
        log.info(
            "config-changed",
            datastore=change.datastore,
            user="" if session is None else session.user,
            session=change.session,
            source="" if session is None else session.peer,
            changes=lines[:MOST_TOLD],
            complete=len(lines) <= MOST_TOLD,
        )

    def _lines(self, change: Change) -> Iterator[str]:
        for found in change.differences(self._schema.tree.data):
            yield from self._line(found)

    def _line(self, found: Difference) -> Iterator[str]:
        if found.happened is Happened.CHANGED:
            old, new = self._value(found.old, found.node), self._value(found.new, found.node)
            yield f"changed {found.place.text} from {old} to {new}"
        elif found.happened is Happened.MOVED:
            yield f"moved {found.place.text}"
        else:
            element = found.old if found.new is None else found.new
            if element is not None:
                yield from self._whole(found.happened.value, element, found.node, found.place)

    def _whole(self, word: str, element: etree._Element, node: Node, place: Place) -> Iterator[str]:
        """What came or went, leaf by leaf; the keys are in its path."""
        if node.kind not in (Kind.LIST, Kind.CONTAINER):
            yield f"{word} {place.text} {self._value(element, node)}"
            return
        yield f"{word} {place.text}"
        for child in element.iterchildren(etree.Element):
            inner = node.children.get(str(child.tag))
            if inner is not None and child.tag not in key_tags(node):
                yield from self._whole(word, child, inner, place_of(place, inner, child))

    def _value(self, element: etree._Element | None, node: Node) -> str:
        if self._is_secret(node):
            return MASK
        text = "" if element is None else _text(element)
        return repr(text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…")

    def _is_secret(self, node: Node) -> bool:
        if node.type is not None and _HASH in node.type.typedefs:
            return True
        return node.module != MODULE and self._marks.denies(node, Right.READ)


def _text(element: etree._Element) -> str:
    if len(element) == 0:
        return element.text or ""
    return "".join(str(piece) for piece in element.itertext())
