"""Differences between two configurations, written as an operator reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lxml import etree

from netconf_cli.render import Braces
from netconf_cli.walk import Item
from netconf_cli.words import quoted
from rui.config import Crumb, Difference
from rui.schema import Node


def diff_lines(differences: Iterable[Difference]) -> Iterator[str]:
    """Yield for each place with differences a line `[edit …]`, then what goes (`-`) and what comes (`+`)."""
    place: tuple[Crumb, ...] | None = None
    for difference in differences:
        above = difference.path[:-1]
        if above != place:
            place = above
            words = (word for crumb in above for word in (crumb.name, *map(quoted, crumb.keys)))
            yield " ".join(("[edit", *words)) + "]"
        node = difference.path[-1].node
        if difference.moved:
            yield f"!  the entries of {difference.path[-1].name} stand in another order"
            continue
        yield from _marked("-", difference.old, node)
        yield from _marked("+", difference.new, node)


def _marked(mark: str, element: etree._Element | None, node: Node | None) -> Iterator[str]:
    if element is not None:
        for line in Braces().whole(Item(element, node)):
            yield f"{mark}  {line}"
