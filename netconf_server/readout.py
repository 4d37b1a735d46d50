"""The content of the reading operations as byte pieces: filtered, merged from all sources, never built as one
tree where a subtree filter or none is given.

Configuration and small operational trees are elements; the entries of large lists come from their providers
while the reply is already on its way, restricted by the keys that the filter pins. An XPath expression, and a
bound on the depth, need what they look at as a tree; that is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final

from lxml import etree

from netconf_server.beside import Beside, is_large
from netconf_server.liststream import branched
from netconf_server.persist import empty_config
from netconf_server.providers import ListBranch, Providers, combine
from netconf_server.pushdown import Filters
from netconf_server.query import Query, Wanted
from netconf_server.subtree import Selection, SubtreeFilter, apply_nodes, pruned, select
from netconf_server.written import paced, written
from netconf_server.xmltree import append_copy, parsed, reparsed, scope, to_bytes
from netconf_server.xpathfilter import XPathFilter
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Schema

MAX_TREE: Final = 64 * 1024 * 1024
"""Octets of data that are built as one tree, for an expression or a bound on the depth."""


class Readout:
    """Reads the datastores of one server."""

    def __init__(self, schema: Schema, providers: Providers) -> None:
        self._schema = schema
        self._providers = providers
        self.beside = Beside()

    def config(self, tree: etree._Element, query: Query) -> Iterator[bytes]:
        """The pieces of a configuration tree that are wanted. Raises RpcError."""
        for view in query.views:
            tree = view.tree(tree)
        if query.depth is not None or isinstance(query.wanted, XPathFilter):
            yield from self._selected(tree, query)
            return
        for child in tree:
            yield from self._element(child, _top(query.wanted, str(child.tag)))

    async def read(self, running: etree._Element, query: Query) -> Iterator[bytes]:
        """As `everything`, with what takes long of running beside the event loop. Raises RpcError."""
        whole = query.depth is None and not isinstance(query.wanted, XPathFilter)
        streamed = query if whole else _superset(query)
        tags = self._own_tags(running, streamed)
        if not tags or not is_large(running):
            return self.everything(running, query)
        ready = await self.beside.do(partial(self._ready, running, streamed, tags))
        pieces = self._streamed(running, streamed, self._providers.lists, ready)
        if whole:
            return pieces
        held = [piece async for piece in paced(_bounded(pieces))]
        return iter(await self.beside.do(lambda: list(self._selected(_tree(iter(held)), query))))

    def _own_tags(self, running: etree._Element, query: Query) -> list[str]:
        """The tags of the wanted top-level elements of running to which no provider adds."""
        provided = set(self._providers.top_tags())
        tags = dict.fromkeys(str(child.tag) for child in running)
        return [tag for tag in tags if tag not in provided and _top(query.wanted, tag) != []]

    def _ready(
        self, running: etree._Element, query: Query, tags: Sequence[str]
    ) -> dict[str, list[etree._Element]]:
        """What is wanted of the top-level elements of running with these tags."""
        ready: dict[str, list[etree._Element]] = {}
        for tag in tags:
            filters = _top(query.wanted, tag)
            seen = self._viewed(list(running.iterchildren(tag)), query)
            ready[tag] = [found for item in seen if (found := self._filtered(item, filters)) is not None]
        return ready

    def everything(
        self, running: etree._Element, query: Query, lists: Sequence[ListBranch] | None = None
    ) -> Iterator[bytes]:
        """The pieces of running and of all operational data that are wanted. Raises RpcError.

        `lists` are large lists to read in place of those that are registered.
        """
        if lists is None:
            lists = self._providers.lists
        if query.depth is None and not isinstance(query.wanted, XPathFilter):
            yield from self._streamed(running, query, lists)
            return
        pieces = self._streamed(running, _superset(query), lists)
        yield from self._selected(_tree(pieces), query)

    def _streamed(
        self,
        running: etree._Element,
        query: Query,
        lists: Sequence[ListBranch],
        ready: Mapping[str, Sequence[etree._Element]] = MappingProxyType({}),
    ) -> Iterator[bytes]:
        """`ready` has what is wanted of some top-level elements already."""
        tags = dict.fromkeys([str(child.tag) for child in running] + list(self._providers.top_tags()))
        for tag in tags:
            filters = _top(query.wanted, tag)
            if filters is not None and not filters:
                continue
            if tag in ready:
                for element in ready[tag]:
                    yield from written(element)
                continue
            small = self._viewed(self._small(running, tag), query)
            branches = [branch for branch in lists if branch.nodes[0].tag == tag]
            if branches:
                yield from branched(small[0] if small else None, filters, branches, query.views)
                small = small[1:]
            for element in small:
                yield from self._element(element, filters)
        for i, view in enumerate(query.views):
            later = replace(query, views=query.views[i + 1 :])
            for element in self._viewed(view.missing(list(tags)), later):
                yield from self._element(element, _top(query.wanted, str(element.tag)))

    def _viewed(self, elements: Sequence[etree._Element], query: Query) -> list[etree._Element]:
        shown = list(elements)
        for view in query.views:
            seen = [view.element(item, self._schema.tree.data.get(str(item.tag))) for item in shown]
            shown = [element for element in seen if element is not None]
        return shown

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
        selected = self._filtered(element, filters)
        if selected is not None:
            yield from written(selected)

    def _filtered(self, element: etree._Element, filters: Filters) -> etree._Element | None:
        if filters is None:
            return element
        return apply_nodes(filters, element, self._schema.tree.data.get(str(element.tag)))

    def _selected(self, tree: etree._Element, query: Query) -> Iterator[bytes]:
        """What a query with an expression or a depth selects of a tree."""
        chosen: Selection = True
        if isinstance(query.wanted, XPathFilter):
            chosen = query.wanted.select(tree)
        for i, child in enumerate(tree.iterchildren(etree.Element)):
            selection = chosen if isinstance(chosen, bool) else chosen.get(i, False)
            if isinstance(query.wanted, SubtreeFilter):
                selection = select(query.wanted.at(str(child.tag)), child)
            selected = pruned(child, selection, self._schema.tree.data.get(str(child.tag)), query.depth)
            if selected is not None:
                yield from written(selected)


def _top(wanted: Wanted, tag: str) -> Filters:
    return wanted.at(tag) if isinstance(wanted, SubtreeFilter) else None


def _tree(pieces: Iterator[bytes]) -> etree._Element:
    """The pieces as one tree. Raises RpcError `too-big`."""
    start, end = to_bytes(empty_config()).replace(b"/>", b">"), b"</config>"
    return parsed(b"".join((start, *_bounded(pieces), end)))


def _bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces. Raises RpcError `too-big` where they are more than can be built as one tree."""
    size = 0
    for piece in pieces:
        yield piece
        size += len(piece)
        if size > MAX_TREE:
            raise RpcError.too_big(
                f"the filter looks at more than {MAX_TREE >> 20} MiB of data; name the entries of large lists"
                " by their keys, or give a subtree filter without max-depth"
            )


def _superset(query: Query) -> Query:
    """What is looked at for an expression or a bound on the depth."""
    wanted = query.wanted.superset if isinstance(query.wanted, XPathFilter) else query.wanted
    return replace(query, wanted=wanted, depth=None)


def _nested(tags: Sequence[str], element: etree._Element) -> etree._Element:
    """The element inside the containers above it."""
    if len(tags) == 1:
        return element
    root = holder = etree.Element(tags[0], nsmap=names.nsmap(names.split(tags[0])[0] or ""))
    for tag in tags[1:-1]:
        holder = etree.SubElement(holder, tag, nsmap=names.nsmap(names.split(tag)[0] or ""))
    append_copy(holder, element)
    return root
