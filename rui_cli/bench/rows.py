"""The rows: what is measured, with how many users, what it should be, and what it is compared with."""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rui_cli.bench import (
    bfd,
    bounds,
    catchup,
    cli,
    failover,
    get,
    latency,
    memory,
    netconf,
    outage,
    replication,
    stages,
    sync,
    takeover,
)
from rui_cli.bench.results import Aim, Bound
from rui_cli.lab import requirements


class Measure(Protocol):
    """One run of a row."""

    def __call__(self, users: int, *, keep: bool = False) -> Awaitable[tuple[dict[str, float], float]]:
        """Return the figures, and how many cores everybody else on the machine used meanwhile."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ``beside`` measures the lower bound that ``beside_what`` describes; ``for_scale`` is text.

    ``unit`` says what the number in ``users`` counts. A row that needs ``root`` needs network namespaces and
    the ``programs`` too (name, Debian package).
    """

    name: str
    users: int
    aims: tuple[Aim, ...]
    measure: Measure
    beside: Callable[[int], Awaitable[dict[str, float]]]
    beside_what: str
    for_scale: str = ""
    unit: str = "users"
    root: bool = False
    programs: Mapping[str, str] = field(default_factory=dict)

    def missing(self) -> str:
        """Return why it cannot be measured here; empty where it can."""
        if self.root and (sys.platform != "linux" or os.geteuid() != 0):
            return "it makes network namespaces, which only root may, on Linux"
        absent = [program for program in self.programs if requirements.find(program) is None]
        packages = " ".join(sorted({self.programs[program] for program in absent}))
        return f"{', '.join(absent)} not installed; on Debian: apt-get install {packages}" if absent else ""


ROWS = (
    Row(
        "replication",
        200_000,
        (Aim("users_per_s", Bound.AT_LEAST, 25_000, "users_per_s"),),
        replication.measure,
        bounds.replication,
        "plain SQLite inserts of the same records, WAL, synchronous=FULL, 1000 a transaction, one process",
        "Kea HA hot-standby on such a machine: 2,500 leases/s",
    ),
    Row(
        "latency",
        10_000,
        (Aim("p50_ms", Bound.AT_MOST, 5.0, "p50_ms"), Aim("p99_ms", Bound.AT_MOST, 20.0, "p99_ms")),
        latency.measure,
        bounds.latency,
        "write and fdatasync, TCP to a process that does the same, and back to a third write, one at a time",
        "Kea HA at 2,000 leases/s, REQUEST to ACK: p50 0.92 ms, p99 3.15 ms (in memory, one copy)",
    ),
    Row(
        "catchup",
        200_000,
        (Aim("users_per_s", Bound.AT_LEAST, 50_000, "users_per_s"),),
        catchup.measure,
        bounds.catchup,
        "1000 records at a time from SQLite over TCP to a process that writes and syncs them",
        "Kea: an empty standby fetches 13,600 to 27,900 leases/s",
    ),
    Row(
        "stages",
        10_000,
        (
            # A core a device gives the aims of catch-up (at a secondary), of replication on two cores (all)
            Aim("secondary_us", Bound.AT_MOST, 20.0, "secondary_us"),
            Aim("primary_us", Bound.AT_MOST, 20.0, "primary_us"),
            Aim("cloud_us", Bound.AT_MOST, 40.0, "cloud_us"),
        ),
        stages.measure,
        stages.beside,
        "the same records laid end to end and looked through for one octet",
    ),
    Row(
        "failover",
        100_000,
        (
            Aim("local_ms_after_timeout", Bound.AT_MOST, 50.0),
            Aim("immediate_ms_after_timeout", Bound.AT_MOST, 50.0),
            Aim("return_oldest_ms", Bound.AT_MOST, 1000.0),
            Aim("users_per_s", Bound.AT_LEAST, 50_000, "users_per_s"),
        ),
        failover.measure,
        bounds.catchup,
        "1000 records at a time from SQLite over TCP to a process that writes and syncs them",
        "Kea HA: 2.1 to 2.9 s until the standby serves DHCP",
    ),
    Row(
        "memory",
        1_000_000,
        (
            Aim("bytes_per_user", Bound.AT_MOST, 1536, "bytes_per_user"),
            Aim("manager_bytes_per_user", Bound.AT_MOST, 200),
            Aim("start_seconds", Bound.AT_MOST, 30.0),
        ),
        memory.measure,
        bounds.memory,
        "the same records in one Python dict of bytes by key",
    ),
    Row(
        "get",
        100_000,
        (
            Aim("users_per_s", Bound.AT_LEAST, beside="users_per_s"),
            Aim("extra_mb", Bound.AT_MOST, 100),
            Aim("p50_ms", Bound.AT_MOST, 10.0, "p50_ms"),
        ),
        get.measure,
        bounds.get,
        "as many octets over TCP from a process that has them, and round trips of one octet",
    ),
    Row(
        "cli",
        1_000_000,
        (
            Aim("login_ms", Bound.AT_MOST, beside="login_ms"),
            Aim("prompt_worst_ms", Bound.AT_MOST, 300.0, "prompt_worst_ms"),
            Aim("completion_ms", Bound.AT_MOST, 50.0, "echo_ms"),
            Aim("show_users_mac_ms", Bound.AT_MOST, 50.0, "echo_ms"),
        ),
        cli.measure,
        cli.echo,
        "a login to a server of asyncssh alone, its prompt, and the echo of one key",
    ),
    Row(
        "sync",
        1000,
        (
            Aim("transaction_ms", Bound.AT_MOST, 500.0, "transaction_ms"),
            Aim("drift_seconds", Bound.AT_MOST, 30.0, "drift_seconds"),
        ),
        sync.measure,
        bounds.sync,
        "12 round trips of a configuration over TCP and 4 synced writes; the parse of as many configurations",
        unit="light routers",
    ),
    Row(
        "netconf",
        100_000,
        netconf.AIMS,
        netconf.measure,
        netconf.beside,
        netconf.what_is_beside(),
        unit="entries",
    ),
    Row(
        "outage",
        1000,
        outage.AIMS,
        outage.measure,
        outage.beside,
        outage.what_is_beside(),
        unit="subscribers",
        root=True,
        programs=requirements.CONTINUITY,
    ),
    Row(
        "takeover",
        100_000,
        (
            Aim("primary_ms", Bound.AT_MOST, beside="script_ms"),
            Aim("forwarded_ms", Bound.AT_MOST, 1000.0),
            Aim("reached_percent", Bound.AT_LEAST, 100.0),
        ),
        takeover.measure,
        takeover.beside,
        "a script that takes the same interface up, with `ip -batch` and one call of `nft`",
        root=True,
        programs={"ip": "iproute2", "nft": "nftables"},
    ),
    Row(
        "bfd",
        500,
        (
            Aim("cores", Bound.AT_MOST, 0.5, "bird_cores"),
            Aim("packet_us", Bound.AT_MOST, beside="timers_packet_us"),
            Aim("falls", Bound.AT_MOST, 0.0),
        ),
        bfd.measure,
        bfd.beside,
        "one of two BIRDs with as many sessions (as root, where it is installed); as many timers and "
        "datagrams of a process that understands nothing",
        unit="sessions",
    ),
)


def find(name: str) -> Row:
    """Return a row by its name; KeyError if there is none."""
    return {row.name: row for row in ROWS}[name]
