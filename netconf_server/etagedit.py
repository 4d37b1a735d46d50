"""Edits that are to be done only if nobody was faster: the entity tags that an edit states (see `etag`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from lxml import etree

from netconf_server.call import Reply
from netconf_server.datastores import CANDIDATE, Change, Datastores
from netconf_server.difference import place_of
from netconf_server.etag import (
    ETAG,
    MODULE,
    by_name,
    etag_of,
    has_etags,
    is_tagged,
    name_of,
    ok_with_tag,
    wants_new_tag,
)
from netconf_server.place import Place
from netconf_server.query import View
from rui.netconf import names
from rui.netconf.errors import ErrorType, RpcError
from rui.schema import Node

_ABSENT: Final = "!"
"""The tag of what is not there."""


class Conditions:
    """What clients expect of what they edit: at once, and of running at the commit of the candidate."""

    def __init__(self, datastores: Datastores) -> None:
        self._datastores = datastores
        self._top = datastores.schema.tree.data
        self._stated: list[tuple[etree._Element, Sequence[View]]] = []
        datastores.on_commit(verify=self._check_commit)

    def of_edit(
        self, target: str, config: etree._Element, views: Sequence[View]
    ) -> Callable[[etree._Element], None] | None:
        """What is to be asked before an edit; `views` leave out what its user may not read."""
        if target == CANDIDATE:
            return lambda _: self._note(config, views)
        if not has_etags(config):
            return None
        return lambda tree: _check(_expectations(config, _seen(tree, views), self._top))

    def reply(self, operation: etree._Element, target: str, views: Sequence[View]) -> Reply:
        """The reply to a change of a datastore that was just made: plain, or with the tag that it has now."""
        return ok_with_tag(_seen(self._datastores.tree(target), views)) if wants_new_tag(operation) else None

    def _note(self, config: etree._Element, views: Sequence[View]) -> None:
        if not self._datastores.candidate_changed:
            # It was committed or discarded: what was expected then is over.
            self._stated.clear()
        if has_etags(config):
            self._stated.append((config, views))

    def _check_commit(self, change: Change) -> None:
        if change.new is not self._datastores.candidate or not self._stated:
            return
        latest: dict[str, _Expectation] = {}
        for config, views in self._stated:
            found = _expectations(config, _seen(change.old, views), self._top)
            # Of what is stated twice the last counts.
            latest.update((item.place.text, item) for item in found)
        _check(latest.values())


class _Expectation:
    def __init__(self, place: Place, expected: str, found: str) -> None:
        self.place = place
        self._expected = expected
        self._found = found

    @property
    def holds(self) -> bool:
        return self._expected == self._found

    def refusal(self) -> RpcError:
        info = etree.Element(f"{{{MODULE}}}txid-value-mismatch-error-info", nsmap=names.nsmap(MODULE))
        path = etree.SubElement(info, f"{{{MODULE}}}mismatch-path", nsmap=self.place.namespaces)
        path.text = self.place.text
        etree.SubElement(info, f"{{{MODULE}}}mismatch-etag-value").text = self._found
        message = (
            f"{self.place.text} has changed since it had the etag {self._expected[:40]!r}; read it again, and"
            " send the edit with the etag that it has now"
        )
        return self.place.at(RpcError.operation_failed(message, error_type=ErrorType.PROTOCOL, info=[info]))


def _check(found: Iterable[_Expectation]) -> None:
    for item in found:
        if not item.holds:
            raise item.refusal()


def _seen(tree: etree._Element, views: Sequence[View]) -> etree._Element:
    for view in views:
        tree = view.tree(tree)
    return tree


def _expectations(
    config: etree._Element, tree: etree._Element, top: Mapping[str, Node]
) -> Iterator[_Expectation]:
    expected = config.get(ETAG)
    if expected is not None:
        yield _Expectation(Place.root(), expected, etag_of(list(tree)))
    yield from _below(config, tree, top, Place.root(), etag_of(list(tree)))


def _below(
    source: etree._Element,
    target: etree._Element | None,
    siblings: Mapping[str, Node],
    place: Place,
    above: str,
) -> Iterator[_Expectation]:
    """`above` is the tag of the closest container or entry: what has none of its own shares it."""
    if not has_etags(source):
        return
    there = by_name(target, siblings)
    for child in source.iterchildren(etree.Element):
        node = siblings.get(str(child.tag))
        if node is None:
            continue
        expected, found, own = child.get(ETAG), above, target
        if is_tagged(node):
            own = there.get(name_of(child, siblings))
            found = _ABSENT if own is None else etag_of([own])
        here = place_of(place, node, child)
        if expected is not None:
            yield _Expectation(here, expected, found)
        if node.children:
            yield from _below(child, own, node.children, here, found)
