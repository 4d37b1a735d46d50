"""Operational trees, built child by child in one namespace."""

from __future__ import annotations

from datetime import datetime

from lxml import etree

from rui.netconf import names


class Builder:
    """Adds children to one element."""

    def __init__(self, name: str, namespace: str, parent: etree._Element | None = None) -> None:
        self._namespace = namespace
        tag = f"{{{namespace}}}{name}"
        nsmap = names.nsmap(namespace)
        self.element = (
            etree.Element(tag, nsmap=nsmap) if parent is None else etree.SubElement(parent, tag, nsmap=nsmap)
        )

    def child(self, name: str) -> Builder:
        """Add a container or list entry and return it."""
        return Builder(name, self._namespace, self.element)

    def leaf(self, name: str, value: object) -> Builder:
        """Add a leaf and return the parent."""
        etree.SubElement(self.element, f"{{{self._namespace}}}{name}").text = str(value)
        return self

    def filled(self, *leaves: tuple[str, object]) -> Builder:
        """Add those of the leaves whose text is not empty, and return the parent."""
        for name, value in leaves:
            if str(value):
                self.leaf(name, value)
        return self


def moment(at: datetime) -> str:
    """Return the YANG date-and-time of a moment of UTC."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
