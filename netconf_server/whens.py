"""Nodes whose `when` ends to hold, which the server deletes (RFC 7950 8.2): found in what validation says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lxml import etree

from netconf_server.faults import to_xpath
from rui.schema import DataError, Tag


def lapsed(
    error: DataError,
    tree: etree._Element,
    before: etree._Element,
    asked: etree._Element | None,
    namespaces: Mapping[str, str],
) -> Iterator[etree._Element]:
    """The nodes of a refused `tree` whose condition an edit elsewhere made false.

    They were there `before`, and are not what was `asked` for (None: nothing is known of that, so they have
    to be as they were). `namespaces` by module name.
    """
    for issue in error.issues:
        if issue.tag is not Tag.UNKNOWN_ELEMENT or "When condition" not in issue.message:
            continue
        path, prefixes = to_xpath(issue.path, namespaces)
        node, old = _find(tree, path, prefixes), _find(before, path, prefixes)
        if node is None or old is None:
            continue
        given = asked is not None and _find(asked, path, prefixes) is not None
        if not given and (asked is not None or _text(node) == _text(old)):
            yield node


def remove_node(node: etree._Element) -> None:
    """Take a node out of its tree."""
    parent = node.getparent()
    if parent is not None:
        parent.remove(node)


def _find(tree: etree._Element, path: str, prefixes: Mapping[str, str]) -> etree._Element | None:
    try:
        found = tree.xpath(f".{path}", namespaces=dict(prefixes))
    except etree.XPathError:
        return None
    first = found[0] if isinstance(found, list) and found else None
    return first if isinstance(first, etree._Element) else None


def _text(node: etree._Element) -> str:
    return "".join(str(part) for part in node.itertext()).strip()
