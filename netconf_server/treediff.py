"""What differs between two data trees, node by node: for access control, change events, updates on change.

Only the topmost node of what came or went is named. Equal parts are told by their bytes, so that a large tree
with a small change is mostly passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from lxml import etree

from netconf_server.values import Value, key_tags, value_of
from netconf_server.xmltree import to_bytes
from rui.netconf import names
from rui.schema import Kind, Node


class ChangeKind(StrEnum):
    """What happened to a node, in the words of RFC 8641's change-type."""

    CREATE = "create"
    DELETE = "delete"
    INSERT = "insert"
    MOVE = "move"
    REPLACE = "replace"


@dataclass(frozen=True)
class Step:
    """One step of a path: an element, and the key leafs (or the leaf-list value) that tell it from others."""

    tag: str
    keys: tuple[tuple[str, str], ...] = ()
    value: str | None = None


Steps = tuple[Step, ...]


@dataclass(frozen=True)
class Difference:
    """One node that differs: `element` is as it is now, for a delete as it was."""

    kind: ChangeKind
    steps: Steps
    element: etree._Element


def differences(
    schema: Mapping[str, Node], old: etree._Element, new: etree._Element, above: Steps = ()
) -> Iterator[Difference]:
    """What changed from the children of `old` to those of `new`, both instances of one node.

    `schema` are the nodes of the children by tag, `above` the path to the parent. Where entries of a list
    without keys differ, their parent is the node that was replaced; at the top they came and went.
    """
    before, after = _by_tag(old), _by_tag(new)
    for tag in dict.fromkeys([*after, *before]):
        one, other = _without_common_ends(before.get(tag, []), after.get(tag, []))
        if one or other:
            yield from _siblings(schema.get(tag), one, other, above)


def _siblings(
    node: Node | None, old: Sequence[etree._Element], new: Sequence[etree._Element], above: Steps
) -> Iterator[Difference]:
    """The differences among all instances of one schema node below one parent."""
    before = {_identity(item, node, place): item for place, item in enumerate(old)}
    after = {_identity(item, node, place): item for place, item in enumerate(new)}
    ordered = node is not None and node.ordered_by_user
    for key, item in before.items():
        if key not in after:
            yield Difference(ChangeKind.DELETE, (*above, step_of(item, node)), item)
    for key, item in after.items():
        steps = (*above, step_of(item, node))
        if key not in before:
            yield Difference(ChangeKind.INSERT if ordered else ChangeKind.CREATE, steps, item)
        else:
            yield from _pair(node, before[key], item, steps)
    if ordered:
        yield from _moved(node, before, after, above)


def _moved(
    node: Node | None,
    before: Mapping[Value, etree._Element],
    after: Mapping[Value, etree._Element],
    above: Steps,
) -> Iterator[Difference]:
    """What stayed but stands at another place among those that stayed."""
    stayed = [key for key in after if key in before]
    for was, key in zip((key for key in before if key in after), stayed, strict=True):
        if was != key:
            yield Difference(ChangeKind.MOVE, (*above, step_of(after[key], node)), after[key])


def _pair(node: Node | None, old: etree._Element, new: etree._Element, steps: Steps) -> Iterator[Difference]:
    """The differences between two states of one node."""
    if to_bytes(old) == to_bytes(new):
        return
    if node is not None and node.kind in (Kind.CONTAINER, Kind.LIST):
        keyless = [
            child.tag for child in node.children.values() if child.kind is Kind.LIST and not child.keys
        ]
        if any(_texts(old, tag) != _texts(new, tag) for tag in keyless):
            yield Difference(ChangeKind.REPLACE, steps, new)
        else:
            yield from differences(node.children, old, new, steps)
    elif node is None or node.kind is not Kind.LEAF or value_of(old, node) != value_of(new, node):
        yield Difference(ChangeKind.REPLACE, steps, new)


def _texts(parent: etree._Element, tag: str) -> list[bytes]:
    return [to_bytes(item) for item in parent.iterchildren(tag)]


def _without_common_ends(
    old: Sequence[etree._Element], new: Sequence[etree._Element]
) -> tuple[Sequence[etree._Element], Sequence[etree._Element]]:
    """Leave out what is equal at the beginning and at the end of both."""
    start, limit = 0, min(len(old), len(new))
    while start < limit and to_bytes(old[start]) == to_bytes(new[start]):
        start += 1
    end, limit = 0, limit - start
    while end < limit and to_bytes(old[-1 - end]) == to_bytes(new[-1 - end]):
        end += 1
    return old[start : len(old) - end], new[start : len(new) - end]


def _by_tag(parent: etree._Element) -> dict[str, list[etree._Element]]:
    found: dict[str, list[etree._Element]] = {}
    for child in parent.iterchildren(etree.Element):
        found.setdefault(str(child.tag), []).append(child)
    return found


def _identity(item: etree._Element, node: Node | None, place: int) -> Value:
    if node is None:
        return place
    if node.kind is Kind.LEAF_LIST:
        return value_of(item, node)
    if node.kind is not Kind.LIST:
        return 0
    return tuple(_key_value(item, node, tag) for tag in key_tags(node)) if node.keys else to_bytes(item)


def _key_value(item: etree._Element, node: Node, tag: str) -> Value:
    leaf, inner = item.find(tag), node.children.get(tag)
    return None if leaf is None or inner is None else value_of(leaf, inner)


def step_of(item: etree._Element, node: Node | None) -> Step:
    """The path step of an instance of a schema node."""
    tag = str(item.tag)
    if node is not None and node.kind is Kind.LEAF_LIST:
        return Step(tag, value=(item.text or "").strip())
    keys = key_tags(node) if node is not None and node.kind is Kind.LIST else ()
    return Step(tag, tuple((key, (item.findtext(key) or "").strip()) for key in keys))


def instance_identifier(steps: Sequence[Step], prefixes: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The path as an instance-identifier (RFC 7950 section 9.13) and the prefixes that it uses.

    `prefixes` gives the prefix of each namespace.
    """
    used: dict[str, str] = {}

    def name(tag: str) -> str:
        namespace, local = names.split(tag)
        prefix = prefixes.get(namespace or "", "ns")
        used[prefix] = namespace or ""
        return f"{prefix}:{local}"

    text = ""
    for step in steps:
        text += f"/{name(step.tag)}"
        text += "".join(f"[{name(key)}={_quoted(value)}]" for key, value in step.keys)
        text += f"[.={_quoted(step.value)}]" if step.value is not None else ""
    return text, used


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"


def resource_path(steps: Sequence[Step], modules: Mapping[str, str]) -> str:
    """The path as the target of a YANG patch edit (RFC 8072 section 2.2); `modules` by namespace."""
    text, above = "", None
    for step in steps:
        namespace, local = names.split(step.tag)
        prefix = f"{modules.get(namespace or '', '')}:" if namespace != above else ""
        values = [value for _, value in step.keys] + ([step.value] if step.value is not None else [])
        keys = "=" + ",".join(quote(value, safe="") for value in values) if values else ""
        text += f"/{prefix}{local}{keys}"
        above = namespace
    return text
