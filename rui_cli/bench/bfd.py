"""Row ``bfd``: what the sessions of one router process cost, beside BIRD and beside timers alone."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rui_cli.bench.child import Child, child
from rui_cli.bench.machine import Meter, cpu_seconds
from rui_cli.errors import CliError
from rui_cli.lab.namespaces import Link, Namespaces
from rui_cli.lab.requirements import find

INTERVAL_MS = 300
_MULTIPLIER = 3
_SETTLES = 3.0
_MEASURED = 10.0
_COMES_UP = 60.0
_LOOK_EVERY = 0.2
_SPEAKER = "rui_cli.bench.bfdspeaker"
_NETWORK, _BLOCKS = "10.82", (0, 100)


async def measure(users: int, *, keep: bool = False) -> tuple[dict[str, float], float]:  # noqa: ARG001
    """Have so many sessions (``users``) between two processes; return what one of them uses, in cores.

    Each end sends at 3 x 300 ms. Also returned: what a packet costs, sent or received, the falls meanwhile,
    and others' cores.
    """
    async with _ends("", users) as (router, peer):
        end = time.monotonic() + _COMES_UP
        while min((await router.ask())["up"], (await peer.ask())["up"]) < users:
            if time.monotonic() > end:
                raise CliError(f"{users} BFD sessions did not come up within {_COMES_UP:g} s")
            await asyncio.sleep(_LOOK_EVERY)
        # Until a session is up it sends once a second; now the intervals are polled
        await asyncio.sleep(_SETTLES)
        figures, others = await _figures(router, peer)
        return figures, others


async def beside(users: int) -> dict[str, float]:
    """Measure as many bare timers and datagrams; and BIRD, where there is one and this is root."""
    async with _ends("timers-", users) as (router, peer):
        await router.ask()
        figures, _ = await _figures(router, peer)
    found = {"timers_cores": figures["cores"], "timers_packet_us": figures["packet_us"]}
    if os.geteuid() == 0 and find("bird") is not None:
        found["bird_cores"] = await _bird(users)
    return found


async def _figures(router: Child, peer: Child) -> tuple[dict[str, float], float]:
    before = await router.ask("packets")
    meter = Meter({"router": router.pid, "peer": peer.pid})
    begun = time.monotonic()
    await asyncio.sleep(_MEASURED)
    usage, seconds = meter.read(), time.monotonic() - begun
    after, used = await router.ask("packets"), usage.seconds["router"]
    packets = after["packets"] - before["packets"]
    figures = {
        "cores": used / seconds,
        "packet_us": 1e6 * used / max(1.0, packets),
        "packets_per_s": packets / seconds,
        "falls": after["falls"],
    }
    return figures, usage.others


@asynccontextmanager
async def _ends(kind: str, sessions: int) -> AsyncIterator[tuple[Child, Child]]:
    own, other = _free_ports()
    async with AsyncExitStack() as stack:
        ends = []
        for role, ports in (("router", (own, other)), ("peer", (other, own))):
            words = [f"{kind}{role}", *map(str, ports), str(sessions), str(INTERVAL_MS)]
            ends.append(await stack.enter_async_context(child(_SPEAKER, words)))
        yield ends[0], ends[1]


def _free_ports() -> tuple[int, int]:
    """Return two UDP ports that nobody has at this moment."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        for held in (one, two):
            held.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


async def _bird(sessions: int) -> float:
    """Return the cores that one of two BIRDs uses for as many sessions over a veth."""
    with TemporaryDirectory(prefix="rui-bench-") as name, Namespaces(f"bird{os.getpid()}") as spaces:
        folder = Path(name)
        spaces.add("switch", "one", "two")
        spaces.bridge("switch")
        # BIRD knows a session by its far end alone, so each has two addresses to itself
        near, far = (
            [f"{_NETWORK}.{block + n // 250}.{1 + n % 250}" for n in range(sessions)] for block in _BLOCKS
        )
        for which, own, others in (("one", near, far), ("two", far, near)):
            addresses = tuple(f"{address}/16" for address in own)
            spaces.plug(Link(which, "eth0", addresses), "switch")
            pairs = zip(others, own, strict=True)
            neighbours = [f'neighbor {other} dev "eth0" local {address};' for other, address in pairs]
            file = folder / f"{which}.conf"
            file.write_text(_CONFIGURATION.format(near=own[0], neighbours="\n".join(neighbours)))
            words = [find("bird") or "bird", "-f", "-c", str(file), "-s", str(folder / f"{which}.ctl")]
            process = spaces.start(which, words, folder / f"{which}.out")
            if which == "one":
                measured = process.pid
        end = time.monotonic() + _COMES_UP
        ask = [find("birdc") or "birdc", "-r", "-s", str(folder / "one.ctl"), "show", "bfd", "sessions"]
        while spaces.run("one", ask).stdout.count(b" Up ") < sessions:
            if time.monotonic() > end:
                raise CliError(f"BIRD's {sessions} sessions did not come up within {_COMES_UP:g} s")
            await asyncio.sleep(_LOOK_EVERY)
        await asyncio.sleep(_SETTLES)
        before, begun = cpu_seconds(measured), time.monotonic()
        await asyncio.sleep(_MEASURED)
        return (cpu_seconds(measured) - before) / (time.monotonic() - begun)


_CONFIGURATION = f"""router id {{near}};
protocol device {{{{ }}}}
protocol bfd {{{{
  interface "eth0" {{{{
    min rx interval {INTERVAL_MS} ms; min tx interval {INTERVAL_MS} ms; multiplier {_MULTIPLIER};
  }}}};
  {{neighbours}}
}}}}
"""
