"""What the demo does, step by step, and what it proves at the end."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field

from lxml import etree

from netconf_client import ClientSession, NetconfClientError, connect
from rui.netconf.errors import RpcError
from rui_cli.demo.watch import Watcher
from rui_cli.errors import CliError
from rui_cli.launch import Fleet
from rui_cli.site import DEVICE_NAMESPACE, MANAGER, Content, Group, Site, configuration
from rui_cli.tables import Holding, ask_holding, ask_records, compare

GROUP = "access-1"
PRIMARY = "bras-a"
SECONDARY = "bras-b"

# The shares of the demo's time: before the crash, and without a manager.
_BEFORE = 0.4
_DOWN = 0.15
_START_SECONDS = 20.0
_CATCH_UP_SECONDS = 15.0
_COMPARE_TRIES = 20
_TEN_YEARS = 10 * 365 * 86_400


@dataclass(frozen=True)
class Options:
    """How many users at most, for how many seconds they come and go, and the seed of their behaviour."""

    users: int
    seconds: float
    seed: int


@dataclass(frozen=True)
class Step:
    """One step that was done."""

    name: str
    ok: bool
    seconds: float


@dataclass
class Outcome:
    """The result: `lost` counts users that a copy lacks or has otherwise, `extra` those it has beyond."""

    users: int = 0
    lost: int = 0
    extra: int = 0
    converged: bool = False
    digests: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    error: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing was lost, nothing was invented, and every step was done."""
        return self.converged and not self.lost and not self.extra and all(step.ok for step in self.steps)

    def as_json(self) -> dict[str, object]:
        """Return the outcome as plain values; `error` only where there is one."""
        plain = asdict(self)
        if not self.error:
            del plain["error"]
        return plain


def demo_group(options: Options) -> Group:
    """Return the demo's backup group: users arrive for most of the time, and some leave again."""
    arrivals = max(1.0, options.users / (0.8 * options.seconds))
    return Group(
        GROUP,
        PRIMARY,
        (SECONDARY,),
        simulated={
            "seed": str(options.seed),
            "arrivals": f"{arrivals:.3f}",
            "mean-hold-time": f"{options.seconds * 2:.3f}",
            "initial-population": str(options.users // 10),
            "max-population": str(options.users),
        },
    )


class Story:
    """Tells the demo over a site, its processes and a watcher; `current` names the step under way."""

    def __init__(self, options: Options, site: Site, fleet: Fleet, watcher: Watcher) -> None:
        self.outcome = Outcome()
        self.current = ""
        self._options = options
        self._site = site
        self._fleet = fleet
        self._watcher = watcher

    async def tell(self) -> Outcome:
        """Do every step; what fails is in the outcome, not raised. Cancellation passes."""
        try:
            await self._steps()
        except (CliError, NetconfClientError, RpcError, TimeoutError) as error:
            self.outcome.error = str(error)
        return self.outcome

    async def _steps(self) -> None:
        seconds, views = self._options.seconds, self._watcher.views
        manager = self._fleet.members[MANAGER]
        async with self._step("start a manager and two routers"):
            await self._fleet.start(within=_START_SECONDS)
        async with self._step("identities reach the cloud, the first users every table"):
            await self._watcher.until(
                lambda: all(view.holding is not None and view.holding.count > 0 for view in views.values()),
                _START_SECONDS,
                "users at all three devices",
            )
        async with self._step("users come and go"):
            await asyncio.sleep(seconds * _BEFORE)
        async with self._step("kill -9 the manager; users go on coming and going"):
            await manager.kill()
            await asyncio.sleep(seconds * _DOWN)
        async with self._step("start the manager again"):
            await manager.start(within=_START_SECONDS)
        async with self._step("cloud and secondary catch up"):
            behind = views[PRIMARY].cursor
            await self._watcher.until(
                lambda: all(view.up and view.cursor >= behind for view in views.values()),
                _CATCH_UP_SECONDS,
                f"cloud and secondary at {behind}",
            )
        async with self._step("users come and go again"):
            await asyncio.sleep(seconds * (1 - _BEFORE - _DOWN))
        async with self._step("close the doors (edit-config at the primary)"):
            await self._close_the_doors()
        async with self._step("compare the three tables"):
            await self._compare()

    @contextlib.asynccontextmanager
    async def _step(self, name: str) -> AsyncIterator[None]:
        self.current = name
        begun = time.monotonic()
        done = False
        try:
            yield
            done = True
        finally:
            self.outcome.steps.append(Step(name, done, round(time.monotonic() - begun, 3)))

    async def _close_the_doors(self) -> None:
        """Nobody comes, goes or renews any more, so that three tables can be read at one version."""
        nobody = {"arrivals": "0", "mean-hold-time": "0", "lease-time": str(_TEN_YEARS)}
        still: Content = {"group": [{"id": GROUP, "simulated": nobody}]}
        async with self._session(PRIMARY) as session:
            edit = configuration(DEVICE_NAMESPACE, "device", still)
            await session.edit_config(etree.tostring(edit[0]))
            await session.commit()

    async def _compare(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            sessions = {
                name: await stack.enter_async_context(self._session(name)) for name in self._site.devices
            }
            for _ in range(_COMPARE_TRIES):
                before = await self._at_one_version(sessions)
                records = {name: await ask_records(session, GROUP) for name, session in sessions.items()}
                holdings = {name: await ask_holding(session, GROUP) for name, session in sessions.items()}
                if holdings == before:
                    self._judge(holdings, records)
                    return
        raise TimeoutError(f"the tables went on changing while they were read {_COMPARE_TRIES} times")

    async def _at_one_version(self, sessions: dict[str, ClientSession]) -> dict[str, Holding]:
        """Wait until all are at one version; what they hold then, or what they hold when the time is over."""
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        while True:
            holdings = {name: await ask_holding(session, GROUP) for name, session in sessions.items()}
            if len({holding.cursor for holding in holdings.values()}) == 1 or time.monotonic() > deadline:
                return holdings
            await asyncio.sleep(0.05)

    def _judge(self, holdings: dict[str, Holding], records: Mapping[str, Mapping[str, bytes]]) -> None:
        truth = records[PRIMARY]
        differences = [compare(truth, records[name]) for name in records if name != PRIMARY]
        outcome = self.outcome
        outcome.users = len(truth)
        outcome.lost = len(frozenset().union(*(found.missing | found.changed for found in differences)))
        outcome.extra = len(frozenset().union(*(found.extra for found in differences)))
        outcome.digests = {name: holding.digest for name, holding in holdings.items()}
        same = len({(h.cursor, h.count, h.digest) for h in holdings.values()}) == 1
        counted = all(h.count == len(truth) for h in holdings.values())
        outcome.converged = same and counted and all(found.empty for found in differences)

    @contextlib.asynccontextmanager
    async def _session(self, name: str) -> AsyncIterator[ClientSession]:
        session = await connect(self._site.target(name), timeout=10.0)
        try:
            yield session
        finally:
            await session.close()
