"""XPath 1.0 expressions as tokens, as far as a server has to know them: where paths begin at the root, where
predicates are, and how much work an expression can make.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<literal>"[^"]*"|'[^']*')
      | (?P<number>\d+(?:\.\d*)?|\.\d+)
      | (?P<name>[^\W\d][\w.-]*(?::(?:[^\W\d][\w.-]*|\*))?(?!\w))
      | (?P<mark>//|::|!=|<=|>=|\.\.|[()\[\].@,|+\-=<>*/$])
    )""",
    re.VERBOSE,
)
_OPERATOR_NAMES: Final = frozenset({"and", "or", "div", "mod"})
_OPERATOR_MARKS: Final = frozenset({"/", "//", "|", "+", "-", "=", "!=", "<", "<=", ">", ">="})
# After these a name or `*` is not an operator (XPath 1.0 section 3.7), and a slash begins at the root.
_OPENING: Final = frozenset({"@", "::", "(", "[", ","})
_NARROW_AXES: Final = frozenset({"child", "self", "attribute"})
_DOWN_AXES: Final = frozenset({"descendant", "descendant-or-self"})


class Kind(Enum):
    """What a token is; `AXIS` is a name before `::`, `ROOT` a slash that begins at the root."""

    LITERAL = auto()
    NUMBER = auto()
    NAME = auto()
    AXIS = auto()
    FUNCTION = auto()
    OPERATOR = auto()
    ROOT = auto()
    MARK = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `depth` counts the predicates around it."""

    kind: Kind
    text: str
    depth: int


def tokens(expression: str) -> list[Token]:
    """The tokens of an expression. Raises ValueError at what is none; the grammar is libxml2's matter."""
    found: list[Token] = []
    depth = end = 0
    for match in _matches(expression):
        end = match.end()
        text = match[match.lastgroup or 0]
        depth -= text == "]" and match.lastgroup == "mark"
        found.append(Token(_kind(match, text, found, expression), text, depth))
        depth += text == "[" and match.lastgroup == "mark"
    if expression[end:].strip():
        raise ValueError(f"what is {expression[end:].strip()[:20]!r}?")
    return found


def _matches(expression: str) -> Iterator[re.Match[str]]:
    end = 0
    while match := _TOKEN.match(expression, end):
        yield match
        end = match.end()


def _kind(match: re.Match[str], text: str, before: Sequence[Token], expression: str) -> Kind:
    last = before[-1] if before else None
    opens = last is None or last.kind in (Kind.OPERATOR, Kind.ROOT) or last.text in _OPENING
    if match.lastgroup == "literal":
        return Kind.LITERAL
    if match.lastgroup == "number":
        return Kind.NUMBER
    if match.lastgroup == "name":
        following = expression[match.end() :].lstrip()
        if following.startswith("::"):
            return Kind.AXIS
        if not opens and text in _OPERATOR_NAMES:
            return Kind.OPERATOR
        return Kind.FUNCTION if following.startswith("(") else Kind.NAME
    if text in ("/", "//"):
        # After a slash a slash is no beginning, but a fault that libxml2 will name.
        rooted = opens and (last is None or last.text not in ("/", "//"))
        return Kind.ROOT if rooted else Kind.OPERATOR
    if text == "*":
        return Kind.NAME if opens else Kind.OPERATOR
    return Kind.OPERATOR if text in _OPERATOR_MARKS else Kind.MARK


def under_one_root(found: Sequence[Token]) -> str:
    """The expression for a document whose one root element holds the top-level nodes.

    In the document that YANG means they are children of the root itself, so every path that begins there is
    led through that element.
    """
    parts: list[str] = []
    for i, token in enumerate(found):
        if token.kind is Kind.ROOT:
            following = found[i + 1] if i + 1 < len(found) else None
            parts.append("/*" + (token.text if token.text == "//" or _begins_step(following) else ""))
        elif is_bare(token) and not _is_attribute(found, i):
            parts.append(f"*[local-name()='{token.text}']")
        else:
            parts.append(token.text)
    return " ".join(parts)


def is_bare(token: Token) -> bool:
    """Whether a token is a name without prefix. No data is without namespace, so what would find nothing is
    taken for that name in any namespace, as people write it.
    """
    return token.kind is Kind.NAME and ":" not in token.text and token.text != "*"


def _is_attribute(found: Sequence[Token], i: int) -> bool:
    return i > 0 and (
        found[i - 1].text == "@" or [token.text for token in found[i - 2 : i]] == ["attribute", "::"]
    )


def _begins_step(token: Token | None) -> bool:
    return token is not None and (
        token.kind in (Kind.NAME, Kind.AXIS, Kind.FUNCTION) or token.text in (".", "..", "@")
    )


def reaches_out(found: Sequence[Token]) -> bool:
    """Say whether some step looks elsewhere than below the node before it: up, aside, or from the root in a
    predicate.
    """
    return any(_is_outward(token) for token in found)


def _is_outward(token: Token) -> bool:
    if token.kind is Kind.AXIS:
        return token.text not in _NARROW_AXES | _DOWN_AXES
    return token.text in ("..", "$") or (token.kind is Kind.ROOT and token.depth > 0)


def exponent(found: Sequence[Token]) -> int:
    """With how many factors of the number of nodes the work of an expression may grow."""
    wide = {token.depth for token in found if token.depth > 0 and _is_wide(token)}
    aside = sum(token.depth == 0 and _is_outward(token) for token in found)
    return 1 + len(wide) + aside


def _is_wide(token: Token) -> bool:
    return _is_outward(token) or token.text == "//" or (token.kind is Kind.AXIS and token.text in _DOWN_AXES)
