"""Labs of continuity: subscribers ping the server throughout, while something breaks and heals."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from lxml import etree

from netconf_client import NetconfClientError, connect
from rui.backup.switchover import SwitchIdentity, encode_switch
from rui.netconf.errors import RpcError
from rui_cli.errors import CliError
from rui_cli.lab import requirements
from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.pair import GROUP, PAIR, SERVER, VIRTUAL, Pair, Timing
from rui_cli.site import MANAGER
from rui_cli.tables import Holding, ask_holding

_IDENTITY = "urn:rui-cloud:yang:identity"
_PING_EVERY = 0.02
_WITHIN = 60.0
_LOOK_EVERY = 0.1
_STILL_ANSWERED = 2.0
"""A subscriber who was answered so many seconds before the end is served."""
_WATCHED = 3.0
"""Seconds that the fault lasts beyond the change of role."""
_ANSWER = re.compile(r"^\[(\d+\.\d+)\] .* time=", re.MULTILINE)

Act = Callable[[Pair], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is broken and healed, and who is primary then."""

    name: str
    what: str
    primary: str
    breaks: Act
    heals: Act


@dataclass
class Outcome:
    """What was seen; durations in milliseconds."""

    scenario: str
    subscribers: int
    outages: list[float] = field(default_factory=list)
    lost: int = 0
    leases_kept: bool = False
    role_changes: list[dict[str, object]] = field(default_factory=list)
    converged: bool = False
    failure: str = ""

    @property
    def good(self) -> bool:
        """Whether nobody lost anything."""
        return not self.lost and self.leases_kept and self.converged and not self.failure

    def summary(self) -> dict[str, object]:
        """Return the result for the JSON file."""
        outages = self.outages or [0.0]
        found: dict[str, object] = {
            "scenario": self.scenario,
            "subscribers": self.subscribers,
            "outage_ms": {"p50": round(median(outages), 1), "max": round(max(outages), 1)},
            "lost_sessions": self.lost,
            "leases_kept": self.leases_kept,
            "role_changes": self.role_changes,
            "converged": self.converged,
        }
        return {**found, "failure": self.failure} if self.failure else found


