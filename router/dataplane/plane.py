"""The data plane of one router: who is forwarded for, by which way, and what the network is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable

import structlog

from router.dataplane import ruleset
from router.dataplane.gate import Gate
from router.dataplane.kernel import Kernel
from router.dataplane.nft import Nft
from router.dataplane.routes import Route, families, wanted
from router.dataplane.users import Users
from router.dataplane.values import DataPlaneConfig, DataPlaneError, GroupPlane, Names, Subscriber

log = structlog.get_logger(__name__)

_REFRESHES = 5
"""Times that the gate is refreshed within its timeout: so many may be late before forwarding stops."""
_USERS_A_TURN = 2000
_TRY_AGAIN = 1.0


class DataPlane:
    """``open`` first, ``close`` last; in between the router is secondary of every group until told otherwise.

    The users of a group are kept in the kernel whatever the role, so a change of role moves none of them.
    Needs root, or CAP_NET_ADMIN.
    """

    def __init__(self, config: DataPlaneConfig) -> None:
        self._config = config
        self._names = Names(config)
        self._groups = {group.id: group for group in config.groups}
        self._users = Users(config, self._names)
        self._kernel = Kernel(self._names)
        self._nft: Nft | None = None
        self._gate: Gate | None = None
        self._routes: set[Route] = set()
        self._primary: set[str] = set()
        self._open: set[str] = set()
        self._refreshed = 0.0
        self._loading: dict[str, set[bytes]] = {}
        self._order = asyncio.Lock()
        self._changed = asyncio.Event()
        self._level = asyncio.Event()
        self._level.set()
        self._worker: asyncio.Task[None] | None = None

    @property
    def gate_interval(self) -> float:
        """How often :meth:`refresh_gate` is to be called, in seconds."""
        return self._config.gate_timeout / _REFRESHES

    @property
    def users(self) -> int:
        """Users that are to be forwarded for."""
        return len(self._users)

    @property
    def forwarding(self) -> frozenset[str]:
        """The groups whose gate is kept open."""
        return frozenset(self._open)

    async def open(self) -> None:
        """Remove what a killed process left and begin as secondary of every group.

        Raises DataPlaneError, with all undone.
        """
        self._nft = Nft()
        await self._kernel.open()
        try:
            await self._nft.run(ruleset.removal(self._names))
            await self._kernel.clean()
            await self._set_up(self._nft)
        except BaseException:
            await self.close()
            raise
        self._worker = asyncio.create_task(self._work(self._nft), name="dataplane-users")
        log.info("dataplane-opened", table=self._names.table, groups=sorted(self._groups))

    async def close(self) -> None:
        """Stop forwarding and remove everything."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None
        if self._gate is not None:
            self._gate.end()
            self._gate = None
        self._open.clear()
        if self._nft is not None:
            for group in self._groups.values():
                await self._quietly(self._kernel.release(group))
            await self._quietly(self._kernel.clean())
            await self._quietly(self._nft.run(ruleset.removal(self._names)))
            self._nft = None
            await self._kernel.close()

    async def become_primary(self, group: str) -> None:
        """Own the virtual addresses, lead to the users, advertise the pools, open the gate.

        Asked again it repairs what is missing, and opens a gate that has lapsed. Raises DataPlaneError.
        """
        entry = self._groups[group]
        async with self._order:
            if self._gate is None:
                raise DataPlaneError("the data plane is closed: open it first")
            # What announces the addresses must pass as the interface comes up; users wait for their route
            self._gate.refresh(self._keys([entry])[0], (), self._config.gate_timeout)
            await self._kernel.hold(entry)
            self._primary.add(group)
            await self._reroute()
            self._open.add(group)
            self._refresh()
            log.info("dataplane-primary", group=group, users=len(self._users.keys(group)))

    async def become_secondary(self, group: str) -> None:
        """Close the gate, then give up the rest; the pools stay advertised while another group uses them.

        Raises DataPlaneError.
        """
        entry = self._groups[group]
        async with self._order:
            self._open.discard(group)
            self._primary.discard(group)
            if self._gate is not None:
                self._gate.close(*self._keys([entry]))
            await self._reroute()
            await self._kernel.release(entry)
            log.info("dataplane-secondary", group=group)

    def put(self, group: str, key: bytes, user: Subscriber) -> None:
        """Forward for a user from now on, or with other addresses."""
        self._loading.get(group, set()).add(key)
        self._users.put(group, key, user)
        self._notice()

    def delete(self, group: str, key: bytes) -> None:
        """Forward for a user no more; one that is not known is no error."""
        self._users.delete(group, key)
        self._notice()

    async def load(self, group: str, users: Iterable[tuple[bytes, Subscriber]]) -> None:
        """Have exactly these users in a group, and those that are put meanwhile.

        The iterable is read a piece at a time, between which others have their turn.
        """
        before = self._users.keys(group)
        seen = self._loading.setdefault(group, set())
        try:
            for number, (key, user) in enumerate(users, start=1):
                self.put(group, key, user)
                if number % _USERS_A_TURN == 0:
                    await asyncio.sleep(0)
        finally:
            del self._loading[group]
        for key in before - seen:
            self._users.delete(group, key)
        self._notice()

    async def flush(self) -> None:
        """Wait until the kernel holds all that was put and nothing that was deleted."""
        await self._level.wait()

    def refresh_gate(self) -> bool:
        """Keep the gate open; call it every :attr:`gate_interval`.

        Return False when it has lapsed because this process slept: another router may be primary by now, so
        it stays closed until ``become_primary`` is said again. Raises DataPlaneError.
        """
        if not self._open:
            return True
        now = asyncio.get_running_loop().time()
        if now - self._refreshed >= self._config.gate_timeout:
            log.warning(
                "dataplane-gate-lapsed", groups=sorted(self._open), late=round(now - self._refreshed, 3)
            )
            self._open.clear()
            return False
        self._refresh()
        return True

    async def _set_up(self, nft: Nft) -> None:
        groups = self._config.groups
        versions = sorted({version for group in groups for version in families(group)})
        self._kernel.forward(versions)
        for group in groups:
            await self._kernel.make_virtual(group)
            await self._kernel.release(group)
            if group.tunnel is not None:
                await self._kernel.make_tunnel(group, group.tunnel, versions)
        marks = [self._names.mark(group.id) for group in groups]
        marks += [self._names.closed_mark(group.id) for group in groups if group.tunnel is not None]
        await nft.run(ruleset.base(self._config, self._names))
        await self._kernel.add_rules(marks, versions)
        self._gate = Gate(self._names.table)
        await self._reroute()

    async def _reroute(self) -> None:
        routes = wanted(self._config, self._names, self._primary)
        old = self._routes
        self._routes = old | routes
        await self._kernel.change_routes(old, routes)
        self._routes = routes

    def _refresh(self) -> None:
        if self._gate is not None:
            interfaces, marks = self._keys(self._groups[name] for name in self._open)
            self._gate.refresh(interfaces, marks, self._config.gate_timeout)
        self._refreshed = asyncio.get_running_loop().time()

    def _keys(self, groups: Iterable[GroupPlane]) -> tuple[set[str], list[int]]:
        """Return the elements of the gate of these groups: their interfaces and marks."""
        entries = list(groups)
        interfaces = {name for group in entries for name in (group.access, self._names.interface(group))}
        return interfaces, [self._names.mark(group.id) for group in entries]

    def _notice(self) -> None:
        if self._users.behind:
            self._level.clear()
            self._changed.set()

    async def _work(self, nft: Nft) -> None:
        """Bring the kernel's sets to what is wanted, a transaction at a time."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                while self._users.behind:
                    if commands := self._users.take():
                        await nft.run(commands)
                self._level.set()
            except DataPlaneError as error:
                log.error("dataplane-users-refused", reason=str(error), remedy="all are loaded again")
                await asyncio.sleep(_TRY_AGAIN)
                await self._start_over(nft)

    async def _start_over(self, nft: Nft) -> None:
        """Somebody else has changed our tables: make them anew."""
        self._users.start_over()
        await self._quietly(nft.run(ruleset.base(self._config, self._names)))
        self._changed.set()

    @staticmethod
    async def _quietly(doing: Awaitable[None]) -> None:
        """Do what is worth a try and not a failure."""
        try:
            await doing
        except DataPlaneError as error:
            log.warning("dataplane-left-behind", reason=str(error), remedy="the next start removes it")
