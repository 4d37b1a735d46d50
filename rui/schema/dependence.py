"""What the constraints of a set of modules look at, told by the names in their XPath expressions.

A leaf whose name occurs in none, and that is in nothing that one takes for a value, is looked at by none: its
value may change without any of them being asked.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from pyang import statements

from rui.schema.tree import LookedAt

_CONSTRAINTS: Final = frozenset({"must", "when", "path", "unique"})
_NAME: Final = re.compile(r"[A-Za-z_][\w.-]*")
# A name that is not on the way to another one, nor a prefix or a function.
_LAST: Final = re.compile(r"[A-Za-z_][\w.-]*+(?!\s*[/(]|:)")
_PREDICATE: Final = re.compile(r"\[[^\[\]]*\]")
# Steps that stand for nodes of any name (a star after an operand multiplies), and a parent as a value.
_ANY: Final = re.compile(
    r"(?:^|[^\w.)\]\s]|\b(?:and|or|div|mod))\s*\*|//(?!\s*[A-Za-z_])|::|\b(?:node|text)\s*\(|\.\.(?!\s*/)"
)
# The context node itself as a value: of a container it is all that is in it.
_ITSELF: Final = re.compile(r"(?<![\w./)\]])\.(?![\w./])|\bcurrent\s*\(\s*\)(?!\s*/)")
_VALUES: Final = frozenset({"leaf", "leaf-list", "type"})


def looked_at(modules: Iterable[statements.Statement]) -> LookedAt | None:
    """What occurs in the constraints of modules and submodules; None where one may look at any node."""
    names: set[str] = set()
    values: set[str] = set()
    for module in modules:
        for constraint in _constraints(module):
            text = constraint.arg
            if _ANY.search(text) or (constraint.parent.keyword not in _VALUES and _ITSELF.search(text)):
                return None
            names.update(_NAME.findall(text))
            while (inner := _PREDICATE.search(text)) is not None:
                values.update(_LAST.findall(inner[0]))
                text = text[: inner.start()] + text[inner.end() :]
            values.update(_LAST.findall(text))
    return LookedAt(frozenset(names), frozenset(values))


def _constraints(statement: statements.Statement) -> Iterator[statements.Statement]:
    for inner in statement.substmts:
        if inner.keyword in _CONSTRAINTS:
            yield inner
        yield from _constraints(inner)
