"""Row ``get``: all users of a group in one reply, and one of them by its key."""

import asyncio
import contextlib
import time
from dataclasses import replace

from lxml import etree

from netconf_client import ClientSession, connect
from rui.backup.trace import Milestone
from rui.netconf import names
from rui_cli.bench.arena import GROUP, MANAGER, PRIMARY, Arena, arena
from rui_cli.bench.machine import Meter, peak_resident, reset_peak, resident
from rui_cli.bench.results import percentile
from rui_cli.bench.samples import sample_keys
from rui_cli.errors import CliError, ExitCode
from rui_cli.tables import USER_INFO

_SLOWEST = 500.0
_KEYED = 200
_LARGEST_REPLY = 2 << 30


async def measure(users: int, *, keep: bool = False) -> tuple[dict[str, float], float]:
    """Get all users from the primary and from the cloud, then single ones; return figures and others' cores.

    ``extra_mb`` is how much more memory the server had at its peak than before the request; the figures
    without a name in front are the worse of both devices'.
    """
    within = 60.0 + users / _SLOWEST
    async with arena(keep, initial_population=str(users), max_population=str(users)) as running:
        await running.start(MANAGER, PRIMARY)
        await running.until(MANAGER, Milestone.DURABLE, users, within)
        meter = Meter(running.pids)
        primary = await _device(running, PRIMARY, users)
        cloud = await _device(running, MANAGER, users)
        usage = meter.read()
    figures = {f"primary_{name}": value for name, value in primary.items()}
    figures |= {f"cloud_{name}": value for name, value in cloud.items()}
    for name, worse in (("users_per_s", min), ("extra_mb", max), ("p50_ms", max), ("p99_ms", max)):
        figures[name] = worse(primary[name], cloud[name])
    return figures, usage.others


async def _device(running: Arena, name: str, users: int) -> dict[str, float]:
    pid = running.pids[name]
    target = replace(running.site.target(name), max_message=_LARGEST_REPLY)
    session = await connect(target, timeout=30.0)
    try:
        await _ask(session, sample_keys(1)[0])
        before = resident(pid)
        reset_peak(pid)
        begun = time.monotonic()
        reply = await session.get(_filter(), timeout=30.0 + users / _SLOWEST)
        seconds = time.monotonic() - begun
        extra = peak_resident(pid) - before
        found = reply.raw.count(b"</user>")
        if found != users:
            raise CliError(f"get gave {found} of {users} users", exit_code=ExitCode.CHECK_FAILED)
        del reply
        keys = sample_keys(users)
        waits = [await _ask(session, key) for key in keys[:: max(1, users // _KEYED)]]
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10.0):
                await session.close()
    waits.sort()
    return {
        "users_per_s": users / seconds,
        "extra_mb": extra / 1e6,
        "p50_ms": percentile(waits, 0.50),
        "p99_ms": percentile(waits, 0.99),
    }


async def _ask(session: ClientSession, key: bytes) -> float:
    """Get one user by its key; return after how many milliseconds the answer was there."""
    begun = time.monotonic()
    reply = await session.get(_filter(key))
    milliseconds = (time.monotonic() - begun) * 1e3
    if reply.raw.count(b"</user>") != 1:
        raise CliError(f"get did not give the user {key.decode()}", exit_code=ExitCode.CHECK_FAILED)
    return milliseconds


def _filter(key: bytes | None = None) -> etree._Element:
    top = etree.Element(f"{{{USER_INFO}}}user-info", nsmap=names.nsmap(USER_INFO))
    group = etree.SubElement(top, f"{{{USER_INFO}}}group")
    etree.SubElement(group, f"{{{USER_INFO}}}group-id").text = GROUP
    user = etree.SubElement(group, f"{{{USER_INFO}}}user")
    if key is not None:
        leaves = ("mac-address", "outer-vlan", "inner-vlan")
        for leaf, value in zip(leaves, key.decode().split("/"), strict=True):
            etree.SubElement(user, f"{{{USER_INFO}}}{leaf}").text = value
    return top
