"""Writes a top-level element whose lists come from list providers, merged with small trees around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby

from lxml import etree

from netconf_server.providers import Keys, ListBranch
from netconf_server.pushdown import Filters, below, covers, key_plans, surviving
from netconf_server.query import Read, View
from netconf_server.subtree import apply_nodes
from netconf_server.values import key_tags
from netconf_server.written import wrapped, written
from rui.netconf import names
from rui.schema import Kind, Node


@dataclass(frozen=True)
class _Flow:
    """Entries on their way to one list: the nodes from the top to it, the reads and their plans.

    `level` is the node that is being written, `lists` how many lists were passed above it.
    """

    nodes: tuple[Node, ...]
    reads: Iterator[Read]
    level: int = 0
    lists: int = 0

    @property
    def node(self) -> Node:
        return self.nodes[self.level]

    @property
    def below(self) -> Node:
        return self.nodes[self.level + 1]

    def key(self, read: Read) -> tuple[str, ...]:
        parent = read[1].parents[self.lists]
        return tuple(parent[name] for name in self.node.keys)


def branched(
    element: etree._Element | None,
    filters: Filters,
    branches: Sequence[ListBranch],
    views: Sequence[View] = (),
) -> Iterator[bytes]:
    """The pieces of one top-level element: `element` is its small part, `branches` the lists inside it, whose
    entries are shown through `views`.
    """
    flows = [_Flow(branch.nodes, _reads(branch, filters, views)) for branch in branches]
    if flows[0].node.kind is Kind.LIST:
        return _entries(flows[0], [] if element is None else [element], filters)
    return _container(flows, element, filters)


def _reads(branch: ListBranch, filters: Filters, views: Sequence[View]) -> Iterator[Read]:
    reads: Iterator[Read] = (
        (plan, entry)
        for plan in key_plans(branch.nodes, filters, outer_given=branch.outer_given)
        for entry in branch.provider.read(plan)
    )
    for view in views:
        reads = view.entries(branch.nodes, reads)
    return reads


def _container(flows: Sequence[_Flow], element: etree._Element | None, filters: Filters) -> Iterator[bytes]:
    alive = surviving(filters, element)
    if alive is None or alive:
        yield from _instance(flows, element, alive)


def _entries(flow: _Flow, instances: Sequence[etree._Element], filters: Filters) -> Iterator[bytes]:
    """The provider's own list, or the entries of a list above it with those entries inside."""
    node = flow.node
    if flow.level == len(flow.nodes) - 1:
        yield from _leaves(flow, filters)
        return
    waiting = {_instance_key(instance, node): instance for instance in instances}
    for key, reads in groupby(flow.reads, flow.key):
        instance = waiting.pop(key, None)
        if instance is None:
            instance = _stub(node, key)
        alive = surviving(filters, instance)
        if alive is None or alive:
            yield from _instance([replace(flow, reads=reads, lists=flow.lists + 1)], instance, alive)
    for instance in waiting.values():
        selected = instance if filters is None else apply_nodes(filters, instance, node)
        if selected is not None:
            yield from written(selected)


def _instance(flows: Sequence[_Flow], element: etree._Element | None, alive: Filters) -> Iterator[bytes]:
    """One container or list entry above provided lists."""
    node = flows[0].node
    tags = list(dict.fromkeys(flow.below.tag for flow in flows))
    selected = element
    if element is not None and alive is not None:
        selected = apply_nodes(alive, element, node)
    inner = [_small(node, element, selected, tags)]
    for tag in tags:
        there = [replace(flow, level=flow.level + 1) for flow in flows if flow.below.tag == tag]
        filters = below(alive, tag)
        if there[0].node.kind is Kind.LIST:
            inner.append(
                _entries(there[0], [] if element is None else list(element.iterchildren(tag)), filters)
            )
        else:
            inner.append(_container(there, None if element is None else element.find(tag), filters))
    name, namespace = node.name.encode(), node.namespace.encode()
    start, end = b'<%s xmlns="%s">' % (name, namespace), b"</%s>" % name
    yield from wrapped(start, chain.from_iterable(inner), end, always=selected is not None)


def _small(
    node: Node, element: etree._Element | None, selected: etree._Element | None, skipped: Sequence[str]
) -> Iterator[bytes]:
    """The selected children that do not lead to a provider; keys are there in any case."""
    if element is None:
        return
    if selected is None:
        children = [child for child in element if child.tag in key_tags(node)]
    else:
        children = [child for child in selected if child.tag not in skipped]
    for child in children:
        yield from written(child)


def _leaves(flow: _Flow, filters: Filters) -> Iterator[bytes]:
    if filters is None:
        for _, entry in flow.reads:
            yield entry.xml
        return
    if not filters:
        return
    plan: Keys | None = None
    whole = False
    for its_plan, entry in flow.reads:
        if its_plan is not plan:
            plan = its_plan
            whole = any(covers(plan, flow.node, filter_node) for filter_node in filters)
        if whole:
            yield entry.xml
            continue
        selected = apply_nodes(filters, etree.fromstring(entry.xml), flow.node)
        if selected is not None:
            yield from written(selected)


def _stub(node: Node, key: Sequence[str]) -> etree._Element:
    """A list entry of which nothing but the keys is known."""
    element = etree.Element(node.tag, nsmap=names.nsmap(node.namespace))
    for tag, value in zip(key_tags(node), key, strict=True):
        etree.SubElement(element, tag).text = value
    return element


def _instance_key(instance: etree._Element, node: Node) -> tuple[str, ...]:
    return tuple((instance.findtext(tag) or "").strip() for tag in key_tags(node))
