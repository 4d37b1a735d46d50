"""What a YANG push subscription reads: the selection of a filter from a datastore, as one bounded tree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from lxml import etree

from netconf_server.difference import Difference, differences
from netconf_server.providers import ListBranch
from netconf_server.push_lists import END, START, ListFeed
from netconf_server.push_patch import has_keyless
from netconf_server.xmltree import parsed, to_bytes
from rui.schema import Schema

MAX_UPDATE: Final = 4 * 1024 * 1024
"""Bytes that the selection of one update may have."""

_PIECES_PER_TURN: Final = 200
# Some ten milliseconds each; others have their turn in between.
_ENTRIES_A_TURN, _TURNS_AN_UPDATE = 100, 5


class TooBigError(Exception):
    """The selection is larger than one update may be."""


class PushSource:
    """One selection: `pieces` begins a reading of it, `shown` is the filter as the client gave it.

    The argument of `pieces` are the large lists to read; None stands for all of them. `feeds` tell what
    changes in the large lists that are selected, of which there are no others then; None where nobody has
    to tell.
    """

    def __init__(
        self,
        schema: Schema,
        datastore: str,
        shown: etree._Element | None,
        pieces: Callable[[Sequence[ListBranch] | None], Iterator[bytes]],
        *,
        polled: bool = False,
        feeds: Sequence[ListFeed] | None = None,
        bound: int = MAX_UPDATE,
    ) -> None:
        self.datastore = datastore
        self.shown = shown
        self.polled = polled
        """Whether nobody tells of its changes, so that it has to be looked at."""
        self.feeds = feeds or ()
        self._lists = None if feeds is None else [feed.branch for feed in feeds]
        self._schema = schema
        self._pieces = pieces
        self._bound = bound

    def open(self, wake: Callable[[], None]) -> None:
        """Begin to listen to what changes; `wake` is called when something has."""
        for feed in self.feeds:
            feed.open(wake)

    def close(self) -> None:
        """Listen no more."""
        for feed in self.feeds:
            feed.close()

    async def read(self) -> etree._Element:
        """The selected top-level elements in one element. Raises TooBigError, RpcError.

        Where changes are told it is read at one go, so that what waits afterwards is what is not in it.
        """
        for feed in self.feeds:
            feed.clear()
        return await self._read(self._lists, at_once=bool(self.feeds))

    async def measure(self) -> None:
        """Raise TooBigError, or RpcError, if the selection cannot be sent whole now."""
        await self._read(self._lists)

    async def read_looked_at(self) -> etree._Element:
        """The part of which nobody tells the changes. Raises TooBigError, RpcError."""
        return await self._read([] if self.feeds else self._lists)

    async def _read(self, lists: Sequence[ListBranch] | None, *, at_once: bool = False) -> etree._Element:
        held = [START]
        size = 0
        for count, piece in enumerate(self._pieces(lists), 1):
            held.append(piece)
            size += len(piece)
            if size > self._bound:
                raise TooBigError(f"more than {self._bound} bytes are selected")
            if count % _PIECES_PER_TURN == 0 and not at_once:
                await asyncio.sleep(0)
        return parsed(b"".join([*held, END]))

    async def told(self) -> list[Difference]:
        """What became of the entries of which a change was told, of so many as one update takes. Raises
        RpcError.
        """
        found: list[Difference] = []
        for feed in self.feeds:
            for _ in range(_TURNS_AN_UPDATE):
                if not feed.waits:
                    break
                found += feed.differences(self._pieces, _ENTRIES_A_TURN)
                await asyncio.sleep(0)
        return found

    def differences(self, old: etree._Element, new: etree._Element) -> list[Difference] | None:
        """What changed between two readings; None where that cannot be told entry by entry."""
        top = self._schema.tree.data
        for tag in {str(child.tag) for tree in (old, new) for child in tree}:
            node = top.get(tag)
            texts = [[to_bytes(item) for item in tree.iterchildren(tag)] for tree in (old, new)]
            if texts[0] != texts[1] and (node is None or has_keyless(node)):
                return None
        return list(differences(old, new, top))
