"""What a YANG push subscription reads: the selection of a filter from a datastore, as one bounded tree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from lxml import etree

from netconf_server.treediff import Difference, Step, Steps, differences, step_of
from netconf_server.xmltree import parsed
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
        self.modules = {module.namespace: module.name for module in schema.modules}
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

    def differences(self, old: etree._Element, new: etree._Element) -> list[Difference]:
        """What changed between two readings."""
        return list(differences(self._schema.tree.data, old, new))

    def step(self, element: etree._Element, steps: Steps) -> Step:
        """The path step of a sibling of the node at `steps`."""
        node = self._schema.find([step.tag for step in steps])
        return step_of(element, node)
