"""perfdhcp as a relay agent on the access link, so that its thousands of clients are behind our relay."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address

from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.requirements import find

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


def run(
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
    """
    done = namespaces.run(
        namespace,
        [
            find("perfdhcp") or "perfdhcp",
            *("-4", "-l", str(local), "-b", "mac=02:aa:00:00:00:00"),
            *("-r", str(rate), "-n", str(leases), "-R", str(leases)),
            # It gives up a packet after 5 s, and waits 2 s for stragglers
            *("-d", "5", "-W", "2000000"),
            str(relay),
        ],
        timeout=leases / rate + 30,
    )
    return read_report(done.stdout.decode(errors="replace"))
