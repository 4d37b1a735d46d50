"""Carries the faults of a plan out on running processes and the network between them, and undoes them."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from netconf_client import NetconfClientError, connect
from rui.backup.switchover import SwitchIdentity, encode_switch
from rui.netconf.errors import RpcError
from rui_cli.chaos.clocks import Clocks
from rui_cli.chaos.network import Network
from rui_cli.chaos.plan import OF_PROCESSES, Fault, Kind, links_of
from rui_cli.launch import Fleet, Launched, LaunchError
from rui_cli.site import MANAGER, Site

log = structlog.get_logger(__name__)

START_SECONDS = 60.0
_PATIENCE = 5.0
# A log and a trace go on growing while a journal cannot.
_SPARE = 64 * 1024


class Injector:
    """`told` hears of each fault as it begins.

    `violations` are processes that ended by themselves, or did not start.
    """

    def __init__(
        self, site: Site, fleet: Fleet, network: Network, clocks: Clocks, told: Callable[[Fault], None]
    ) -> None:
        self.count = 0
        self.violations: list[str] = []
        self._site = site
        self._fleet = fleet
        self._network = network
        self._clocks = clocks
        self._told = told
        self._at_work = {name: asyncio.Lock() for name in fleet.members}

    async def run(self, faults: list[Fault]) -> None:
        """Let each fault happen in its time; return when all are over."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                group.create_task(self._happen(fault, began))

    async def heal(self) -> None:
        """See to it that all processes run."""
        for name, member in self._fleet.members.items():
            if not member.running:
                self._look(member)
                await self._start(name)

    async def _happen(self, fault: Fault, began: float) -> None:
        """Let one fault begin and end; what a process is to suffer waits until it has started again."""
        await asyncio.sleep(began + fault.at - time.monotonic())
        if fault.kind not in OF_PROCESSES:
            await self._suffer(fault)
            return
        async with self._at_work[fault.target[0]]:
            await self._suffer(fault)

    async def _suffer(self, fault: Fault) -> None:
        log.info("fault", what=str(fault), at=fault.at)
        self.count += 1
        self._told(fault)
        try:
            await self._begin(fault)
            await asyncio.sleep(fault.lasts)
        finally:
            self._undo(fault)
        if fault.kind is Kind.KILLED:
            await self._start(fault.target[0])
        log.info("fault-over", what=str(fault))

    async def _begin(self, fault: Fault) -> None:
        network, target = self._network, fault.target
        match fault.kind:
            case Kind.CUT | Kind.ISOLATED:
                for one, other in _links(fault):
                    network.way(one, other).block()
                    network.way(other, one).block()
            case Kind.ONE_WAY:
                network.way(target[0], target[1]).block()
            case Kind.RESET:
                network.reset(target[0], target[1])
            case Kind.SLOW | Kind.LOSSY as kind:
                for one, other in (target, target[::-1]):
                    network.way(one, other).spoil(
                        delay=fault.extent if kind is Kind.SLOW else 0.0,
                        loss=fault.extent if kind is Kind.LOSSY else 0.0,
                    )
            case Kind.KILLED:
                await self._kill(self._fleet.members[target[0]])
            case Kind.FROZEN:
                self._signal(target[0], signal.SIGSTOP)
            case Kind.DISK_FULL:
                self._limit(target[0], full=True)
            case Kind.CLOCK:
                self._clocks.set(target[0], fault.extent)
            case Kind.SWITCHOVER:
                await self._switch(target[0])

    def _undo(self, fault: Fault) -> None:
        match fault.kind:
            case Kind.FROZEN:
                self._signal(fault.target[0], signal.SIGCONT)
            case Kind.DISK_FULL:
                self._limit(fault.target[0], full=False)
            case Kind.CLOCK:
                self._clocks.set(fault.target[0], 0.0)
            case Kind.KILLED | Kind.SWITCHOVER:
                pass
            case _:
                for one, other in _links(fault):
                    self._network.mend(one, other)

    async def _kill(self, member: Launched) -> None:
        self._look(member)
        await member.kill()

    def _look(self, member: Launched) -> None:
        """A process that is down, and that nobody has killed, has failed."""
        if not member.running:
            self.violations.append(f"{member.name} has ended by itself; see {member.log}")

    async def _start(self, name: str) -> None:
        """Start a process again, with a new trace beside those of its former lives."""
        member = self._fleet.members[name]
        trace = trace_of(self._fleet, name)
        with suppress(FileNotFoundError):
            trace.rename(trace.with_name(f"{trace.name}.{member.starts}"))
        try:
            await member.start(START_SECONDS)
        except LaunchError as error:
            self.violations.append(str(error))

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self._fleet.members[name].pid
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _limit(self, name: str, *, full: bool) -> None:
        """Let no file of a process grow, or every one again; its log and its trace are not meant."""
        pid = self._fleet.members[name].pid
        if pid is None:
            return
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        soft = hard
        if full:
            beside = [self._fleet.members[name].log, trace_of(self._fleet, name)]
            soft = _SPARE + max((path.stat().st_size for path in beside if path.exists()), default=0)
            if name != MANAGER:
                soft = max(
                    soft, *(path.stat().st_size for path in self._site.data(name).glob("group-*/log-*"))
                )
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))

    async def _switch(self, name: str) -> None:
        """Ask a router to be primary; one that is down, or not in sync, is not."""
        group = self._site.groups[0].id
        try:
            session = await connect(self._site.target(name), timeout=_PATIENCE)
            try:
                await session.rpc(encode_switch(SwitchIdentity(group)), timeout=_PATIENCE)
            finally:
                await session.close()
        except (NetconfClientError, RpcError) as error:
            log.info("switchover-refused", device=name, reason=str(error))


def _links(fault: Fault) -> list[tuple[str, str]]:
    """Return the links that a fault is about."""
    return links_of(fault.target[0]) if fault.kind is Kind.ISOLATED else [(fault.target[0], fault.target[1])]


def trace_of(fleet: Fleet, name: str) -> Path:
    """Return the trace of a process's present life."""
    return fleet.folder / f"{name}.trace"
