"""Keeps the kernel's knowledge of the users at what it is to be: nftables sets and neighbours.

One task does it, a transaction at a time, so that what is asked for in a burst goes out together and the gate
has its turn in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice

import structlog

from router.dataplane.neighbours import Neighbours
from router.dataplane.users import Users
from router.dataplane.values import DataPlaneConfig, DataPlaneError, Names, Subscriber

log = structlog.get_logger(__name__)

_USERS_A_TURN = 500
_NEIGHBOURS_A_MESSAGE = 500
_TRY_AGAIN = 1.0

Run = Callable[[str], Awaitable[None]]
"""Carries out a transaction of nft's commands, or raises DataPlaneError."""


class Filling:
    """The users of all groups. ``start`` first and ``close`` last."""

    def __init__(self, config: DataPlaneConfig, names: Names, run: Run, rules: str) -> None:
        """``rules`` makes our tables anew, empty of users."""
        self._users = Users(config, names)
        self._interfaces = {group.id: names.interface(group) for group in config.groups}
        self._run = run
        self._rules = rules
        self._neighbours: Neighbours | None = None
        self._due: dict[str, dict[str, str]] = {group.id: {} for group in config.groups}
        self._unmet: dict[str, list[bytes]] = {group.id: [] for group in config.groups}
        self._kept = {group.id for group in config.groups if not group.virtual_mac}
        self._reached = {group.id for group in config.groups if group.virtual_mac}
        self._loading: dict[str, set[bytes]] = {}
        self._lost = False
        self._changed = asyncio.Event()
        self._level = asyncio.Event()
        self._level.set()
        self._worker: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._users)

    def start(self) -> None:
        """Begin to fill."""
        self._neighbours = Neighbours()
        self._worker = asyncio.create_task(self._work(), name="dataplane-users")
        self._worker.add_done_callback(_ended)

    async def close(self) -> None:
        """Stop; the kernel keeps what it has."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None
        if self._neighbours is not None:
            self._neighbours.close()
            self._neighbours = None

    def put(self, group: str, key: bytes, user: Subscriber) -> None:
        """Add a user or change it."""
        if group in self._loading:
            self._loading[group].add(key)
        self._meet(group, self._users.put(group, key, user), user)

    def delete(self, group: str, key: bytes) -> None:
        """Remove a user; one that is not there is no error."""
        self._meet(group, self._users.delete(group, key), None)

    async def load(self, group: str, users: Iterable[tuple[bytes, Subscriber]]) -> None:
        """Have exactly these users in a group, and those that are put meanwhile."""
        if group in self._loading:
            raise ValueError(f"the users of group {group} are being loaded already")
        before = self._users.keys(group)
        seen = self._loading[group] = set()
        try:
            for number, (key, user) in enumerate(users, start=1):
                self.put(group, key, user)
                if number % _USERS_A_TURN == 0:
                    await asyncio.sleep(0)
        finally:
            del self._loading[group]
        for number, key in enumerate(set(before) - seen, start=1):
            self.delete(group, key)
            if number % _USERS_A_TURN == 0:
                await asyncio.sleep(0)

    async def flush(self) -> None:
        """Wait until the kernel holds all that is to be there and nothing else.

        Raises DataPlaneError when nothing is being done for it: not started, closed, or failed.
        """
        if self._worker is None:
            raise DataPlaneError("the data plane is closed: open it first")
        level = asyncio.create_task(self._level.wait())
        await asyncio.wait({level, self._worker}, return_when=asyncio.FIRST_COMPLETED)
        if not level.done():
            level.cancel()
            raise DataPlaneError("the users cannot be brought to the kernel any more: the log says why")

    def reach(self, group: str) -> None:
        """The group's users are to be neighbours on the access interface; on one of their own they are."""
        if group in self._kept:
            self._reached.add(group)
            self._unmet[group] = self._users.keys(group)
            self._notice()

    def leave(self, group: str) -> None:
        """The group's users are neighbours on the access interface no more.

        An interface of their own has lost all neighbours as it went down; it gets them again, so that all are
        there when it comes up.
        """
        self._due[group].clear()
        self._unmet[group] = self._users.keys(group) if group in self._reached else []
        if group in self._kept:
            self._reached.discard(group)
        self._notice()

    def rebuild(self) -> None:
        """Somebody else has changed our tables: make them anew and fill them again."""
        self._lost = True
        self._notice()

    def _meet(self, group: str, old: Subscriber | None, new: Subscriber | None) -> None:
        if group in self._reached:
            due = self._due[group]
            if old is not None:
                due.update(dict.fromkeys(old.addresses, ""))
            if new is not None:
                due.update(dict.fromkeys(new.addresses, new.mac))
        self._notice()

    def _notice(self) -> None:
        if self._behind:
            self._level.clear()
            self._changed.set()

    @property
    def _behind(self) -> bool:
        return bool(self._lost or self._users.behind or any(self._due.values()) or any(self._unmet.values()))

    async def _work(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._fill()
            except DataPlaneError as error:
                log.error("dataplane-users-refused", reason=str(error), remedy="all are loaded again")
                await asyncio.sleep(_TRY_AGAIN)
                self.rebuild()
            else:
                self._level.set()

    async def _fill(self) -> None:
        while self._behind:
            if self._lost:
                await self._run(self._rules)
                self._lost = False
                self._users.start_over()
            if commands := self._users.take():
                await self._run(commands)
            for group, due in self._due.items():
                self._meet_some(group, due)
                chunk = [(address, due.pop(address)) for address in list(islice(due, _NEIGHBOURS_A_MESSAGE))]
                self._tell_neighbours(group, chunk)
            await asyncio.sleep(0)

    def _meet_some(self, group: str, due: dict[str, str]) -> None:
        """Go on with the users of a group whose interface came up, or of one that is left."""
        unmet = self._unmet[group]
        for key in unmet[-_NEIGHBOURS_A_MESSAGE:]:
            user = self._users.get(group, key)
            if user is not None:
                mac = user.mac if group in self._reached else ""
                due.update(dict.fromkeys(user.addresses, mac))
        del unmet[-_NEIGHBOURS_A_MESSAGE:]

    def _tell_neighbours(self, group: str, entries: list[tuple[str, str]]) -> None:
        """What fails here costs an ARP request for each user, and no more."""
        if self._neighbours is None or not entries:
            return
        try:
            self._neighbours.change(self._interfaces[group], entries)
        except DataPlaneError as error:
            log.warning("dataplane-neighbours-refused", group=group, reason=str(error))


def _ended(worker: asyncio.Task[None]) -> None:
    """A worker that ends by itself has a fault; nobody may wait for it in silence."""
    if not worker.cancelled() and (error := worker.exception()) is not None:
        log.critical("dataplane-worker-failed", exc_info=error, remedy="restart the router and report this")
