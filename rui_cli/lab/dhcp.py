"""The DHCP lab's story, step by step: each step waits for what must happen, and says so when it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from netconf_client import ClientSession, NetconfClientError, connect
from rui.backup.record import UserInfo
from rui.netconf.errors import RpcError
from rui_cli.lab import load
from rui_cli.lab.clients import Client
from rui_cli.lab.compare import mismatches
from rui_cli.lab.kea import KeaLease
from rui_cli.lab.topology import GROUP, LOAD, POOL, PRIMARY, SECONDARY, SHORT_LEASE, VIRTUAL, Topology
from rui_cli.site import MANAGER
from rui_cli.tables import ask_holding, ask_records

DEVICES = (PRIMARY, MANAGER, SECONDARY)
_STEP_SECONDS = 15.0
_LOOK_EVERY = 0.1


class StepFailedError(Exception):
    """What a step waited for did not come; the message says what was missing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One finished step, for the summary."""

    name: str
    ok: bool
    seconds: float


@dataclass
class Result:
    """What the lab found; ``mismatches`` is empty when everything was as it must be."""

    clients: int = 0
    leases: int = 0
    records: dict[str, int] = field(default_factory=dict)
    mismatches: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    perfdhcp: dict[str, int] = field(default_factory=dict)

    def summary(self) -> dict[str, object]:
        """Return the result for the JSON file; the cloud's name there is `cloud`, whatever its device is."""
        roles = {PRIMARY: "primary", MANAGER: "cloud", SECONDARY: "secondary"}
        return {
            "clients": self.clients,
            "leases": self.leases,
            "records": {roles[name]: self.records.get(name, 0) for name in DEVICES},
            "mismatches": self.mismatches,
            "perfdhcp": self.perfdhcp,
            "steps": [
                {"name": step.name, "ok": step.ok, "seconds": round(step.seconds, 2)} for step in self.steps
            ],
        }


