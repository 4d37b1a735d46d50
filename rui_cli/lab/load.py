"""perfdhcp as a relay agent on the access link, so that its thousands of clients are behind our relay."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from ipaddress import IPv4Address

from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.requirements import find

_PATIENCE = 30.0
_STATISTICS = re.compile(
    r"Statistics for: (?P<exchange>[A-Z-]+)\*\*\*\s+"
    r"sent packets: (?P<sent>\d+)\s+received packets: (?P<received>\d+)"
)


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What perfdhcp counted: exchanges begun, leases acknowledged."""

    offered: int
    acknowledged: int


def read_report(text: str) -> LoadResult:
    """Read perfdhcp's report; zeros where it has none."""
    received = {match["exchange"]: int(match["received"]) for match in _STATISTICS.finditer(text)}
    return LoadResult(received.get("DISCOVER-OFFER", 0), received.get("REQUEST-ACK", 0))


async def run(
    namespaces: Namespaces,
    namespace: str,
    local: IPv4Address,
    relay: IPv4Address,
    *,
    leases: int,
    rate: int,
) -> LoadResult:
    """Put leases through at a rate, a client each, and return what came of them.

    perfdhcp sets its own address as giaddr and sends to our relay alone, so this is a relay behind a relay.
    Raises TimeoutError when it does not end.
    """
    command = [
        find("perfdhcp") or "perfdhcp",
        *("-4", "-l", str(local), "-b", "mac=02:aa:00:00:00:00"),
        *("-r", str(rate), "-n", str(leases), "-R", str(leases)),
        # It gives up a packet after 5 s, and waits 3 s for stragglers
        *("-d", "5", "-W", "3000000"),
        str(relay),
    ]
    process = await asyncio.create_subprocess_exec(
        *namespaces.command(namespace, command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(leases / rate + _PATIENCE):
            report, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return read_report(report.decode(errors="replace"))
