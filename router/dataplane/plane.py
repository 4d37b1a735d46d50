"""The data plane of one router: who is forwarded for, by which way, and what the network is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

import structlog

from router.dataplane import ruleset
from router.dataplane.filling import Filling
from router.dataplane.gate import Gate
from router.dataplane.holding import Holding
from router.dataplane.nft import Nft
from router.dataplane.routes import Route, families, wanted
from router.dataplane.values import DataPlaneConfig, DataPlaneError, GroupPlane, Names, Subscriber

log = structlog.get_logger(__name__)

_REFRESHES = 5
"""Times that the gate is refreshed within its timeout: so many may be late before forwarding stops."""
_EXTEND_EVERY = 1.0
"""Seconds between two extensions of what has a lifetime: the kernel counts in seconds."""


class DataPlane:
    """``open`` first, ``close`` last; in between the router is secondary of every group until told otherwise.

    The users of a group are kept in the kernel whatever the role, so a change of role moves none of them.
    Needs root, or CAP_NET_ADMIN. A group that is not configured raises KeyError.
    """

    def __init__(self, config: DataPlaneConfig) -> None:
        # Most routers forward nothing themselves, and need not wait for pyroute2 at their start
        from router.dataplane.kernel import Kernel  # noqa: PLC0415

        self._config = config
        self._names = Names(config)
        self._groups = {group.id: group for group in config.groups}
        self._rules = ruleset.base(config, self._names)
        self._kernel = Kernel(self._names)
        self._nft = Nft()
        self._users = Filling(config, self._names, self._nft.run, self._rules)
        self._gate: Gate | None = None
        self._holding: Holding | None = None
        self._routes: set[Route] = set()
        self._primary: set[str] = set()
        self._leaving: dict[str, asyncio.TimerHandle] = {}
        self._open: set[str] = set()
        self._lapses = self._extended = 0.0

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

    def retime(self, gate_timeout: float, withdraw_delay: float) -> None:
        """Change both, in seconds; they count from the next time on."""
        self._config = replace(self._config, gate_timeout=gate_timeout, withdraw_delay=withdraw_delay)
        if self._holding is not None:
            self._holding.retime(gate_timeout)

    async def open(self) -> None:
        """Remove what a killed process left and begin as secondary of every group.

        Raises DataPlaneError, with all undone.
        """
        try:
            await self._kernel.open()
            await self._nft.run(ruleset.removal(self._names))
            await self._kernel.clean()
            await self._set_up()
        except BaseException:
            await self.close()
            raise
        log.info("dataplane-opened", table=self._names.table, groups=sorted(self._groups))

    async def close(self) -> None:
        """Stop forwarding and remove everything."""
        await self._users.close()
        for timer in self._leaving.values():
            timer.cancel()
        self._leaving.clear()
        self._open.clear()
        if self._gate is not None:
            self._gate.end()
            self._gate = None
        if self._holding is not None:
            for group in self._groups.values():
                self._quietly(self._holding.release, group)
            self._holding.close()
            self._holding = None
        for removing in (self._kernel.clean(), self._nft.run(ruleset.removal(self._names))):
            try:
                await removing
            except DataPlaneError as error:
                _left_behind(error)
        self._kernel.close()

    def become_primary(self, group: str) -> None:
        """Own the virtual addresses, lead to the users, advertise the pools, open the gate; at once.

        Asked again it repairs what is missing, and opens a gate that has lapsed. Raises DataPlaneError.
        """
        entry = self._groups[group]
        gate, holding = self._opened()
        self._stay(group)
        # What announces the addresses must pass as the interface comes up; users wait for their route
        gate.refresh(self._keys([entry])[0], (), self._config.gate_timeout)
        holding.hold(entry)
        self._primary.add(group)
        self._reroute()
        self._open.add(group)
        self._refresh(gate)
        self._users.reach(group)
        log.info("dataplane-primary", group=group)

    def become_secondary(self, group: str) -> None:
        """Close the gate, then give up the rest; at once.

        The pools stay advertised while another group uses them, and where there is a tunnel for
        ``withdraw_delay``: until the network has learnt the other way, what comes here goes on through the
        tunnel. Raises DataPlaneError.
        """
        entry = self._groups[group]
        _, holding = self._opened()
        self._open.discard(group)
        self._close_gate(entry)
        if group in self._primary and entry.tunnel is not None and self._config.withdraw_delay:
            loop = asyncio.get_running_loop()
            self._leaving[group] = loop.call_later(self._config.withdraw_delay, self._withdraw, group)
        self._primary.discard(group)
        self._reroute()
        holding.release(entry)
        self._users.leave(group)
        log.info("dataplane-secondary", group=group)

    def put(self, group: str, key: bytes, user: Subscriber) -> None:
        """Forward for a user from now on, or with other addresses."""
        self._users.put(group, key, user)

    def delete(self, group: str, key: bytes) -> None:
        """Forward for a user no more; one that is not known is no error."""
        self._users.delete(group, key)

    async def load(self, group: str, users: Iterable[tuple[bytes, Subscriber]]) -> None:
        """Have exactly these users in a group, and those that are put meanwhile.

        The iterable is read a piece at a time, between which others have their turn. Raises ValueError while
        the same group is being loaded.
        """
        await self._users.load(group, users)

    async def flush(self) -> None:
        """Wait until the kernel holds what was put and not what was deleted. Raises DataPlaneError."""
        await self._users.flush()

    def refresh_gate(self) -> bool:
        """Keep the gate open; call it every :attr:`gate_interval`.

        Return False when it has lapsed because this process slept: another router may be primary by now, so
        it stays closed until ``become_primary`` is said again. A table that somebody else removed is made
        anew.
        """
        if not self._open or self._gate is None:
            return True
        now = asyncio.get_running_loop().time()
        if now >= self._lapses:
            late = round(now - self._lapses, 3)
            log.warning("dataplane-gate-lapsed", groups=sorted(self._open), late=late)
            self._open.clear()
            return False
        try:
            self._refresh(self._gate)
        except DataPlaneError as error:
            log.error("dataplane-gate-refused", reason=str(error), remedy="the tables are made anew")
            self._lapses = now + self._config.gate_timeout
            self._users.rebuild()
        self._extend()
        return True

    async def _set_up(self) -> None:
        groups = self._config.groups
        versions = sorted({version for group in groups for version in families(group)})
        self._kernel.forward(versions)
        holding = self._holding = Holding(self._names, self._config.gate_timeout)
        for group in groups:
            await self._kernel.make_virtual(group)
            holding.release(group)
            if group.tunnel is not None:
                await self._kernel.make_tunnel(group, group.tunnel, versions)
        marks = [self._names.mark(group.id) for group in groups]
        marks += [self._names.closed_mark(group.id) for group in groups if group.tunnel is not None]
        await self._nft.run(self._rules)
        await self._kernel.add_rules(marks, versions)
        self._gate = Gate(self._names.table)
        self._reroute()
        self._users.start()

    def _opened(self) -> tuple[Gate, Holding]:
        if self._gate is None or self._holding is None:
            raise DataPlaneError("the data plane is closed: open it first")
        return self._gate, self._holding

    def _reroute(self) -> None:
        routes = wanted(self._config, self._names, self._primary, self._leaving)
        old = self._routes
        self._routes = old | routes
        self._opened()[1].change_routes(old, routes)
        self._routes = routes

    def _stay(self, group: str) -> None:
        timer = self._leaving.pop(group, None)
        if timer is not None:
            timer.cancel()

    def _withdraw(self, group: str) -> None:
        """Advertise the pools of a group that was left no more."""
        self._stay(group)
        self._quietly(lambda _: self._reroute(), self._groups[group])

    def _extend(self) -> None:
        """Begin lifetimes anew; who may not is given up by the kernel as he would be by the other routers."""
        now = asyncio.get_running_loop().time()
        if self._holding is not None and now >= self._extended + _EXTEND_EVERY:
            self._extended = now
            try:
                self._holding.extend((self._groups[name] for name in self._open), self._routes)
            except DataPlaneError as error:
                log.error("dataplane-not-extended", reason=str(error), remedy="look at the interfaces")

    def _refresh(self, gate: Gate) -> None:
        interfaces, marks = self._keys(self._groups[name] for name in self._open)
        gate.refresh(interfaces, marks, self._config.gate_timeout)
        self._lapses = asyncio.get_running_loop().time() + self._config.gate_timeout

    def _close_gate(self, group: GroupPlane) -> None:
        if self._gate is None:
            return
        try:
            self._gate.close(*self._keys([group]))
        except DataPlaneError as error:
            log.error("dataplane-gate-refused", reason=str(error), remedy="the tables are made anew")
            self._users.rebuild()

    def _keys(self, groups: Iterable[GroupPlane]) -> tuple[set[str], list[int]]:
        """Return the elements of the gate of these groups: their interfaces and marks."""
        entries = list(groups)
        interfaces = {name for group in entries for name in (group.access, self._names.interface(group))}
        return interfaces, [self._names.mark(group.id) for group in entries]

    @staticmethod
    def _quietly(doing: Callable[[GroupPlane], None], group: GroupPlane) -> None:
        """Do what is worth a try and not a failure."""
        try:
            doing(group)
        except DataPlaneError as error:
            _left_behind(error)


def _left_behind(error: DataPlaneError) -> None:
    log.warning("dataplane-left-behind", reason=str(error), remedy="the next start removes it")
