"""Where in the data a fault lies: the XPath of RFC 6241's error-path, with keys, made only when an error
needs it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from netconf_server.values import key_tags
from netconf_server.xmltree import value_prefixes
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Node


@dataclass(frozen=True)
class Place:
    """One step of the path and the step above it; the root has no node."""

    parent: Place | None
    node: Node | None
    predicates: Sequence[tuple[str, str]] = ()
    prefixes: Mapping[str, str] | None = None
    """Those that the values of the predicates use."""

    @classmethod
    def root(cls) -> Place:
        """The place above all top-level nodes."""
        return cls(None, None)

    def child(self, node: Node) -> Place:
        """The place of a container, leaf, anydata or anyxml below this one."""
        return Place(self, node)

    def entry(self, node: Node, keys: Sequence[etree._Element]) -> Place:
        """The place of the list entry with these key leafs."""
        predicates: list[tuple[str, str]] = []
        prefixes: dict[str, str] = {}
        for key in keys:
            text, used = _value_text(key, node.children[str(key.tag)])
            predicates.append((f"{node.module}:{names.split(str(key.tag))[1]}", text))
            prefixes.update(used)
        return Place(self, node, predicates, prefixes)

    def value(self, node: Node, item: etree._Element) -> Place:
        """The place of one value of a leaf-list."""
        text, used = _value_text(item, node)
        return Place(self, node, [(".", text)], used)

    @property
    def text(self) -> str:
        """The absolute XPath; `/` for the root."""
        if self.node is None or self.parent is None:
            return "/"
        above = "" if self.parent.node is None else self.parent.text
        tests = "".join(f"[{name}={_literal(value)}]" for name, value in self.predicates)
        return f"{above}/{self.node.module}:{self.node.name}{tests}"

    @property
    def namespaces(self) -> dict[str, str]:
        """The prefixes of `text` and what they stand for."""
        if self.node is None or self.parent is None:
            return {}
        own = {self.node.module: self.node.namespace}
        return {**self.parent.namespaces, **(self.prefixes or {}), **own}

    def at(self, error: RpcError) -> RpcError:
        """Have the error name this place."""
        if self.node is not None:
            error.path, error.path_namespaces = self.text, self.namespaces
        return error

    def exists(self) -> RpcError:
        """`data-exists` for a create of this place."""
        return self.at(RpcError.data_exists(f"{self.text} exists already; use merge or replace to change it"))

    def missing(self, advice: str) -> RpcError:
        """`data-missing` for this place."""
        return self.at(RpcError.data_missing(f"{self.text} does not exist: {advice}"))

    def unknown(self, element: etree._Element, namespaces: Collection[str]) -> RpcError:
        """`unknown-namespace` or `unknown-element` for a child of this place that no module defines."""
        namespace, name = names.split(str(element.tag))
        where = "at the top of the data" if self.node is None else f"under {self.text}"
        if namespace is None or namespace not in namespaces:
            return self.at(RpcError.unknown_namespace(str(element.tag), namespace or ""))
        advice = f"no module defines {name!r} {where}; see get-schema for what there is"
        return self.at(RpcError.unknown_element(str(element.tag), advice))


def read_keys(source: etree._Element, node: Node, above: Place) -> list[etree._Element]:
    """The key leafs of a list entry in a request, in the order of the list. Raises RpcError `missing-element`
    where one is missing; `above` is the place of the parent.
    """
    leafs = []
    for tag in key_tags(node):
        leaf = source.find(tag)
        if leaf is None:
            message = f"an entry of {node.name!r} lacks its key {names.split(tag)[1]!r}; give every key"
            raise above.child(node).at(RpcError.missing_element(tag, message))
        leafs.append(leaf)
    return leafs


def _value_text(leaf: etree._Element, node: Node) -> tuple[str, Mapping[str, str]]:
    """A key's text for a predicate, and the prefixes in it; an identity's is the name of its module."""
    text = (leaf.text or "").strip()
    if node.type is None or node.type.base not in _PREFIXED:
        return text, {}
    if node.type.base == "identityref":
        prefix, _, name = text.rpartition(":")
        namespace = leaf.nsmap.get(prefix or None)
        known = [identity for identity in node.type.identities if identity.rpartition(":")[2] == name]
        # Where two modules have one of this name, it stays as it was written.
        if namespace is not None and len(known) == 1:
            return known[0], {known[0].partition(":")[0]: namespace}
    return text, value_prefixes(leaf)


_PREFIXED: Final = frozenset({"identityref", "instance-identifier", "union"})


def _literal(value: str) -> str:
    """An XPath string literal; a value with both kinds of quotes is joined from pieces."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    return "concat(" + ',"\'",'.join(f"'{piece}'" for piece in value.split("'")) + ")"
