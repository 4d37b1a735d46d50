"""What a client asks to read: which nodes, and how they are to be shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from lxml import etree

from netconf_server.providers import Entry, Keys
from netconf_server.subtree import SubtreeFilter
from netconf_server.xpathfilter import XPathFilter
from rui.schema import Node

Wanted: TypeAlias = SubtreeFilter | XPathFilter | None
"""A filter of either kind; None selects everything."""

Read: TypeAlias = tuple[Keys, Entry]
"""An entry of a large list and the keys that it was asked for by."""


class View(Protocol):
    """Changes what is shown of the data, before any filter sees it: adds defaults, leaves out what is not
    for this reader.
    """

    def tree(self, tree: etree._Element) -> etree._Element:
        """A configuration datastore, of which `tree` is not to be modified."""

    def element(self, element: etree._Element, node: Node | None) -> etree._Element | None:
        """A top-level element of the operational data, not to be modified; `node` is None for what no module
        defines.
        """

    def missing(self, present: Sequence[str], /) -> list[etree._Element]:
        """Top-level elements to show although no data gives them; `present` are the tags that some gives."""

    def entries(self, nodes: Sequence[Node], reads: Iterator[Read], /) -> Iterator[Read]:
        """The entries of a large list; `nodes` lead from the top to it."""


SeenBy: TypeAlias = Callable[[str], tuple[View, ...]]
"""The views through which a user sees data, by his name."""


@dataclass(frozen=True)
class Query:
    """One reading: `wanted` are the nodes, `views` how data is shown to the filter, outermost last, `depth`
    how many levels of each selected node are given (None: all).
    """

    wanted: Wanted = None
    views: tuple[View, ...] = ()
    depth: int | None = None
