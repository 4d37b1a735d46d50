"""Writes a top-level element whose lists come from list providers, merged with what small trees say around
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TypeAlias

from lxml import etree

from netconf_server.providers import Entry, Keys, ListBranch
from netconf_server.pushdown import Filters, below, covers, key_plans, surviving
from netconf_server.subtree import apply_nodes
from netconf_server.written import wrapped, written
from rui.netconf import names
from rui.schema import Kind, Node

_Read: TypeAlias = tuple[Keys, Entry]
KeysAt: TypeAlias = Callable[[Sequence[Node]], Callable[[etree._Element], Sequence[str]]]
"""Given the nodes above a parentless element, the function that finds the keys of it and of what is in it."""


@dataclass(frozen=True)
class _Flow:
    """Entries on their way to one list: the nodes from the top to it, and the reads with the plan behind
    each.
    """

    nodes: tuple[Node, ...]
    reads: Iterator[_Read]


def branched(
    element: etree._Element | None, filters: Filters, branches: Sequence[ListBranch], keys_at: KeysAt
) -> Iterator[bytes]:
    """The pieces of one top-level element: `element` is its small part, if any, `branches` the lists inside
    it.
    """
    flows = [_Flow(branch.nodes, _reads(branch, filters)) for branch in branches]
    if flows[0].nodes[0].kind is Kind.LIST:
        instances = [] if element is None else [element]
        return _Writer(keys_at).entries(flows[0], 0, instances, filters, 0)
    return _Writer(keys_at).container(flows, 0, element, filters, 0)


def _reads(branch: ListBranch, filters: Filters) -> Iterator[_Read]:
    for plan in key_plans(branch.nodes, filters):
        for entry in branch.provider.read(plan):
            yield plan, entry


@dataclass(frozen=True)
class _Writer:
    keys_at: KeysAt

    def container(
        self, flows: Sequence[_Flow], level: int, element: etree._Element | None, filters: Filters, depth: int
    ) -> Iterator[bytes]:
        """A container above lists; `depth` counts the lists passed on the way."""
        alive = surviving(filters, element)
        if alive is None or alive:
            yield from self._body(flows, level, element, alive, depth)

    def entries(
        self, flow: _Flow, level: int, instances: Sequence[etree._Element], filters: Filters, depth: int
    ) -> Iterator[bytes]:
        """The provider's own list, or the entries of a list above it with those entries inside."""
        node = flow.nodes[level]
        if level == len(flow.nodes) - 1:
            yield from self._leaves(flow, filters)
            return
        waiting = {_instance_key(instance, node): instance for instance in instances}
        for key, reads in groupby(
            flow.reads, lambda read: tuple(read[1].parents[depth][k] for k in node.keys)
        ):
            instance = waiting.pop(key, None)
            if instance is None:
                instance = _stub(node, key)
            alive = surviving(filters, instance)
            if alive is None or alive:
                yield from self._body([_Flow(flow.nodes, reads)], level, instance, alive, depth + 1)
        for instance in waiting.values():
            selected = (
                instance if filters is None else apply_nodes(filters, instance, self._keys(flow, level))
            )
            if selected is not None:
                yield from written(selected)

    def _body(
        self, flows: Sequence[_Flow], level: int, element: etree._Element | None, alive: Filters, depth: int
    ) -> Iterator[bytes]:
        node = flows[0].nodes[level]
        tags = list(dict.fromkeys(flow.nodes[level + 1].tag for flow in flows))
        selected = element
        if element is not None and alive is not None:
            selected = apply_nodes(alive, element, self._keys(flows[0], level))
        inner = [self._small(node, element, selected, tags)]
        for tag in tags:
            there = [flow for flow in flows if flow.nodes[level + 1].tag == tag]
            filters = below(alive, tag)
            if there[0].nodes[level + 1].kind is Kind.LIST:
                instances = [] if element is None else list(element.iterchildren(tag))
                inner.append(self.entries(there[0], level + 1, instances, filters, depth))
            else:
                child = None if element is None else element.find(tag)
                inner.append(self.container(there, level + 1, child, filters, depth))
        name, namespace = node.name.encode(), node.namespace.encode()
        start, end = b'<%s xmlns="%s">' % (name, namespace), b"</%s>" % name
        yield from wrapped(start, chain.from_iterable(inner), end, always=selected is not None)

    def _small(
        self, node: Node, element: etree._Element | None, selected: etree._Element | None, skipped: list[str]
    ) -> Iterator[bytes]:
        """The selected children that do not lead to a provider; keys are there in any case."""
        if element is None:
            return
        if selected is None:
            keys = {f"{{{node.namespace}}}{key}" for key in node.keys}
            children = [child for child in element if child.tag in keys]
        else:
            children = [child for child in selected if child.tag not in skipped]
        for child in children:
            yield from written(child)

    def _leaves(self, flow: _Flow, filters: Filters) -> Iterator[bytes]:
        node = flow.nodes[-1]
        if filters is None:
            for _, entry in flow.reads:
                yield entry.xml
            return
        if not filters:
            return
        keys_of = self._keys(flow, len(flow.nodes) - 1)
        plan: Keys | None = None
        whole = False
        for its_plan, entry in flow.reads:
            if its_plan is not plan:
                plan = its_plan
                whole = any(covers(plan, node, filter_node) for filter_node in filters)
            if whole:
                yield entry.xml
                continue
            element = etree.fromstring(entry.xml)
            selected = apply_nodes(filters, element, keys_of)
            if selected is not None:
                yield from written(selected)

    def _keys(self, flow: _Flow, level: int) -> Callable[[etree._Element], Sequence[str]]:
        return self.keys_at(flow.nodes[:level])


def _stub(node: Node, key: tuple[str, ...]) -> etree._Element:
    element = etree.Element(node.tag, nsmap=names.nsmap(node.namespace))
    for name, value in zip(node.keys, key, strict=True):
        etree.SubElement(element, f"{{{node.namespace}}}{name}").text = value
    return element


def _instance_key(instance: etree._Element, node: Node) -> tuple[str, ...]:
    return tuple((instance.findtext(f"{{{node.namespace}}}{key}") or "").strip() for key in node.keys)
