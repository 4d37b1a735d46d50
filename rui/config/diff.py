"""How two configurations differ, node by node: list entries are known by their keys, never by their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from lxml import etree

from rui.schema import Kind, Node

_Name: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Crumb:
    """One step of the way to a difference: the element's tag, its node if the schema knows it, and keys."""

    tag: str
    node: Node | None
    keys: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its local name."""
        return self.tag.rpartition("}")[2]


@dataclass(frozen=True, slots=True)
class Difference:
    """One node that one configuration has and the other has not, or has with another value.

    `path` ends with the node itself. `old` and `new` are its elements, None where there is none; both are
    there only for a leaf, for data unknown to the schema, and where entries that are ordered by the user
    (`moved`) stand in another order.
    """

    path: tuple[Crumb, ...]
    old: etree._Element | None
    new: etree._Element | None
    moved: bool = False


def path_text(path: Iterable[Crumb]) -> str:
    """A path for people: `/rui-device:device/group[g1]/address`."""
    parts: list[str] = []
    module = ""
    for crumb in path:
        own = crumb.node.module if crumb.node is not None else module
        parts.append(crumb.name if own == module else f"{own}:{crumb.name}")
        parts[-1] += "".join(f"[{key}]" for key in crumb.keys)
        module = own
    return "/" + "/".join(parts)


def differences(
    old: etree._Element, new: etree._Element, top: Mapping[str, Node], *, defaults: bool = False
) -> Iterator[Difference]:
    """Yield the differences between two `config` (or `data`) elements; `top` are the top-level nodes.

    With `defaults` a leaf that has its default value is the same as none: servers may leave it out or not
    (RFC 6243 section 2).
    """
    yield from _compare(old, new, top, (), defaults)


def _compare(
    old: etree._Element,
    new: etree._Element,
    level: Mapping[str, Node],
    path: tuple[Crumb, ...],
    defaults: bool,
) -> Iterator[Difference]:
    before, after = _named(old, level), _named(new, level)
    for name in dict.fromkeys((*before, *after)):
        was, now = before.get(name), after.get(name)
        element = was if was is not None else now
        if element is None:
            continue
        node = level.get(str(element.tag))
        here = (*path, Crumb(str(element.tag), node, keys_of(element, node)))
        if was is None or now is None:
            if not _void(element, node, defaults):
                yield Difference(here, was, now)
        elif node is not None and node.kind in (Kind.CONTAINER, Kind.LIST):
            yield from _compare(was, now, node.children, here, defaults)
        elif _content(was) != _content(now) and _value(was, node) != _value(now, node):
            yield Difference(here, was, now)
    yield from _moved(before, after, level, path)


def _moved(
    before: Mapping[_Name, etree._Element],
    after: Mapping[_Name, etree._Element],
    level: Mapping[str, Node],
    path: tuple[Crumb, ...],
) -> Iterator[Difference]:
    for tag, node in level.items():
        if node.ordered_by_user:
            was = [name for name in before if name[0] == tag and name in after]
            now = [name for name in after if name[0] == tag and name in before]
            if was != now:
                yield Difference((*path, Crumb(tag, node)), before[was[0]], after[now[0]], moved=True)


def _named(parent: etree._Element, level: Mapping[str, Node]) -> dict[_Name, etree._Element]:
    """The children by what makes each unique: keys of an entry, value of a leaf-list."""
    named: dict[_Name, etree._Element] = {}
    for child in parent.iterchildren(etree.Element):
        tag = str(child.tag)
        node = level.get(tag)
        name: _Name = (tag, *keys_of(child, node))
        if node is None:
            # Of data that the schema does not know, several may have one name
            while name in named:
                name = (*name, "")
        named[name] = child
    return named


def _void(element: etree._Element, node: Node | None, defaults: bool) -> bool:
    """Whether an element says nothing: a container without presence that holds nothing (RFC 7950 7.5.1),
    and with `defaults` a leaf with its default value.
    """
    if node is None:
        return False
    if node.kind is Kind.LEAF:
        default = etree.Element(element.tag)
        default.text = node.defaults[0] if node.defaults else None
        return defaults and bool(node.defaults) and _value(default, node) == _value(element, node)
    if node.kind is not Kind.CONTAINER or node.presence:
        return False
    children = element.iterchildren(etree.Element)
    return all(_void(child, node.children.get(str(child.tag)), defaults) for child in children)


def keys_of(element: etree._Element, node: Node | None) -> tuple[str, ...]:
    """What tells an element from its like: the keys of an entry, the value of a leaf-list, else nothing."""
    if node is not None and node.kind is Kind.LIST:
        return tuple((element.findtext(f"{{{node.namespace}}}{key}") or "").strip() for key in node.keys)
    if node is not None and node.kind is Kind.LEAF_LIST:
        return ((element.text or "").strip(),)
    return ()


def _value(element: etree._Element, node: Node | None) -> object:
    """A leaf's value, however it is written: numbers (RFC 7950 9.2.1, 9.3.1), identities."""
    text = (element.text or "").strip()
    base = node.type.base if node is not None and node.type is not None else ""
    if base == "identityref":
        prefix, _, name = text.rpartition(":")
        return (dict(element.nsmap).get(prefix or None), name)
    if base == "decimal64" or base.lstrip("u").startswith("int"):
        try:
            return Decimal(text)
        except InvalidOperation:
            return text
    return text if base else _content(element)


def _content(element: etree._Element) -> bytes:
    if len(element) == 0:
        return (element.text or "").strip().encode()
    return etree.tostring(element, method="c14n", exclusive=True, with_tail=False)
