"""Find the place in a document that a data path means, so that an error can name its line."""

import re
from collections.abc import Sequence

from lxml import etree

_PREDICATES = r"(?:\[(?:[^\]'\"]|'[^']*'|\"[^\"]*\")*\])*"
_STEP = re.compile(rf"/(?:[\w.-]+:)?([\w.-]+)({_PREDICATES})")
_PREDICATE = re.compile(r"\[(?:(?:[\w.-]+:)?([\w.-]+|\.)=(?:'([^']*)'|\"([^\"]*)\")|(\d+))\]")


def line_of(path: str, tops: Sequence[etree._Element]) -> int:
    """Return the line of the element at a data path such as `/m:list[key='a']/leaf` below the top ones.

    An element that is not there (it is missing) is looked for at its parent. 0 when no line is known.
    """
    line = 0
    level = list(tops)
    for name, predicates in _STEP.findall(path):
        level = _chosen([item for item in level if _local_name(item) == name], predicates)
        if not level:
            break
        at = level[0].sourceline
        line = at if isinstance(at, int) else line
        level = list(level[0])
    return line


def _chosen(elements: list[etree._Element], predicates: str) -> list[etree._Element]:
    for name, single, double, position in _PREDICATE.findall(predicates):
        if position:
            elements = elements[int(position) - 1 : int(position)]
        else:
            elements = [element for element in elements if _text(element, name) == (single or double)]
    return elements


def _text(element: etree._Element, name: str) -> str | None:
    text = element.text if name == "." else element.findtext(f"{{*}}{name}")
    return None if text is None else text.strip()


def _local_name(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""
