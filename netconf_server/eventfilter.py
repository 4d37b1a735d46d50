"""Filters that choose notifications: a subtree or an XPath expression that an event fits or does not.

An event that fits is sent whole (RFC 8639, stream-filter-elements): a part of it could lack what the model
makes mandatory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from netconf_server.subtree import SubtreeFilter
from netconf_server.xpathtokens import exponent, tokens
from rui.netconf.errors import RpcError

_MAX_EXPRESSION = 4096
# An event is small, but one filter may see many: no more than the square of its nodes.
_MAX_EXPONENT = 2


@dataclass(frozen=True)
class EventFilter:
    """A compiled filter of either kind; exactly one of the two is set."""

    subtree: SubtreeFilter | None = None
    xpath: etree.XPath | None = None

    def fits(self, event: etree._Element) -> bool:
        """Say whether the filter chooses this event, given as its content element."""
        if self.subtree is not None:
            return self.subtree.apply(event) is not None
        if self.xpath is None:
            return True
        try:
            result = self.xpath(etree.ElementTree(event))
        except etree.XPathError:
            return False
        # As XPath's boolean(): a number that is not one is false (XPath 1.0 section 4.3)
        return bool(result) and not (isinstance(result, float) and math.isnan(result))


def subtree_filter(element: etree._Element) -> EventFilter:
    """Compile an element whose content is a subtree filter (RFC 6241 section 6)."""
    return EventFilter(subtree=SubtreeFilter.compile(element))


def xpath_filter(expression: str, scope: Mapping[str | None, str], modules: Mapping[str, str]) -> EventFilter:
    """Compile an XPath filter; prefixes are those in `scope`, else the names of modules (RFC 8639 section 5).

    Raises RpcError `invalid-value`, which says what is wrong with the expression.
    """
    expression = expression.strip()
    known = {**modules, **{prefix: uri for prefix, uri in scope.items() if prefix is not None}}
    try:
        if len(expression) > _MAX_EXPRESSION or exponent(tokens(expression)) > _MAX_EXPONENT:
            raise ValueError("it is too long or would take too long; make it simpler")
        compiled = etree.XPath(expression, namespaces=known, regexp=False)
        # unknown prefixes and functions are found by use only
        compiled(etree.ElementTree(etree.Element("none")))
    except (etree.XPathError, ValueError) as error:
        raise RpcError.invalid_value(
            f"the XPath expression {expression[:80]!r} cannot be used: {error}"
        ) from None
    return EventFilter(xpath=compiled)
