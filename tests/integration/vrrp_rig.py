"""Routers of this project and of others on one link, each in a network namespace of its own.

The test's own thread is inside the namespace `ours`; peers run in `peer`, a host and a capture in `host`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from router.vrrp.election import Election
from router.vrrp.interface import InterfaceConfig, InterfaceTransport
from rui.vrrp.packet import IPAddress
from rui.vrrp.states import State
from rui.vrrp.values import VrrpOptions
from rui_cli.lab.namespaces import Link, Namespaces
from tests.unit.router.vrrp.links import until

OURS, PEER, HOST = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"), IPv4Address("192.0.2.9")
VIRTUAL, VIRTUAL6 = IPv4Address("192.0.2.254"), IPv6Address("fe80::254")
MAC, MAC6 = "00:00:5e:00:01:33", "00:00:5e:00:02:33"
OPTIONS = VrrpOptions(51, (VIRTUAL,), interval=10)
OPTIONS6 = VrrpOptions(51, (VIRTUAL6,), interval=10)
_SBIN = "/usr/sbin:/sbin:/usr/lib/frr"


def program(name: str) -> str | None:
    """Return the path of a program, wherever Debian puts daemons."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SBIN}")


def missing(*programs: str) -> str | None:
    """Return what keeps these tests from running, or None. In a CI that runs as root nothing may."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "only root may make network namespaces"
    absent = [name for name in programs if program(name) is None]
    if absent and "CI" not in os.environ:
        return f"{', '.join(absent)} not installed: see .ci/debian-peers"
    return None


def needs(*programs: str) -> pytest.MarkDecorator:
    reason = missing("ip", "tcpdump", "tshark", *programs)
    return pytest.mark.skipif(reason is not None, reason=str(reason))


class Site:
    """The link and who is on it."""

    def __init__(self, namespaces: Namespaces, folder: Path) -> None:
        self.namespaces = namespaces
        self.folder = folder

    @asynccontextmanager
    async def running(self, name: str, where: str, *arguments: str) -> AsyncIterator[Log]:
        """Run a program in a namespace until the end of the block, its output in a file."""
        path = self.folder / f"{name}.log"
        path.unlink(missing_ok=True)
        found = program(arguments[0]) or arguments[0]
        process = self.namespaces.start(where, [found, *arguments[1:]], path)
        try:
            yield Log(path, process)
        finally:
            if process.poll() is None:
                # In a thread: our own election goes on meanwhile
                await asyncio.to_thread(self.namespaces.stop, process)

    @asynccontextmanager
    async def capture(self, name: str) -> AsyncIterator[Capture]:
        """Record the link as the host sees it."""
        file = self.folder / f"{name}.pcap"
        command = ("tcpdump", "-i", "eth0", "-U", "--immediate-mode", "-w", str(file))
        async with self.running(f"{name}-tcpdump", "host", *command) as log:
            await log.says("listening on")
            capture = Capture(file)
            yield capture
        capture.check()

    @contextmanager
    def cut(self, name: str) -> Iterator[None]:
        """Cut a router's link until the end of the block."""
        self.namespaces.ip("switch", "link", "set", f"p-{name}", "down")
        try:
            yield
        finally:
            self.namespaces.ip("switch", "link", "set", f"p-{name}", "up")

    async def ping(self, address: IPAddress, seconds: int = 5) -> bool:
        """Say whether the host gets an answer; one packet may be lost while switches learn."""
        command = ["ping", "-c", "1", "-i", "0.2", "-w", str(seconds), "-I", "eth0", str(address)]
        done = await asyncio.to_thread(self.namespaces.run, "host", command)
        return done.returncode == 0

    def neighbor(self, address: IPAddress) -> str:
        """Return the MAC that the host has learnt for an address."""
        found = self.namespaces.run("host", ["ip", "neigh", "show", str(address)]).stdout.decode().split()
        return found[found.index("lladdr") + 1] if "lladdr" in found else ""


@dataclass(frozen=True)
class Log:
    """A running program and what it has said."""

    path: Path
    process: subprocess.Popen[bytes]

    async def says(self, text: str, times: int = 1) -> None:
        """Wait until it has said that so many times."""
        await until(lambda: self.path.read_text().count(text) >= times, self.path.read_text)


class Capture:
    """A recorded link, read by tshark once the recording has ended."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.rows: list[list[str]] = []

    FIELDS = (
        *("frame.time_relative", "eth.src", "ip.src", "ipv6.src", "vrrp.prio", "vrrp.checksum.status"),
        *("_ws.malformed", "_ws.expert.severity", "vrrp.version", "arp.isgratuitous", "icmpv6.type"),
    )

    def check(self) -> None:
        """Read the recording; nothing in it may be malformed, and every checksum must be good."""
        fields = [word for field in self.FIELDS for word in ("-e", field)]
        shown = ("-Y", "vrrp || arp.isgratuitous == 1 || icmpv6.type == 136")
        options = ("-o", "ip.check_checksum:TRUE", "-T", "fields", "-E", "separator=;", "-E", "occurrence=f")
        said = subprocess.run(
            ["tshark", "-n", "-r", str(self._file), *options, *shown, *fields],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        self.rows = [line.split(";") for line in said.splitlines()]
        assert self.rows, "nothing was captured"
        for row in self.rows:
            about = dict(zip(self.FIELDS, row, strict=True))
            assert not about["_ws.malformed"], about
            assert about["vrrp.checksum.status"] in ("", "1"), about

    def column(self, field: str, **where: str) -> list[str]:
        """Return one column, of the rows that have those values (a dot is written as two underscores)."""
        wanted = {name.replace("__", "."): value for name, value in where.items()}
        rows = (dict(zip(self.FIELDS, row, strict=True)) for row in self.rows)
        return [row[field] for row in rows if all(row[name] == value for name, value in wanted.items())]


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Make the link; this thread is inside `ours` until the end."""
    with Namespaces(f"vrrp{os.getpid()}") as namespaces:
        namespaces.add("switch", "ours", "peer", "host")
        namespaces.bridge("switch")
        for name, address in (("ours", OURS), ("peer", PEER), ("host", HOST)):
            namespaces.ip(name, "link", "set", "lo", "up")
            namespaces.plug(Link(name, "eth0", (f"{address}/24",)), into="switch")
        namespaces.enter("ours")
        yield Site(namespaces, folder)


@asynccontextmanager
async def elected(options: VrrpOptions = OPTIONS, **link: bool) -> AsyncIterator[Election]:
    """Run an election of ours on eth0 until the end of the block; ``link`` has settings of the interface."""
    config = replace(InterfaceConfig("eth0", options.vrid, options.addresses), **link)  # type: ignore[arg-type]

    def ignore(_: str) -> None:
        """The tests look at the state."""

    election = Election("g1", options, InterfaceTransport(config), on_master=ignore, on_backup=ignore)
    await election.start()
    try:
        yield election
    finally:
        await election.close()


async def mastery(election: Election) -> None:
    """Wait until ours is Master."""
    await until(lambda: election.state().state is State.MASTER, election.state)
