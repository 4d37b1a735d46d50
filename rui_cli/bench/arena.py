"""The real processes that are measured: a manager and two routers on loopback, and their traces."""

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime
from pathlib import Path

from lxml import etree

from netconf_client import ClientSession, connect
from rui.backup.trace import Milestone
from rui.backup.version import Version
from rui_cli.errors import CliError, ExitCode
from rui_cli.launch import Fleet
from rui_cli.site import DEVICE_NAMESPACE, MANAGER, Content, Group, Site, configuration
from rui_cli.tables import Holding, ask_holding
from rui_cli.trace import Mark, TraceReader

GROUP = "access-1"
PRIMARY = "bras-a"
SECONDARY = "bras-b"

START_SECONDS = 120.0
_SETTLE_SECONDS = 20.0
_POLL = 0.05
# No arrivals, no departures, hardly a renewal in a year of lease: what happens is what a row asks for.
_QUIET: Mapping[str, Content] = {
    "arrivals": "0",
    "mean-hold-time": "0",
    "lease-time": "31536000",
    "initial-population": "0",
    "max-population": "10000000",
}
# The cloud's path is what is measured, so the links stay "up" also where the load on one machine makes probes
# slow: on the path of S504 the secondary is served by the cloud alone.
_STEADY: Mapping[str, Content] = {
    "degraded": {"enter-rtt": "60000", "leave-rtt": "59999", "enter-loss": "100", "leave-loss": "99"},
    "timers": {"link-timeout": "60000"},
}


class Marks:
    """What one device has traced of one milestone, in order."""

    def __init__(self) -> None:
        self.versions: list[Version] = []
        self.times: list[int] = []

    def add(self, mark: Mark) -> None:
        """Take a mark, unless an earlier one has said as much."""
        if not self.versions or mark.version > self.versions[-1]:
            self.versions.append(mark.version)
            self.times.append(mark.at)

    def reached(self, version: Version) -> int | None:
        """Return when this milestone had passed a version, in nanoseconds; None if it has not yet."""
        place = bisect_left(self.versions, version)
        return self.times[place] if place < len(self.times) else None

    def count_at(self) -> int:
        """Return the sequence number that was reached last, 0 before any."""
        return self.versions[-1].seq if self.versions else 0


