"""Values of leafs made comparable: two texts of one value (`1` and `01`, two prefixes of one identity)
become equal.
"""

from __future__ import annotations

import re
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


# What YANG takes for numbers, and no more: Python's own reading is laxer (RFC 7950 9.2.1, 9.3.1).
_WRITTEN_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_WRITTEN_DECIMAL = re.compile(r"[+-]?[0-9]{1,19}(?:\.[0-9]{1,18})?", re.ASCII)


def key_tags(node: Node) -> tuple[str, ...]:
    """The tags of a list's key leafs, which are always of the list's own module; none if it is no list."""
    return _qualified(node.namespace, node.keys) if node.keys else ()


@lru_cache(maxsize=1024)
def _qualified(namespace: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{{{namespace}}}{name}" for name in keys)


def value_of(leaf: etree._Element, node: Node) -> Value:
    """The value of a leaf or leaf-list element, for comparing only."""
    base = node.type.base if node.type is not None else "string"
    if base == "string":
        return leaf.text or ""
    # The prefixes of an element are costly to tell, and few types look at them.
    prefixes = leaf.nsmap if base == "identityref" else {}
    return value_of_text(leaf.text or "", prefixes, node)


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


def canonical(text: str | None, node: Node) -> str | None:
    """The text as the model's type writes it (RFC 7950 9.1), for numbers and bits; others, and what does not
    fit, as they are.
    """
    base = node.type.base if node.type is not None else "string"
    if base == "string" or not text:
        return text
    if base in _INTEGERS and _WRITTEN_INTEGER.fullmatch(text):
        return str(_integer(text))
    if base == "decimal64" and _WRITTEN_DECIMAL.fullmatch(text):
        digits = format(Decimal(text).normalize(), "f")
        return digits if "." in digits else f"{digits}.0"
    if base == "bits" and node.type is not None:
        named = text.split()
        ordered = [bit for bit in node.type.bits if bit in named]
        return " ".join(ordered) if len(ordered) == len(named) else text
    return text


def is_marked_default(leaf: etree._Element) -> bool:
    """Whether an element is marked as default data."""
    return (leaf.get(DEFAULT) or "").strip() in ("true", "1")


def is_default(leaf: etree._Element, node: Node) -> bool:
    """Whether an element has the value that the model gives it where nobody sets it."""
    return value_of(leaf, node) in [value_of_text(text, leaf.nsmap, node) for text in node.defaults]


def _integer(text: str) -> Value:
    """Values are decimal; hexadecimal is for the defaults of a module (RFC 7950 9.2.1)."""
    try:
        return int(text, 16 if text.lstrip("+-")[:2].lower() == "0x" else 10)
    except ValueError:
        return text


def _decimal(text: str) -> Value:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text
