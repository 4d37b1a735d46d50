"""Looks after each adoption whether an adopted user holds an address that another user holds too.

A search reads every record of the group, so it goes in slices beside the rest of the loop's work, once all
of an offer has come, and rests a while before the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from router.group import Group
from rui.backup.conflicts import KEPT, Conflict, Search, lasts
from rui.backup.member_outputs import Adopted

log = structlog.get_logger(__name__)

_GATHER = 1.0
_REST = 60.0
"""Seconds from the end of a search to the next."""
_SLICE = 1000
"""Users looked at in one turn of the loop: some milliseconds."""
_SOUGHT = 100_000
"""Adopted users who wait for a search; what more there are is not looked for, and said so."""


class ConflictWatch:
    """One group's; attached to it for as long as its process lives. Times in seconds."""

    def __init__(self, name: str, group: Group, *, gather: float = _GATHER, rest: float = _REST) -> None:
        self._name = name
        self._group = group
        self._gather, self._rest = gather, rest
        self._sought: dict[bytes, None] = {}
        self._left_out = 0
        self._known: dict[Conflict, None] = {}
        self._task: asyncio.Task[None] | None = None
        group.adopted.append(self._adopted)

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def lasting(self) -> Sequence[Conflict]:
        """Return the conflicts that were found and last; none where this router is not primary."""
        member = self._group.member
        self._known = {one: None for one in self._known if member.serving and lasts(member.users, one)}
        return list(self._known)

    def _adopted(self, adopted: Adopted) -> None:
        room = _SOUGHT - len(self._sought)
        self._sought |= dict.fromkeys(adopted.online[:room])
        self._left_out += max(0, len(adopted.online) - room)
        if self._sought and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._look(), name=f"conflicts-{self._name}")

    async def _look(self) -> None:
        await asyncio.sleep(self._gather)
        while self._sought:
            sought, self._sought = self._sought, {}
            left_out, self._left_out = self._left_out, 0
            search = Search(self._group.member.users, sought)
            for _ in search.slices(_SLICE):
                await asyncio.sleep(0)
            self._report(search, left_out)
            await asyncio.sleep(self._rest)

    def _report(self, search: Search, left_out: int) -> None:
        for one in search.found:
            if one not in self._known and len(self._known) < KEPT:
                self._known[one] = None
                log.warning(
                    "address-conflict",
                    group=self._name,
                    address=one.address,
                    key=one.adopted.decode(),
                    other=one.other.decode(),
                )
        if search.unnamed or left_out:
            log.warning(
                "address-conflicts-unnamed",
                group=self._name,
                conflicts=search.unnamed,
                not_looked_for=left_out,
            )
