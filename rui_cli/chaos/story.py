"""The whole story: start, load, faults, healing, convergence, judgement."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lxml import etree

from netconf_client import ClientSession, NetconfClientError, connect
from rui.netconf.errors import RpcError
from rui_cli.chaos.clocks import Clocks, find_library
from rui_cli.chaos.injector import START_SECONDS, Injector, trace_of
from rui_cli.chaos.network import Network
from rui_cli.chaos.outcome import Outcome, judge
from rui_cli.chaos.plan import DEVICES, ROUTERS, Fault, plan
from rui_cli.chaos.truth import read_truth
from rui_cli.launch import Fleet
from rui_cli.site import DEVICE_NAMESPACE, Content, Group, Site, configuration
from rui_cli.tables import ask_holding, ask_records

T = TypeVar("T")

GROUP = "access-1"
IDENTITY = "urn:rui-cloud:yang:identity"
CONVERGE_SECONDS = 60.0
_PERIOD = 0.5
_AGREE_IN_A_ROW = 3
_PATIENCE = 10.0
_TEN_YEARS = 10 * 365 * 86_400
_TIMERS: Mapping[str, Content] = {
    "link-timeout": "1000",
    "hold-time": "1000",
    "max-wait": "5000",
    "query-timeout": "500",
}
_CLOUD_TIMERS: Mapping[str, Content] = {"link-timeout": "1000"}


@dataclass(frozen=True)
class Standing:
    """What one device says: its role, and what it holds."""

    role: str
    holding: tuple[object, ...]


def chaos_group(seed: int) -> Group:
    """Return the backup group: some twenty logins and logoffs and a dozen renewals a second, of 400 users."""
    return Group(
        GROUP,
        ROUTERS[0],
        ROUTERS[1:],
        simulated={
            "seed": str(seed),
            "arrivals": "20",
            "mean-hold-time": "20",
            "initial-population": "200",
            "max-population": "2000",
            "lease-time": "60",
        },
        router_leaves={"timers": _TIMERS},
        cloud_leaves={"timers": _CLOUD_TIMERS},
    )


class Story:
    """Tells one story in a folder; `told` hears what happens, for the screen."""

    def __init__(self, seed: int, seconds: float, folder: Path, told: Callable[[str], None]) -> None:
        self.outcome = Outcome(seed=seed, seconds=seconds)
        self._folder = folder
        self._told = told
        self._site = Site(folder, [chaos_group(seed)])
        self._clocks = Clocks(folder, find_library())
        self.outcome.clocks = self._clocks.movable
        self._plan = plan(seed, seconds, clocks=self._clocks.movable)

    async def tell(self) -> Outcome:
        """Tell it. What the product does wrong is in the outcome; a CliError says that it cannot be told."""
        outcome = self.outcome
        async with AsyncExitStack() as stack:
            network = await stack.enter_async_context(Network(self._site.ports, outcome.seed))
            self._site.dialled = network.dialled
            self._site.write()
            fleet = await stack.enter_async_context(Fleet(self._folder))
            for name in DEVICES:
                words = (*self._site.words(name), "--trace", str(trace_of(fleet, name)))
                fleet.add(name, words, environment=self._clocks.environment(name))
            await fleet.start(within=START_SECONDS)
            await self._settle("at the start", held=False)
            injector = Injector(self._site, fleet, network, self._clocks, self._fault)
            await injector.run(self._plan)
            self._told("all faults are over; nobody comes or goes any more")
            await injector.heal()
            outcome.faults, outcome.violations = injector.count, injector.violations
            await self._close_the_doors()
            primary = await self._settle("after all faults", held=True)
            records = await self._records()
        self._judge(fleet, records, primary)
        return outcome

    def _fault(self, fault: Fault) -> None:
        self._told(f"{fault.at:6.1f} s  {fault}")

    def _judge(self, fleet: Fleet, records: Mapping[str, Mapping[str, bytes]], primary: str) -> None:
        journals = {name: self._site.data(name) / f"group-{GROUP}" for name in ROUTERS}
        truth = read_truth(journals, sorted(self._folder.glob("*.trace*")))
        judge(self.outcome, records, truth, primary)
        for name, member in fleet.members.items():
            self.outcome.violations += faults_of_code(name, member.log)

    async def _settle(self, when: str, *, held: bool) -> str:
        """Wait until one router is primary, the other secondary, and all three hold the same.

        Without `held` the users still come and go, so only the roles count. Return who is primary; after the
        time the one that says so, with a violation.
        """
        deadline = time.monotonic() + CONVERGE_SECONDS
        agreed, seen = 0, dict[str, Standing]()
        while agreed < _AGREE_IN_A_ROW and time.monotonic() < deadline:
            seen = await self._standings()
            agreed = agreed + 1 if _settled(seen, held=held) else 0
            await asyncio.sleep(_PERIOD)
        self.outcome.converged = agreed >= _AGREE_IN_A_ROW
        if not self.outcome.converged:
            told = "; ".join(f"{name}: {found.role} {found.holding}" for name, found in seen.items())
            self.outcome.violations.append(f"not converged {when} within {CONVERGE_SECONDS:g} s: {told}")
        return next((name for name in ROUTERS if name in seen and seen[name].role == "primary"), ROUTERS[0])

    async def _standings(self) -> dict[str, Standing]:
        async def ask(name: str) -> Standing:
            async with self._session(name) as session:
                role = await _role(session) if name in ROUTERS else ""
                held = await ask_holding(session, GROUP)
                return Standing(role, (held.cursor, held.count, held.digest))

        answers = await asyncio.gather(*(ask(name) for name in DEVICES), return_exceptions=True)
        found = {}
        for name, answer in zip(DEVICES, answers, strict=True):
            if isinstance(answer, Standing):
                found[name] = answer
            elif not isinstance(answer, NetconfClientError | RpcError | OSError):
                raise answer
        return found

    async def _close_the_doors(self) -> None:
        """Nobody comes, goes or renews any more, whoever is or becomes primary."""
        nobody = {"arrivals": "0", "mean-hold-time": "0", "lease-time": str(_TEN_YEARS)}
        still: Content = {"group": [{"id": GROUP, "simulated": nobody}]}
        edit = etree.tostring(configuration(DEVICE_NAMESPACE, "device", still)[0])
        for name in ROUTERS:
            await self._ask(name, lambda session: session.edit_config(edit, target="running"))

    async def _ask(self, name: str, question: Callable[[ClientSession], Awaitable[T]]) -> T:
        """Ask a device in a session of its own; one that is just back, or busy, may need a moment."""
        deadline = time.monotonic() + CONVERGE_SECONDS
        while True:
            try:
                async with self._session(name) as session:
                    return await question(session)
            except (NetconfClientError, OSError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_PERIOD)

    async def _records(self) -> dict[str, dict[str, bytes]]:
        return {name: await self._ask(name, lambda session: ask_records(session, GROUP)) for name in DEVICES}

    @asynccontextmanager
    async def _session(self, name: str) -> AsyncIterator[ClientSession]:
        session = await connect(self._site.target(name), timeout=_PATIENCE)
        try:
            yield session
        finally:
            await session.close()


async def _role(session: ClientSession) -> str:
    reply = await session.get(f'<identity xmlns="{IDENTITY}"/>'.encode(), timeout=_PATIENCE)
    return reply.element.findtext(f".//{{{IDENTITY}}}group/{{{IDENTITY}}}role") or ""


def _settled(seen: Mapping[str, Standing], *, held: bool) -> bool:
    if len(seen) < len(DEVICES):
        return False
    roles = sorted(seen[name].role for name in ROUTERS)
    same = len({found.holding for found in seen.values()}) == 1
    return roles == ["primary", "secondary"] and (same or not held)


def faults_of_code(name: str, log: Path) -> list[str]:
    """Return what a log says of errors that nobody has foreseen: one line each kind, with how often."""
    found: dict[str, int] = {}
    for line in log.read_text(errors="replace").splitlines():
        event: dict[str, object] = {}
        with suppress(ValueError):
            event = json.loads(line)
        if "exception" in event:
            last = str(event["exception"]).strip().splitlines()[-1]
            what = f"{event.get('event')}: {last}"
        elif line.startswith("Traceback"):
            what = "a traceback"
        else:
            continue
        found[what] = found.get(what, 0) + 1
    return [f"{name} logs {count} times {what}; see {log}" for what, count in found.items()]
