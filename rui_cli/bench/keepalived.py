"""Two routers with keepalived, and the outage that a host behind them feels; beside the row ``outage``."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from rui_cli.bench.machine import descendants
from rui_cli.errors import CliError, ExitCode
from rui_cli.lab.namespaces import Link, Namespaces
from rui_cli.lab.requirements import find

PACKAGES = {"keepalived": "keepalived", "ping": "iputils-ping"}
_ADVERTISED_EVERY = 0.1
_PING_EVERY = 0.01
_WITHIN = 15.0
_BEFORE, _AFTER = 1.0, 2.5
_ROUTERS = {"one": 200, "two": 100}
"""The routers and their priorities."""
_SIDES = {"access": "10.81.0", "core": "10.82.0"}
_HOSTS = {"client": "access", "server": "core"}
_ANSWER = re.compile(r"icmp_seq=(\d+) .*time=")
_CONFIGURATION = """global_defs {{
  router_id {name}
  vrrp_version 3
}}
vrrp_sync_group both {{
  group {{ access core }}
}}
{instances}
"""
_INSTANCE = """vrrp_instance {side} {{
  state BACKUP
  interface {side}
  virtual_router_id 51
  priority {priority}
  advert_int {every}
  virtual_ipaddress {{ {network}.1/24 }}
}}
"""

Break = Callable[["Keepalived"], Awaitable[None]]


class Keepalived:
    """Two routers that hold a gateway on either side together, a client and a server."""

    def __init__(self, spaces: Namespaces, folder: Path) -> None:
        self._spaces = spaces
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self) -> None:
        """Build it and wait until router `one` has the gateways. Raises CliError."""
        spaces = self._spaces
        spaces.add(*_SIDES.keys(), *_ROUTERS, *_HOSTS)
        for side in _SIDES:
            spaces.bridge(side)
        for last, name in enumerate(_ROUTERS, start=11):
            for side, network in _SIDES.items():
                spaces.plug(Link(name, side, (f"{network}.{last}/24",)), side)
            spaces.run(name, ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
        for name, side in _HOSTS.items():
            spaces.plug(Link(name, "eth0", (f"{_SIDES[side]}.2/24",)), side)
            spaces.ip(name, "route", "add", "default", "via", f"{_SIDES[side]}.1")
        for name in _ROUTERS:
            self._run(name)
            await self._until(lambda: self._has_gateway("one"))

    async def outage(self, breaks: Break) -> float:
        """Break something under pings and return how many milliseconds went unanswered."""
        file = self._folder / "pings"
        file.unlink(missing_ok=True)
        words = ["ping", "-n", "-i", str(_PING_EVERY), f"{_SIDES['core']}.2"]
        ping = self._spaces.start("client", words, file)
        await self._until(lambda: b"time=" in file.read_bytes())
        await asyncio.sleep(_BEFORE)
        await breaks(self)
        await self._until(lambda: self._has_gateway("two"))
        await asyncio.sleep(_AFTER)
        self._spaces.stop(ping)
        return longest_gap(file.read_text()) * _PING_EVERY * 1000

    async def kill(self) -> None:
        """Kill the Master's processes at once: no farewell; its kernel keeps what it has."""
        running = self._processes["one"].pid
        everyone = [running, *descendants(running)]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in everyone:
                os.kill(pid, number)

    async def cut(self) -> None:
        """Cut the Master's access link."""
        self._spaces.ip("access", "link", "set", "p-one", "down")

    def _run(self, name: str) -> None:
        instances = "".join(
            _INSTANCE.format(side=side, priority=_ROUTERS[name], every=_ADVERTISED_EVERY, network=network)
            for side, network in _SIDES.items()
        )
        file = self._folder / f"{name}.conf"
        file.write_text(_CONFIGURATION.format(name=name, instances=instances))
        words = [find("keepalived") or "keepalived", "-n", "-l", "-P", "-f", str(file)]
        words += ["-p", str(self._folder / f"{name}.pid"), "-r", str(self._folder / f"{name}.vrrp.pid")]
        self._processes[name] = self._spaces.start(name, words, self._folder / f"{name}.log")

    def _has_gateway(self, name: str) -> bool:
        shown = self._spaces.run(name, ["ip", "-o", "-4", "addr"]).stdout.decode()
        return all(f" {network}.1/24" in shown for network in _SIDES.values())

    async def _until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + _WITHIN
        while not holds():
            if time.monotonic() > end:
                raise CliError(
                    f"keepalived did not come so far within {_WITHIN:g} s", exit_code=ExitCode.CHECK_FAILED
                )
            await asyncio.sleep(0.05)


async def outages() -> dict[str, float]:
    """Return what a host loses where the Master is killed, and where its access link is cut."""
    figures = {}
    for name, breaks in (("killed", Keepalived.kill), ("cut", Keepalived.cut)):
        with TemporaryDirectory(prefix="rui-bench-") as folder, Namespaces(f"ka{os.getpid()}") as spaces:
            pair = Keepalived(spaces, Path(folder))
            await pair.start()
            figures[f"keepalived_{name}_ms"] = await pair.outage(breaks)
    return figures


def longest_gap(said: str) -> int:
    """Return the most pings one after the other that were not answered, by what `ping` printed."""
    numbers = [int(found[1]) for found in _ANSWER.finditer(said)]
    return max((later - earlier - 1 for earlier, later in pairwise(numbers)), default=0)
