"""The content of `get` and `get-config` as byte pieces: filtered, merged from all sources, never built as
one tree.

Configuration and small operational trees are elements; the entries of large lists come from their providers
while the reply is already on its way, restricted by the keys that the filter pins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lxml import etree

from netconf_server.liststream import branched
from netconf_server.providers import Providers, combine
from netconf_server.pushdown import Filters
from netconf_server.subtree import SubtreeFilter, apply_nodes
from netconf_server.written import written
from netconf_server.xmltree import append_copy, reparsed, scope
from rui.netconf import names
from rui.schema import Schema


class Readout:
    """Reads the datastores of one server."""

    def __init__(self, schema: Schema, providers: Providers) -> None:
        self._schema = schema
        self._providers = providers

    def config(self, tree: etree._Element, wanted: SubtreeFilter | None) -> Iterator[bytes]:
        """The pieces of a configuration tree that the filter selects (None: all)."""
        for child in tree:
            yield from self._element(child, _top(wanted, str(child.tag)))

    def everything(self, running: etree._Element, wanted: SubtreeFilter | None) -> Iterator[bytes]:
        """The pieces of running and of all operational data that the filter selects."""
        tags = dict.fromkeys([str(child.tag) for child in running] + list(self._providers.top_tags()))
        for tag in tags:
            filters = _top(wanted, tag)
            if filters is not None and not filters:
                continue
            small = self._small(running, tag)
            branches = [branch for branch in self._providers.lists if branch.nodes[0].tag == tag]
            if branches:
                yield from branched(small[0] if small else None, filters, branches)
                small = small[1:]
            for element in small:
                yield from self._element(element, filters)

    def _small(self, running: etree._Element, tag: str) -> list[etree._Element]:
        """The top-level elements with this tag in running, with what the tree providers add to the first."""
        found = list(running.iterchildren(tag))
        given = [
            (branch.tags, branch.provider.read()) for branch in self._providers.trees if branch.tags[0] == tag
        ]
        added = [_nested(tags, element) for tags, element in given if element is not None]
        if not added:
            return found
        # The datastore's tree never changes, so what is added goes into a copy.
        whole = reparsed(found[0]) if found else etree.Element(tag, nsmap=scope(added[0]))
        for element in added:
            combine(whole, element, self._schema.tree.data.get(tag))
        return [whole, *found[1:]]

    def _element(self, element: etree._Element, filters: Filters) -> Iterator[bytes]:
        selected: etree._Element | None = element
        if filters is not None:
            selected = apply_nodes(filters, element, self._schema.tree.data.get(str(element.tag)))
        if selected is not None:
            yield from written(selected)


def _top(wanted: SubtreeFilter | None, tag: str) -> Filters:
    return None if wanted is None else wanted.at(tag)


def _nested(tags: Sequence[str], element: etree._Element) -> etree._Element:
    """The element inside the containers above it."""
    if len(tags) == 1:
        return element
    root = holder = etree.Element(tags[0], nsmap=names.nsmap(names.split(tags[0])[0] or ""))
    for tag in tags[1:-1]:
        holder = etree.SubElement(holder, tag, nsmap=names.nsmap(names.split(tag)[0] or ""))
    append_copy(holder, element)
    return root
