"""From an XPath expression to a subtree filter that selects all that the expression may look at.

So large lists are asked for the entries that an expression names by their keys, and for no others. The filter
may select more than needed, never less; where nothing can be said, all data is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from netconf_server.subtree import FilterNode, SubtreeFilter
from netconf_server.xpathtokens import Kind, Token, is_bare, reaches_out

_Namespaces: TypeAlias = Mapping[str, str]


def plan(found: Sequence[Token], namespaces: _Namespaces) -> SubtreeFilter | None:
    """A subtree filter over everything that the expression needs; None where that is all data."""
    if reaches_out(found):
        return None
    tops = [_path(alternative, namespaces) for alternative in _alternatives(found)]
    if not tops or None in tops:
        return None
    return SubtreeFilter(_node(None, "filter", (), tuple(top for top in tops if top is not None)))


def is_plain(found: Sequence[Token], namespaces: _Namespaces) -> bool:
    """Say whether an expression is made of paths of names whose predicates are equalities, and nothing else.

    Whether such a path selects a node does not depend on the node's siblings.
    """
    return all(_is_plain(alternative, namespaces) for alternative in _alternatives(found))


def _is_plain(alternative: Sequence[Token], namespaces: _Namespaces) -> bool:
    rest = list(alternative)
    while rest and rest[0].text == "/":
        rest.pop(0)
        if not rest or _name(rest[0], namespaces) is None:
            return False
        rest.pop(0)
        if not _pins(rest, namespaces)[1]:
            return False
    return not rest


def _alternatives(found: Sequence[Token]) -> list[list[Token]]:
    """The operands of a union, or the whole expression."""
    parts: list[list[Token]] = [[]]
    parentheses = 0
    for token in found:
        parentheses += (token.text == "(") - (token.text == ")") if token.kind is Kind.MARK else 0
        if token.text == "|" and token.kind is Kind.OPERATOR and token.depth == 0 and not parentheses:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _path(alternative: Sequence[Token], namespaces: _Namespaces) -> FilterNode | None:
    """The chain of filter nodes for the leading child steps of a location path; None without any."""
    rest = list(alternative)
    if rest and rest[0].kind is Kind.ROOT and rest[0].text == "/":
        rest.pop(0)
    steps: list[tuple[str | None, str, tuple[FilterNode, ...]]] = []
    while rest:
        name = _name(rest[0], namespaces)
        if name is None:
            break
        rest.pop(0)
        pins, simple = _pins(rest, namespaces)
        steps.append((*name, pins))
        if not simple or not rest or rest[0].text != "/":
            break
        rest.pop(0)
    if any(_joins(token) for token in alternative):
        return None
    node: FilterNode | None = None
    for namespace, local, pins in reversed(steps):
        node = _node(namespace, local, pins, () if node is None else (node,))
    return node


def _joins(token: Token) -> bool:
    """Whether a token makes more of the expression than one location path."""
    return token.depth == 0 and token.kind is Kind.OPERATOR and token.text not in ("/", "//")


def _name(token: Token, namespaces: _Namespaces) -> tuple[str | None, str] | None:
    """Namespace (None for any) and name of a name test; None where the token is none."""
    if is_bare(token):
        return None, token.text
    prefix, _, local = token.text.rpartition(":")
    if token.kind is not Kind.NAME or local == "*" or prefix not in namespaces:
        return None
    return namespaces[prefix], local


def _pins(rest: list[Token], namespaces: _Namespaces) -> tuple[tuple[FilterNode, ...], bool]:
    """Take the predicates off `rest`; return the equalities of the leading ones, and whether that was all."""
    pins: list[FilterNode] = []
    simple = True
    while rest and rest[0].text == "[":
        end = next((i for i, token in enumerate(rest) if token.text == "]" and token.depth == 0), len(rest))
        inner = rest[1:end]
        del rest[: end + 1]
        found = _equalities(inner, namespaces) if simple else None
        simple = found is not None
        pins += found or []
    return tuple(pins), simple


def _equalities(inner: Sequence[Token], namespaces: _Namespaces) -> list[FilterNode] | None:
    """The content matches that a predicate such as `a:k = 'x' and a:l = 'y'` is made of; None for others."""
    pins: list[FilterNode] = []
    for i in range(0, len(inner), 4):
        term = inner[i : i + 4]
        if len(term) not in (3, 4) or (len(term) == 4 and term[3].text != "and") or term[1].text != "=":
            return None
        sides = sorted((term[0], term[2]), key=lambda token: token.kind is Kind.LITERAL)
        name = _name(sides[0], namespaces)
        value = sides[1].text[1:-1]
        # A content match looks past white space around a value, and has some text.
        if name is None or sides[1].kind is not Kind.LITERAL or not value or value != value.strip():
            return None
        pins.append(_node(*name, (), (), text=value))
    return pins if len(inner) % 4 == 3 else None


def _node(
    namespace: str | None,
    name: str,
    content: tuple[FilterNode, ...],
    others: tuple[FilterNode, ...],
    *,
    text: str | None = None,
) -> FilterNode:
    return FilterNode(namespace, name, (), text, None, content, others)
