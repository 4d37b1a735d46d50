"""Subscribers, two routers' data planes and a server, joined by an access and a core network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from rui_cli.lab.namespaces import Link, Namespaces

HOUSE = Path(__file__).resolve().parents[2]
POOL, POOL6 = "10.1.0.0/16", "2001:db8:1::/64"
GATEWAY, GATEWAY6 = "10.1.0.1", "fe80::1"
SERVER, SERVER6 = "10.9.0.9", "2001:db8:9::9"
CORE = {"ra": ("10.9.0.1", "2001:db8:9::1"), "rb": ("10.9.0.2", "2001:db8:9::2")}
USERS = {
    "alice": ("02:00:00:00:00:0a", "10.1.0.10", "2001:db8:1::10"),
    "bob": ("02:00:00:00:00:0b", "10.1.0.11", "2001:db8:1::11"),
}
GATE = 1.5
"""Seconds; long enough that a busy machine refreshes it in time."""
LEAVES = 0.3
"""Seconds for which a pool that was left stays advertised."""


class Router:
    """A data plane in a process and a namespace of its own."""

    def __init__(self, namespaces: Namespaces, name: str, config: str) -> None:
        self._command = namespaces.command(
            name, [sys.executable, "-m", "tests.integration.dataplane_router", config]
        )
        self._process: subprocess.Popen[str] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Start the process; ``opened`` waits for it."""
        self._process = subprocess.Popen(
            self._command, cwd=HOUSE, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def opened(self) -> None:
        """Wait until it is ready to be asked."""
        assert self._answer() == "open"

    def ask(self, *words: str) -> object:
        """Have it do something; return its answer when it is done."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; `ip netns exec` has become the program itself."""
        assert self._process is not None
        os.kill(self._process.pid, number)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self._process.kill()
        if self._process is not None:
            self._process.communicate(timeout=20)
            self._process = None

    def _answer(self) -> object:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("= "):
                return json.loads(line[2:])
        raise AssertionError("the data plane has ended")


class Town:
    """Everything but the data planes. The server's way to the pool is over router ``ra``."""

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces = namespaces
        namespaces.add("access", "core", "server", *CORE, *USERS)
        namespaces.bridge("access")
        namespaces.bridge("core")
        for name in ("server", *CORE, *USERS):
            self.run(name, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad")
        for name, (mac, ipv4, ipv6) in USERS.items():
            namespaces.plug(Link(name, "eth0", (f"{ipv4}/16", f"{ipv6}/64"), mac), "access")
            namespaces.ip(name, "route", "add", "default", "via", GATEWAY)
            namespaces.ip(name, "-6", "route", "add", "default", "via", GATEWAY6, "dev", "eth0")
        for name, (ipv4, ipv6) in CORE.items():
            namespaces.plug(Link(name, "eth1"), "access")
            namespaces.plug(Link(name, "eth0", (f"{ipv4}/24", f"{ipv6}/64")), "core")
        namespaces.plug(Link("server", "eth0", (f"{SERVER}/24", f"{SERVER6}/64")), "core")
        namespaces.ip("server", "route", "add", POOL, "via", CORE["ra"][0])
        namespaces.ip("server", "-6", "route", "add", POOL6, "via", CORE["ra"][1])
        # A second access interface, for the group that shares the pool
        for name in CORE:
            namespaces.ip(name, "link", "add", "eth2", "type", "veth", "peer", "name", "eth2p")
            namespaces.ip(name, "link", "set", "eth2p", "up")
            namespaces.ip(name, "link", "set", "eth2", "up")
        self.routers = {name: Router(namespaces, name, config(name)) for name in CORE}

    def run(self, name: str, *command: str) -> str:
        done = self.namespaces.run(name, command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.decode()

    def reaches(self, user: str, target: str = SERVER) -> bool:
        """Whether one of the user's pings of the next ten seconds is answered."""
        return not self.namespaces.run(
            user, ["ping", "-q", "-c", "1", "-i", "0.1", "-w", "10", target]
        ).returncode

    def misses(self, user: str, target: str = SERVER) -> bool:
        """Whether none of three pings of the user is answered."""
        ping = ["ping", "-q", "-c", "3", "-i", "0.1", "-W", "0.3", target]
        return ", 0 received" in self.namespaces.run(user, ping).stdout.decode()

    def pool_routes(self, router: str) -> list[str]:
        """Return what a routing daemon of the router finds to advertise."""
        return self.run(router, "ip", "route", "show", "proto", "217").splitlines()

    def gate(self, router: str) -> list[str]:
        """Return the interfaces that a router's gate is open for."""
        listed = self.run(router, "nft", "-j", "list", "set", "inet", f"rui_{router}", "gate")
        (found,) = (item["set"] for item in json.loads(listed)["nftables"] if "set" in item)
        return [item["elem"]["val"] for item in found.get("elem", [])]


def config(name: str) -> str:
    """Return the configuration of a router: groups g1 and g2 share a pool, g1 has a tunnel to the other."""
    (other,) = set(CORE) - {name}
    pools = f"(IPv4Network({POOL!r}), IPv6Network({POOL6!r}))"
    tunnel = f"Tunnel({CORE[name][0]!r}, {CORE[other][0]!r}, 8193)"
    g1 = (
        f"GroupPlane('g1', 'eth1', {pools}, ({GATEWAY!r}, {GATEWAY6!r}), '00:00:5e:00:01:01', "
        f"tunnel={tunnel})"
    )
    g2 = f"GroupPlane('g2', 'eth2', (IPv4Network({POOL!r}),), ({GATEWAY!r},), '00:00:5e:00:01:02')"
    return f"DataPlaneConfig({name!r}, ({g1}, {g2}), {GATE}, {LEAVES})"
