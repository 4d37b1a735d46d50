"""XPath filters (RFC 6241 8.9): an expression that selects nodes, evaluated by libxml2 within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxml import etree

from netconf_server import xpathplan, xpathtokens
from netconf_server.subtree import Selection
from rui.netconf.errors import RpcError

_MAX_LENGTH: Final = 4096
_MAX_TOKENS: Final = 500
# Tokens times nodes, to the power of how they multiply: some seconds of work.
_MAX_WORK: Final = 100_000_000
_COUNT: Final = etree.XPath("count(//*)")


class XPathFilter:
    """A compiled expression. `superset` selects all data that it needs, None for everything."""

    def __init__(self, expression: str, namespaces: Mapping[str, str]) -> None:
        """`namespaces` by prefix are those in scope where the expression stands. Raises ValueError."""
        if len(expression) > _MAX_LENGTH:
            raise ValueError(f"it has {len(expression)} characters; at most {_MAX_LENGTH} are taken")
        found = xpathtokens.tokens(expression)
        if len(found) > _MAX_TOKENS:
            raise ValueError(f"it has {len(found)} parts; at most {_MAX_TOKENS} are taken")
        self.expression = expression
        self._size = len(found)
        self._exponent = xpathtokens.exponent(found)
        try:
            self._compiled = etree.XPath(
                xpathtokens.under_one_root(found),
                namespaces=dict(namespaces),
                regexp=False,
                smart_strings=True,
            )
            # Undeclared prefixes, unknown functions and variables show only when something is evaluated.
            self._compiled(etree.Element("none"))
        except etree.XPathError as error:
            raise ValueError(str(error)) from None
        self.superset = xpathplan.plan(found, namespaces)
        self.plain = xpathplan.is_plain(found, namespaces)
        """Whether it is made of paths of names, with equalities as predicates, and nothing else."""

    def nodes(self, tree: etree._Element) -> set[etree._Element]:
        """The elements selected in a tree whose children are the top-level nodes; the tree itself for `/`.

        A text that is selected counts as its element. Raises RpcError when the expression gives no nodes, or
        would take too long on so much data.
        """
        count = int(str(_COUNT(tree)).partition(".")[0])
        if self._size * count**self._exponent > _MAX_WORK:
            raise RpcError.too_big(
                f"the expression would take too long on {count} nodes; begin with a path whose lists have"
                " their keys as predicates, and leave out //, .. and paths from the root in predicates"
            )
        try:
            result = self._compiled(tree)
        except etree.XPathError as error:
            # what stands in a predicate is looked at only where there is something to test
            raise RpcError.invalid_value(
                f"the expression {self.expression[:80]!r} cannot be evaluated: {error}"
            ) from None
        if not isinstance(result, list):
            raise RpcError.invalid_value(
                f"the expression {self.expression[:80]!r} gives no nodes; give a path such as /m:top/m:list"
            )
        return {_element(item) for item in result}

    def select(self, tree: etree._Element) -> Selection:
        """What is selected of a tree whose children are the top-level nodes. Raises RpcError as `nodes`."""
        chosen = self.nodes(tree)
        if tree in chosen:
            return True
        inside: set[etree._Element] = set()
        for element in chosen:
            inside.update(element.iterancestors())
        return _selection(tree, chosen, inside) if inside else False


def _element(item: object) -> etree._Element:
    parent = item.getparent() if isinstance(item, str) and hasattr(item, "getparent") else item
    if not isinstance(parent, etree._Element):
        raise RpcError.invalid_value("the expression gives namespaces, not nodes of the data")
    return parent


def _selection(
    element: etree._Element, chosen: set[etree._Element], inside: set[etree._Element]
) -> dict[int, Selection]:
    found: dict[int, Selection] = {}
    for i, child in enumerate(element.iterchildren(etree.Element)):
        if child in chosen:
            found[i] = True
        elif child in inside:
            found[i] = _selection(child, chosen, inside)
    return found
