"""What a YANG push subscription reads: the selection of a filter from a datastore, as one bounded tree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from lxml import etree

from netconf_server.difference import Difference, differences
from netconf_server.push_patch import has_keyless
from netconf_server.xmltree import parsed, to_bytes
from rui.netconf import names
from rui.schema import Schema

MAX_UPDATE: Final = 4 * 1024 * 1024
"""Bytes that the selection of one update may have."""

_START: Final = b'<data xmlns="%s">' % names.BASE.encode()
_PIECES_PER_TURN: Final = 200


class TooBigError(Exception):
    """The selection is larger than one update may be."""


class PushSource:
    """One selection: `pieces` begins a reading of it, `shown` is the filter as the client gave it."""

    def __init__(
        self,
        schema: Schema,
        datastore: str,
        shown: etree._Element | None,
        pieces: Callable[[], Iterator[bytes]],
        *,
        polled: bool = False,
        bound: int = MAX_UPDATE,
    ) -> None:
        self.datastore = datastore
        self.shown = shown
        self.polled = polled
        """Whether nobody tells of its changes, so that it has to be looked at."""
        self._schema = schema
        self._pieces = pieces
        self._bound = bound

    async def read(self) -> etree._Element:
        """The selected top-level elements in one element. Raises TooBigError, RpcError."""
        held = [_START]
        size = 0
        for count, piece in enumerate(self._pieces(), 1):
            held.append(piece)
            size += len(piece)
            if size > self._bound:
                raise TooBigError(f"more than {self._bound} bytes are selected")
            if count % _PIECES_PER_TURN == 0:
                await asyncio.sleep(0)
        return parsed(b"".join([*held, b"</data>"]))

    def differences(self, old: etree._Element, new: etree._Element) -> list[Difference] | None:
        """What changed between two readings; None where that cannot be told entry by entry."""
        top = self._schema.tree.data
        for tag in {str(child.tag) for tree in (old, new) for child in tree}:
            node = top.get(tag)
            texts = [[to_bytes(item) for item in tree.iterchildren(tag)] for tree in (old, new)]
            if texts[0] != texts[1] and (node is None or has_keyless(node)):
                return None
        return list(differences(old, new, top))
