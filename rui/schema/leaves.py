"""Values out of a checked tree: children by local name, in the namespace of the element that holds them."""

from __future__ import annotations

from lxml import etree


class ConfigError(Exception):
    """A configuration that the model allows and that still cannot be used; says where, why and what to do."""


def sibling_tag(element: etree._Element, name: str) -> str:
    """Return the tag of ``name`` in the element's own namespace."""
    namespace = etree.QName(element).namespace
    return f"{{{namespace}}}{name}" if namespace else name


def children(element: etree._Element, name: str) -> list[etree._Element]:
    """Return the entries of a list or leaf-list."""
    return element.findall(sibling_tag(element, name))


def child(element: etree._Element, name: str) -> etree._Element:
    """Return a child that the model makes mandatory or has a default for; raises ConfigError without it."""
    found = element.find(sibling_tag(element, name))
    if found is None:
        raise ConfigError(
            f"{etree.QName(element).localname} lacks {name}, and the model has no default for it"
        )
    return found


def optional(element: etree._Element, name: str) -> str | None:
    """Return the text of a leaf; None where there is none."""
    return element.findtext(sibling_tag(element, name))


def text(element: etree._Element, name: str) -> str:
    """Return the text of a leaf that must be there; raises ConfigError without it."""
    return child(element, name).text or ""


def seconds(element: etree._Element, name: str) -> float:
    """Return a leaf in milliseconds as seconds; raises ConfigError without it."""
    return int(text(element, name)) / 1000
