"""One running lab of continuity: everything started, every subscriber online, pinging and streaming."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from ipaddress import IPv4Address
from pathlib import Path

from netconf_client import NetconfClientError
from rui.netconf.errors import RpcError
from rui_cli.lab.crowd import Arrivals, Crowd
from rui_cli.lab.faults import PROCESSES, Faults
from rui_cli.lab.kernel import look_at_kernel
from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.observer import Observer
from rui_cli.lab.pair import PAIR, SERVER, Pair, Timing
from rui_cli.lab.probing import Probing, pause_for
from rui_cli.lab.streamserver import LISTENING, PORT
from rui_cli.lab.subscribers import Households, Subscribers
from rui_cli.lab.wires import Wires
from rui_cli.site import MANAGER

MOST_HOUSEHOLDS = 32
"""More subscribers than that are a crowd."""
Say = Callable[[str], None]


class Lab:
    """Enter it on the main thread, which is then in the operator's network; its files are in ``folder``.

    Raises LabUnavailableError where this machine cannot run it, LaunchError when a process of ours does not
    come up, CliError when something else does not.
    """

    def __init__(
        self,
        namespaces: Namespaces,
        folder: Path,
        *,
        subscribers: int,
        timing: Timing | None = None,
        every: float | None = None,
        say: Say,
    ) -> None:
        self.timing = Timing() if timing is None else timing
        self.folder = folder
        self.every = pause_for(subscribers) if every is None else every
        self.namespaces = namespaces
        self.pair = Pair(namespaces, folder, self.timing)
        self.observer = Observer(self.pair.site)
        self.probing = Probing(folder / "probe.log")
        few = subscribers <= MOST_HOUSEHOLDS
        self.subscribers: Subscribers = (
            Households(namespaces, folder, subscribers) if few else Crowd(namespaces, "crowd", subscribers)
        )
        self.users = subscribers
        """How many the devices are to hold."""
        self.facts: dict[str, object] = {}
        """What a scenario wants to say besides."""
        self._say = say
        self._stack = AsyncExitStack()
        self._faults: Faults | None = None

    @property
    def faults(self) -> Faults:
        """What may be broken."""
        if self._faults is None:
            raise RuntimeError("the lab is not built yet")
        return self._faults

    async def __aenter__(self) -> Lab:
        try:
            self._build()
            await self._start()
            await self._connect()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    def _build(self) -> None:
        """Make everything on the loop's thread: what another thread goes on to make could not be removed."""
        abilities = look_at_kernel(self.namespaces)
        for left_out in abilities.left_out():
            self._say(f"left out: {left_out}")
        self.pair.build()
        self.subscribers.build()
        self._stack.callback(self.subscribers.close)
        self._faults = Faults(Wires(self.namespaces, self.folder, abilities), self.pair.fleet)
        self.namespaces.enter("mgmt")

    async def _start(self) -> None:
        fleet = await self._stack.enter_async_context(self.pair.fleet)
        # A process that stands still does not hear that it is to end
        self._stack.push_async_callback(self._thaw)
        self._stack.push_async_callback(self.observer.close)
        first, second = PAIR
        await fleet.start([MANAGER, first])
        await self.observer.until(f"{first} is primary", lambda: self.is_primary(first))
        await fleet.start([second])
        self._say("the processes are up")

    async def _connect(self) -> None:
        server = [sys.executable, "-m", "rui_cli.lab.streamserver", str(SERVER)]
        self.namespaces.start("server", server, self._streamserver)
        self._stack.push_async_callback(self.probing.stop)
        await self.probing.start()
        await self.observer.until("the server takes connections", self._server_listens)
        self.subscribers.login()
        await self.observer.until("each subscriber has an address", self._all_bound)
        await self.observer.until("all hold the same", self.same)
        await self.probing.join(self.subscribers.settle(), str(SERVER), PORT, self.every)
        await self.observer.until("the server answers everybody", self._all_served)
        self._say(f"{self.users} subscribers are online, ping and stream")

    async def is_primary(self, name: str) -> bool:
        """Whether a router says that it is primary."""
        return await self.observer.role(name) == "primary"

    async def same(self) -> bool:
        """Whether all devices hold the same, and everybody."""
        return await self.observer.same(self.users)

    async def renew(self) -> None:
        """Have every subscriber renew, and wait until all have."""
        before = [len(addresses) for addresses in self.subscribers.given()]
        self.subscribers.renew()
        await self.observer.until("each lease is renewed", lambda: self._renewed(before))

    def arrivals(self, count: int) -> Arrivals:
        """Return so many others who can log in; they are gone with the lab."""
        arrivals = Arrivals(self.namespaces, f"arrivals{self.users}", count)
        arrivals.build()
        self._stack.callback(arrivals.close)
        return arrivals

    def broken(self) -> dict[str, object]:
        """Return links and processes as they are now."""
        processes = {name: self.faults.process(device) for name, device in PROCESSES.items()}
        return {"links": self.faults.links(), "processes": processes}

    async def status(self) -> dict[str, object]:
        """Return devices, links and subscribers as they are now."""
        felt = await self.probing.felt()
        devices = [await self._device(name) for name in self.pair.site.devices]
        return {
            "devices": devices,
            "links": self.faults.links(),
            "subscribers": {
                "count": self.subscribers.count,
                "reached": self.subscribers.count - felt.lost,
                "streaming": felt.streaming,
                "outage_ms": felt.outages(),
                "leases_kept": self.subscribers.kept(),
            },
        }

    async def _device(self, name: str) -> dict[str, object]:
        process = self.faults.process(name)
        found: dict[str, object] = {"name": name, "process": process, "role": "", "users": None}
        if process != "running":
            return found
        try:
            found["users"] = (await self.observer.holding(name)).count
            found["role"] = await self.observer.role(name) if name in PAIR else "cloud"
        except (NetconfClientError, RpcError, TimeoutError) as error:
            found["role"] = f"does not answer: {error}"
        return found

    async def _thaw(self) -> None:
        for name in PROCESSES.values():
            self.faults.thaw(name)

    @property
    def _streamserver(self) -> Path:
        return self.folder / "streamserver.out"

    async def _server_listens(self) -> bool:
        return LISTENING in self._streamserver.read_text()

    async def _all_bound(self) -> bool:
        return self.subscribers.bound() == self.subscribers.count

    async def _all_served(self) -> bool:
        felt = await self.probing.felt()
        return not felt.lost and felt.streaming == self.subscribers.count

    async def _renewed(self, before: Sequence[int]) -> bool:
        given: Sequence[Sequence[IPv4Address]] = self.subscribers.given()
        return all(len(addresses) > count for addresses, count in zip(given, before, strict=True))
