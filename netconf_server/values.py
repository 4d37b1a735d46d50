"""Values of leafs made comparable: two texts of one value (`1` and `01`, two prefixes of one identity)
become equal.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, TypeAlias

from lxml import etree

from rui.schema import Node

Value: TypeAlias = Hashable

DEFAULT: Final = "{urn:ietf:params:xml:ns:netconf:default:1.0}default"
"""The attribute that marks default data (RFC 6243 section 6)."""

_INTEGERS = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))


def key_tags(node: Node) -> tuple[str, ...]:
    """The tags of a list's key leafs, which are always of the list's own module; none if it is no list."""
    return _qualified(node.namespace, node.keys) if node.keys else ()


@lru_cache(maxsize=1024)
def _qualified(namespace: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{{{namespace}}}{name}" for name in keys)


def value_of(leaf: etree._Element, node: Node) -> Value:
    """The value of a leaf or leaf-list element, for comparing only."""
    return value_of_text(leaf.text or "", leaf.nsmap, node)


def value_of_text(text: str, prefixes: Mapping[str | None, str], node: Node) -> Value:
    """The value that `text` has for this leaf, with `prefixes` in scope; a text that does not fit stays
    itself.
    """
    base = node.type.base if node.type is not None else "string"
    if base == "string":
        return text
    text = text.strip()
    if base in _INTEGERS:
        return _integer(text)
    if base == "decimal64":
        return _decimal(text)
    if base == "identityref":
        prefix, _, name = text.rpartition(":")
        return (prefixes.get(prefix or None, prefix), name)
    if base == "bits":
        return frozenset(text.split())
    return text


def is_marked_default(leaf: etree._Element) -> bool:
    """Whether an element is marked as default data."""
    return (leaf.get(DEFAULT) or "").strip() in ("true", "1")


def is_default(leaf: etree._Element, node: Node) -> bool:
    """Whether an element has the value that the model gives it where nobody sets it."""
    return value_of(leaf, node) in [value_of_text(text, leaf.nsmap, node) for text in node.defaults]


def _integer(text: str) -> Value:
    digits = text.lstrip("+-")
    octal = digits[:1] == "0" and digits.isdigit() and len(digits) > 1
    try:
        return int(text, 8) if octal else int(text, 0)
    except ValueError:
        return text


def _decimal(text: str) -> Value:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text