class DhcpLab:
    """Runs the story in a topology that is built already, with the caller inside its management network."""

    def __init__(self, topology: Topology, *, leases: int, rate: int, say: Callable[[Step], None]) -> None:
        self._topology = topology
        self._leases = leases
        self._rate = rate
        self._say = say
        self._sessions: Mapping[str, ClientSession] = {}
        self.result = Result()

    async def run(self) -> Result:
        """Run all steps and compare the books. Raises LaunchError when a process of ours does not come up."""
        async with AsyncExitStack() as stack:
            await self._step("processes come up", partial(self._start, stack))
            try:
                await self._story()
            except (StepFailedError, NetconfClientError, RpcError, TimeoutError) as error:
                self.result.mismatches.append(f"{self.result.steps[-1].name}: {error}")
            else:
                await self._step("primary, cloud and secondary equal Kea", self._compare)
        return self.result

    async def _story(self) -> None:
        lab = self._topology
        await self._step("clients get their addresses", partial(self._get_online, lab.clients))
        await self._step("renewals reach the records through the proxy", self._renew)
        lab.short_lived.crash()
        crashed = time.monotonic()
        await self._step("released addresses leave every book", self._release)
        await self._step("perfdhcp puts its leases through", self._load)
        await asyncio.sleep(max(0.0, crashed + SHORT_LEASE - time.monotonic()))
        await self._step("an expired lease leaves every book", partial(self._gone, [lab.short_lived]))

    async def _step(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        began = time.monotonic()
        ok = False
        try:
            await work()
            ok = True
        finally:
            step = Step(name, ok, time.monotonic() - began)
            self.result.steps.append(step)
            self._say(step)

    async def _start(self, stack: AsyncExitStack) -> None:
        lab = self._topology
        await asyncio.to_thread(lab.kea.start, "core", POOL)
        await stack.enter_async_context(lab.fleet)
        await lab.fleet.start()
        self._sessions = {name: await stack.enter_async_context(self._session(name)) for name in DEVICES}

    @asynccontextmanager
    async def _session(self, name: str) -> AsyncIterator[ClientSession]:
        session = await connect(self._topology.site.target(name), timeout=_STEP_SECONDS)
        try:
            yield session
        finally:
            await session.close()

    async def _get_online(self, clients: list[Client]) -> None:
        moved = self._topology.moved
        moved.remember_foreign_lease()
        for client in clients:
            client.start()
        for client in clients:
            await self._bound(client, 1)
        self.result.clients = len(clients)
        await self._settle(present=[client.mac for client in clients])
        leases = self._topology.kea.leases()
        for client in clients:
            binding, given = client.bindings()[-1], leases[client.mac].ipv4
            if binding.ipv4 != given:
                raise StepFailedError(f"{client.name} took {binding.ipv4}, Kea gave {given}")
            if binding.server != VIRTUAL:
                raise StepFailedError(f"{client.name} takes {binding.server} for its server, not {VIRTUAL}")
        if not moved.was_refused:
            raise StepFailedError(f"{moved.name} heard no NAK for its address from elsewhere")
        await self._require_equal()

    async def _renew(self) -> None:
        clients = self._topology.staying
        before = {client.mac: len(client.bindings()) for client in clients}
        started = {mac: user.lease_start or 0.0 for mac, user in (await self._users(PRIMARY)).items()}
        for client in clients:
            client.renew()
        for client in clients:
            await self._bound(client, before[client.mac] + 1)
        await self._settle(present=[client.mac for client in clients])
        for name in DEVICES:
            users = await self._users(name)
            for client in clients:
                if (users[client.mac].lease_start or 0.0) <= started[client.mac]:
                    raise StepFailedError(f"the record of {client.name} at {name} has the old lease start")
        await self._require_equal()

    async def _release(self) -> None:
        for client in self._topology.leaving:
            await asyncio.to_thread(client.release)
        await self._gone(self._topology.leaving)

    async def _gone(self, clients: list[Client]) -> None:
        macs = {client.mac for client in clients}
        await self._until("Kea has the leases back", lambda: not macs & self._topology.kea.leases().keys())
        await self._settle(absent=sorted(macs))

    async def _load(self) -> None:
        spaces = self._topology.namespaces
        put = await load.run(spaces, "load", LOAD, VIRTUAL, leases=self._leases, rate=self._rate)
        self.result.perfdhcp = {
            "asked": self._leases,
            "offered": put.offered,
            "acknowledged": put.acknowledged,
        }
        if put.acknowledged == 0:
            raise StepFailedError("perfdhcp got no lease at all")
        await self._settle()

    async def _compare(self) -> None:
        leases, records = await self._books()
        self.result.leases = len(leases)
        self.result.records = {name: len(held) for name, held in records.items()}
        self.result.mismatches += mismatches(leases, records)

    async def _require_equal(self) -> None:
        found = mismatches(*await self._books())
        if found:
            raise StepFailedError("; ".join(found[:5]))

    async def _books(self) -> tuple[Mapping[str, KeaLease], dict[str, dict[str, bytes]]]:
        records = {name: await ask_records(session, GROUP) for name, session in self._sessions.items()}
        return self._topology.kea.leases(), records

    async def _users(self, name: str) -> dict[str, UserInfo]:
        records = await ask_records(self._sessions[name], GROUP)
        return {user.mac_address: user for user in map(UserInfo.decode, records.values())}

    async def _settle(self, *, present: list[str] | None = None, absent: list[str] | None = None) -> None:
        """Wait until the three devices hold the same, as many records as Kea has leases."""
        end = time.monotonic() + _STEP_SECONDS
        while True:
            held = [await ask_holding(session, GROUP) for session in self._sessions.values()]
            leases = self._topology.kea.leases()
            same = len({holding.digest for holding in held}) == 1 and held[0].count == len(leases)
            if same and leases.keys() >= set(present or ()) and not leases.keys() & set(absent or ()):
                return
            if time.monotonic() > end:
                counts = ", ".join(
                    f"{name} {one.count} records to {one.cursor or 'nothing'}"
                    for name, one in zip(self._sessions, held, strict=True)
                )
                raise StepFailedError(
                    f"after {_STEP_SECONDS:g} s the books differ: Kea {len(leases)} leases, {counts}"
                )
            await asyncio.sleep(_LOOK_EVERY)

    async def _bound(self, client: Client, times: int) -> None:
        await self._until(
            f"{client.name} was given an address {times} times", lambda: len(client.bindings()) >= times
        )

    async def _until(self, what: str, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + _STEP_SECONDS
        while not happened():
            if time.monotonic() > end:
                raise StepFailedError(f"after {_STEP_SECONDS:g} s it is not so that {what}")
            await asyncio.sleep(_LOOK_EVERY)
