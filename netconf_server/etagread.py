"""Reading configuration with entity tags: get-config and get-data that ask for them, or state known ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from lxml import etree

from netconf_server.etag import ETAG, NAMESPACE, by_name, etag_of, has_etags, is_tagged, name_of
from netconf_server.holders import NMDA
from netconf_server.query import Query, View
from netconf_server.readout import Readout
from netconf_server.values import key_tags
from netconf_server.xmltree import parsed, reparsed, to_bytes
from rui.netconf import names
from rui.schema import Node

_UP_TO_DATE: Final = "="
"""In place of a tag in a reply: the node is as the client knows it, so its content is left out."""
_HOLDERS: Final = (names.base("filter"), f"{{{NMDA}}}subtree-filter", f"{{{NMDA}}}xpath-filter")


class TaggedReading:
    """A reading of configuration whose request asks for tags, or states what the client knows."""

    def __init__(self, operation: etree._Element, top: Mapping[str, Node]) -> None:
        self._whole = operation.get(ETAG)
        self._filter = next(operation.iterchildren(*_HOLDERS), None)
        if self._whole is None and self._filter is not None and _is_xpath(self._filter):
            self._whole = self._filter.get(ETAG)
        self._top = top

    @property
    def asked(self) -> bool:
        """Whether there is anything to do."""
        return self._whole is not None or has_etags(self._filter)

    def read(self, readout: Readout, tree: etree._Element, query: Query, data: str) -> list[bytes]:
        """The reply's element, `data` as lxml writes it, with what is selected of `tree`. Raises RpcError."""
        plain = tree
        for view in _for_user(query.views):
            plain = view.tree(plain)
        shown = tree
        for view in query.views:
            shown = view.tree(shown)
        marked = reparsed(shown)
        _mark(marked, plain, self._top)
        whole = etag_of(list(plain))
        if self._whole == whole:
            return [to_bytes(_root(data, _UP_TO_DATE))]
        root = _root(data, None if self._whole is None else whole)
        start, end = to_bytes(root)[:-2] + b">", b"</" + names.split(data)[1].encode() + b">"
        reply = parsed(b"".join((start, *readout.config(marked, replace(query, views=())), end)))
        wanted = [] if self._filter is None or _is_xpath(self._filter) else [self._filter]
        _answer(wanted, reply, self._top, self._whole, whole)
        return [to_bytes(reply)]


def _root(tag: str, etag: str | None) -> etree._Element:
    root = etree.Element(tag, nsmap=names.nsmap(names.split(tag)[0] or "", {"txid": NAMESPACE}))
    if etag is not None:
        root.set(ETAG, etag)
    root.text = None
    return root


def _is_xpath(holder: etree._Element) -> bool:
    return holder.tag == _HOLDERS[2] or (holder.get("type") or holder.get(names.base("type"))) == "xpath"


def _for_user(views: Sequence[View]) -> Sequence[View]:
    """The last view is what leaves out what the user may not read; those before it add defaults."""
    return views[-1:]


def _mark(shown: etree._Element, plain: etree._Element, siblings: Mapping[str, Node]) -> None:
    """Give containers and list entries their tags, which are those of the same nodes in `plain`."""
    known = by_name(plain, siblings)
    for child in shown.iterchildren(etree.Element):
        node = siblings.get(str(child.tag))
        if node is None or not is_tagged(node):
            continue
        same = known.get(name_of(child, siblings))
        # What is there by its defaults only holds nothing that was set.
        same = etree.Element(child.tag) if same is None else same
        child.set(ETAG, etag_of([same]))
        _mark(child, same, node.children)


def _answer(
    wanted: Sequence[etree._Element],
    found: etree._Element,
    siblings: Mapping[str, Node],
    known: str | None,
    above: str,
) -> None:
    """Leave the tags where these parts of a filter ask for them, and of what the client knows nothing else.

    `known` is the tag that was asked for or stated last further up, which holds for what states none; `above`
    is the tag of the closest container or entry, which holds for what has none.
    """
    items = [item for part in wanted for item in part.iterchildren(etree.Element)]
    for child in found.iterchildren(etree.Element):
        node = siblings.get(str(child.tag))
        if node is None:
            continue
        fitting = [item for item in items if _selects(item, child, node)]
        stated = {str(item.get(ETAG)) for item in fitting if ETAG in item.attrib}
        if not is_tagged(node):
            if above in stated:
                _prune(child, node)
            continue
        own = str(child.get(ETAG))
        if own in stated or (not stated and own == known):
            _prune(child, node)
            continue
        asked = next(iter(stated), known)
        if asked is None:
            del child.attrib[ETAG]
        _answer(fitting, child, node.children, asked, own)


def _selects(item: etree._Element, element: etree._Element, node: Node) -> bool:
    """Whether an element of a filter speaks of this one: its name, and the keys that it states."""
    namespace, name = names.split(str(item.tag))
    if name != node.name or namespace not in (None, node.namespace):
        return False
    pairs = ((item.findtext(tag), element.findtext(tag)) for tag in key_tags(node))
    return all((stated or "").strip() in ("", (own or "").strip()) for stated, own in pairs)


def _prune(element: etree._Element, node: Node) -> None:
    for child in list(element):
        if child.tag not in key_tags(node):
            element.remove(child)
    if not is_tagged(node):
        element.text = None
    element.set(ETAG, _UP_TO_DATE)