async def run_scenario(
    name: str,
    *,
    folder: Path,
    subscribers: int = 4,
    timing: Timing | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Build the lab, run the scenario of that name, remove the lab; its files and logs stay in ``folder``.

    Needs root and the main thread, which is in the operator's network meanwhile. Raises LabUnavailableError
    where it cannot run, LaunchError when a process of ours does not come up; what a scenario waited for in
    vain is in the outcome.
    """
    requirements.check(programs=requirements.CONTINUITY)
    with Namespaces(str(os.getpid())) as namespaces:
        for left_out in requirements.look_at_kernel(namespaces):
            say(f"left out: {left_out}")
        pair = Pair(namespaces, folder, subscribers, timing)
        # On the loop: what a thread goes on to make could not be removed
        pair.build()
        namespaces.enter("mgmt")
        return await Continuity(pair, SCENARIOS[name], say).run()


class Continuity:
    """Runs one scenario in a pair that is built already, with the caller inside its management network."""

    def __init__(self, pair: Pair, scenario: Scenario, say: Callable[[str], None]) -> None:
        self._pair = pair
        self._scenario = scenario
        self._say = say
        self.outcome = Outcome(scenario.name, len(pair.clients))

    async def run(self) -> Outcome:
        """Run it to its end. Raises LaunchError when a process of ours does not come up."""
        async with AsyncExitStack() as stack:
            await self._start(stack)
            try:
                await self._story()
            except CliError as error:
                self.outcome.failure = str(error)
        return self.outcome

    async def _start(self, stack: AsyncExitStack) -> None:
        fleet = await stack.enter_async_context(self._pair.fleet)
        first, second = PAIR
        await fleet.start([MANAGER, first])
        await self._until(f"{first} is primary", lambda: self._is_primary(first))
        await fleet.start([second])
        self._say("the processes are up")

    async def _story(self) -> None:
        pair, clients = self._pair, self._pair.clients
        for client in clients:
            client.start()
        await self._until("each subscriber has an address", lambda: self._bound(1))
        for client in clients:
            pair.namespaces.ip(client.name, "route", "add", "default", "via", str(VIRTUAL))
        await self._until("all hold the same", self._same)
        ping = ["ping", "-D", "-n", "-i", str(_PING_EVERY), str(SERVER)]
        pings = [
            pair.namespaces.start(client.name, ping, pair.folder / f"{client.name}.ping")
            for client in clients
        ]
        await self._until("the server answers everybody", self._answered)
        await asyncio.sleep(1)
        broken = time.time()
        await self._scenario.breaks(pair)
        self._say(f"broken: {self._scenario.what}")
        primary = self._scenario.primary
        await self._until(f"{primary} is primary", lambda: self._is_primary(primary))
        await asyncio.sleep(_WATCHED)
        await self._scenario.heals(pair)
        self._say("healed")
        await self._until("all hold the same", self._same)
        self.outcome.converged = True
        before = [len(client.bindings()) for client in clients]
        for client in clients:
            client.renew()
        await self._until("each lease is renewed", lambda: self._bound(*(count + 1 for count in before)))
        kept = all(len({binding.ipv4 for binding in client.bindings()}) == 1 for client in clients)
        self.outcome.leases_kept = kept
        await asyncio.sleep(1)
        ended = time.time()
        for process in pings:
            pair.namespaces.stop(process)
        for client in clients:
            answers = self._answers(client.name)
            self.outcome.outages.append(_outage(answers, broken))
            self.outcome.lost += ended - answers[-1] > _STILL_ANSWERED
        self.outcome.role_changes = self._role_changes(broken, ended)

    def _answers(self, name: str) -> list[float]:
        file = self._pair.folder / f"{name}.ping"
        return [float(found[1]) for found in _ANSWER.finditer(file.read_text())] if file.exists() else []

    def _role_changes(self, begin: float, end: float) -> list[dict[str, object]]:
        """Return what the routers' logs say of their roles, milliseconds after the fault."""
        found = []
        for name in PAIR:
            for line in (self._pair.folder / f"{name}.log").read_text().splitlines():
                if '"role-changed"' not in line:
                    continue
                event = json.loads(line)
                at = datetime.fromisoformat(event["timestamp"]).timestamp()
                if begin <= at <= end:
                    entry = {"device": name, "role": event["role"], "reason": event["reason"]}
                    found.append({"after_ms": round((at - begin) * 1000), **entry})
        return sorted(found, key=lambda entry: entry["after_ms"])

    async def _answered(self) -> bool:
        return all(self._answers(client.name) for client in self._pair.clients)

    async def _bound(self, *times: int) -> bool:
        clients = self._pair.clients
        wanted = times if len(times) == len(clients) else times * len(clients)
        return all(len(client.bindings()) >= count for client, count in zip(clients, wanted, strict=True))

    async def _is_primary(self, name: str) -> bool:
        async with asyncio.timeout(_WITHIN):
            session = await connect(self._pair.site.target(name), timeout=_WITHIN)
            try:
                reply = await session.get(f'<identity xmlns="{_IDENTITY}"/>'.encode())
            finally:
                await session.close()
        return _first(reply.element, "role") == "primary"

    async def _same(self) -> bool:
        held = await asyncio.gather(*(self._holding(name) for name in self._pair.site.devices))
        return len({one.digest for one in held}) == 1 and held[0].count == len(self._pair.clients)

    async def _holding(self, name: str) -> Holding:
        session = await connect(self._pair.site.target(name), timeout=_WITHIN)
        try:
            return await ask_holding(session, GROUP)
        finally:
            await session.close()

    async def _until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        end = time.monotonic() + _WITHIN
        while True:
            try:
                if await holds():
                    return
            except (NetconfClientError, RpcError, TimeoutError):
                pass  # a device may be away meanwhile
            if time.monotonic() > end:
                raise CliError(f"after {_WITHIN:g} s it is not so that {what}")
            await asyncio.sleep(_LOOK_EVERY)


def _outage(answers: list[float], since: float) -> float:
    """Return the longest time without an answer, beyond the pause between pings."""
    times = [at for at in answers if at >= since - 1]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return max(0.0, max(gaps, default=0.0) - _PING_EVERY) * 1000


def _first(tree: etree._Element, leaf: str) -> str:
    return tree.findtext(f".//{{{_IDENTITY}}}{leaf}") or ""


def _cable(name: str, bridge: str, state: str) -> Act:
    async def act(pair: Pair) -> None:
        pair.port(name, bridge, state)

    return act


def _signal(name: str, number: signal.Signals) -> Act:
    async def act(pair: Pair) -> None:
        pid = pair.fleet.members[name].pid
        if pid is not None:
            os.kill(pid, number)

    return act


async def _kill(pair: Pair) -> None:
    await pair.fleet.members[PAIR[0]].kill()


async def _start_again(pair: Pair) -> None:
    await pair.fleet.members[PAIR[0]].start()


async def _switch(pair: Pair) -> None:
    session = await connect(pair.site.target(MANAGER), timeout=_WITHIN)
    try:
        await session.rpc(encode_switch(SwitchIdentity(GROUP, PAIR[1])))
    finally:
        await session.close()


async def _nothing(_pair: Pair) -> None:
    """Nothing is to be healed."""


_A, _B = PAIR
SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "access-link-cut",
            "the Master's link to the access network is cut",
            _B,
            _cable(_A, "access", "down"),
            _cable(_A, "access", "up"),
        ),
        Scenario(
            "router-killed", "the Master's process is killed, and started again", _B, _kill, _start_again
        ),
        Scenario(
            "router-frozen",
            "the Master's process stands still",
            _B,
            _signal(_A, signal.SIGSTOP),
            _signal(_A, signal.SIGCONT),
        ),
        Scenario("planned-switchover", "an operator moves the role", _B, _switch, _nothing),
        Scenario(
            "cloud-cut",
            "nobody reaches the cloud; no role changes",
            _A,
            _cable(MANAGER, "mgmt", "down"),
            _cable(MANAGER, "mgmt", "up"),
        ),
    )
}
