"""Small replies to get-config that can be given again as they are.

A tree that a datastore holds never changes: while it holds the same one, and a user has the same rights, the
same question has the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from lxml import etree

from netconf_server.datastores import Change, Datastores
from netconf_server.query import View

_MOST: Final = 64
_LARGEST: Final = 32 * 1024

Question: TypeAlias = tuple[str, tuple[View, ...], bytes]
"""The datastore, how data is shown, and the filter as bytes."""


class KnownReplies:
    """The replies since the datastores last changed, so many at most."""

    def __init__(self, datastores: Datastores) -> None:
        self._held: dict[Question, tuple[etree._Element, bytes]] = {}
        datastores.on_commit(apply=self._changed)
        datastores.on_edit(self._changed)

    def find(self, question: Question, tree: etree._Element) -> bytes | None:
        """The reply about this tree, if it is known."""
        known = self._held.get(question)
        return known[1] if known is not None and known[0] is tree else None

    def noted(self, question: Question, tree: etree._Element, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The pieces of a reply, which is known from then on if it is small."""
        held: list[bytes] = []
        size = 0
        for piece in pieces:
            size += len(piece)
            if size <= _LARGEST:
                held.append(piece)
            yield piece
        if size <= _LARGEST:
            if len(self._held) >= _MOST:
                self._held.clear()
            self._held[question] = (tree, b"".join(held))

    def _changed(self, _change: Change) -> None:
        self._held.clear()