class Arena:
    """One manager, a primary and a secondary; ``simulated`` holds leaves of their source of subscribers."""

    def __init__(self, site: Site, fleet: Fleet) -> None:
        self.site = site
        self.fleet = fleet
        self._readers: dict[str, TraceReader] = {}
        self._marks: dict[tuple[str, Milestone], Marks] = {}
        self._up: set[str] = set()
        for name in site.devices:
            trace = self._trace(name)
            fleet.add(name, (*site.words(name), "--trace", str(trace)))
            self._readers[name] = TraceReader(trace)

    def _trace(self, name: str) -> Path:
        return self.site.folder / name / "trace"

    @property
    def pids(self) -> dict[str, int]:
        """The running processes' ids by name."""
        return {name: member.pid for name, member in self.fleet.members.items() if member.pid is not None}

    async def start(self, *names: str) -> float:
        """Start these (default: all), and return after how many seconds all were ready."""
        begun = time.monotonic()
        chosen = names or tuple(self.fleet.members)
        await self.fleet.start(chosen, within=START_SECONDS)
        self._up |= set(chosen)
        return time.monotonic() - begun

    async def stop(self, *names: str) -> None:
        """Stop these (default: all) as an operator would; their traces begin anew at the next start."""
        chosen = names or tuple(self.fleet.members)
        self._up -= set(chosen)
        await asyncio.gather(*(self.fleet.members[name].stop(30.0) for name in chosen))
        self._forget(chosen)

    async def crash(self, name: str) -> float:
        """Kill a device; return when, in monotonic seconds. Its trace begins anew at the next start."""
        self._up.discard(name)
        at = time.monotonic()
        await self.fleet.members[name].kill()
        self._forget((name,))
        return at

    def _forget(self, chosen: Collection[str]) -> None:
        for name in chosen:
            self._trace(name).unlink()
            self._readers[name] = TraceReader(self._trace(name))
            self.fleet.members[name].log.write_bytes(b"")
        self._marks = {place: marks for place, marks in self._marks.items() if place[0] not in chosen}

    async def restart(self, name: str) -> None:
        """Stop a device and start it again."""
        await self.stop(name)
        await self.start(name)

    def marks(self, name: str, milestone: Milestone) -> Marks:
        """Read on in a device's trace and return all marks of one milestone."""
        for mark in self._readers[name].read():
            self._of(name, mark.milestone).add(mark)
        return self._of(name, milestone)

    async def until(self, name: str, milestone: Milestone, users: int, within: float) -> int:
        """Wait until a device's milestone has passed sequence number ``users``; return when, in nanoseconds.

        Raises CliError after ``within`` seconds, or when the device's process has ended.
        """
        deadline = time.monotonic() + within
        while True:
            marks = self.marks(name, milestone)
            place = bisect_left(marks.versions, users, key=lambda version: version.seq)
            if place < len(marks.times):
                return marks.times[place]
            self._check(f"{name} {milestone} {users}", f"it is at {marks.count_at()}", deadline)
            await asyncio.sleep(_POLL)

    async def until_event(
        self, name: str, event: str, within: float, *, after: float = 0.0, **facts: str
    ) -> float:
        """Wait until a device has logged an event with these facts after a time; return when.

        Times are monotonic seconds.
        """
        deadline = time.monotonic() + within
        while True:
            for line in self.fleet.members[name].log.read_text().splitlines():
                with contextlib.suppress(ValueError):
                    fields = json.loads(line)
                    if isinstance(fields, dict) and {"event": event, **facts}.items() <= fields.items():
                        wall = datetime.fromisoformat(fields["timestamp"]).timestamp()
                        if (at := wall - time.time() + time.monotonic()) > after:
                            return at
            self._check(f"{name} {event}", "it has not said so", deadline)
            await asyncio.sleep(_POLL)

    def _check(self, what: str, found: str, deadline: float) -> None:
        gone = [name for name in self._up if not self.fleet.members[name].running]
        if gone or time.monotonic() > deadline:
            reason = f"{', '.join(gone)} ended" if gone else found
            raise CliError(
                f"waited for {what}, but {reason}",
                remedy=f"see the logs in {self.site.folder} (rui bench --keep)",
                exit_code=ExitCode.CHECK_FAILED,
            )

    def _of(self, name: str, milestone: Milestone) -> Marks:
        return self._marks.setdefault((name, milestone), Marks())

    @contextlib.asynccontextmanager
    async def session(self, name: str) -> AsyncIterator[ClientSession]:
        """An operator's session with a device."""
        session = await connect(self.site.target(name), timeout=30.0)
        try:
            yield session
        finally:
            await session.close()

    async def change_source(self, **leaves: str) -> None:
        """Give the primary's source of subscribers other rates under way (edit-config and commit)."""
        content: Content = {
            "group": [
                {"id": GROUP, "simulated": {name.replace("_", "-"): value for name, value in leaves.items()}}
            ]
        }
        async with self.session(PRIMARY) as session:
            await session.edit_config(etree.tostring(configuration(DEVICE_NAMESPACE, "device", content)[0]))
            await session.commit()

    async def compare(self, users: int | None = None) -> None:
        """Raise CliError unless all devices hold the same, and so many users where that is known."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while True:
            holdings = {name: await self._holding(name) for name in sorted(self._up)}
            same = len({(holding.cursor, holding.digest) for holding in holdings.values()}) == 1
            if same and users in (None, *{holding.count for holding in holdings.values()}):
                return
            if time.monotonic() > deadline:
                raise CliError(
                    f"the tables differ after the run: {holdings}", exit_code=ExitCode.CHECK_FAILED
                )
            await asyncio.sleep(0.5)

    async def _holding(self, name: str) -> Holding:
        async with self.session(name) as session:
            return await ask_holding(session, GROUP)


@contextlib.asynccontextmanager
async def arena(
    keep: bool = False, group: Mapping[str, Content] = _STEADY, **leaves: str
) -> AsyncIterator[Arena]:
    """Make a site in a folder of its own, nothing started; at the end all is stopped and removed.

    ``leaves`` are leaves of the simulated source, with _ for -; those not given keep everything still.
    ``group`` is the rest of the group's configuration at the routers.
    """
    folder = Path(tempfile.mkdtemp(prefix="rui-bench-"))
    simulated = {**_QUIET, **{name.replace("_", "-"): value for name, value in leaves.items()}}
    site = Site(folder, [Group(GROUP, PRIMARY, (SECONDARY,), simulated=simulated, router_leaves=group)])
    site.write()
    try:
        async with Fleet(folder) as fleet:
            yield Arena(site, fleet)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


async def until_connected(running: Arena, *names: str) -> None:
    """Wait until the manager has a session with each of these routers."""
    for name in names or (PRIMARY, SECONDARY):
        await running.until_event(name, "cloud-subscribed", START_SECONDS)


__all__ = ["GROUP", "MANAGER", "PRIMARY", "SECONDARY", "Arena", "Marks", "arena", "until_connected"]
