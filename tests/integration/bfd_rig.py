"""Another BFD speaker on a wire of its own: network namespaces, FRR's bfdd or BIRD, and a capture."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from rui.bfd.states import Trigger
from rui_cli.lab.namespaces import BRIDGE, Link, Namespaces
from rui_cli.lab.requirements import SBIN, find

FRR = Path("/usr/lib/frr")
OURS, THEIRS = ("10.9.0.1", "fd09::1"), ("10.9.0.2", "fd09::2")


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip without root or a program; a CI that runs as root has installed them, so there it fails."""
    search = os.pathsep.join((*SBIN, str(FRR)))
    missing = [name for name in programs if not find(name) and not shutil.which(name, path=search)]
    root = os.geteuid() == 0
    why = f"needs {' and '.join(missing)}" if root else "needs root, for network namespaces"
    return pytest.mark.skipif((bool(missing) and "CI" not in os.environ) or not root, reason=why)


@dataclass(frozen=True, slots=True)
class View:
    """What the other speaker says of a session; detection time in milliseconds."""

    up: bool
    detection: int


class Speaker(Protocol):
    """The other speaker, with one session for each address family."""

    farewell: Trigger
    """How we learn that its operator took a session down."""

    def start(self, milliseconds: int) -> None:
        """Start it with these intervals."""

    def views(self) -> dict[str, View]:
        """Return what it says of its sessions, by our address."""

    def change(self, milliseconds: int) -> None:
        """Have it use other intervals."""

    def hold_down(self, down: bool) -> None:
        """Take all of its sessions down by its operator, or let them go."""


class Wire:
    """We and the other speaker, joined by a bridge that can stop to forward while both carriers stay."""

    def __init__(self, namespaces: Namespaces, folder: Path) -> None:
        self.namespaces = namespaces
        self.folder = folder
        namespaces.add("switch", "us", "them")
        namespaces.bridge("switch")
        for name, addresses in (("us", OURS), ("them", THEIRS)):
            self.run(name, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad")
            four, six = addresses
            namespaces.plug(Link(name, "eth0", (f"{four}/24", f"{six}/64")), "switch")

    def run(self, name: str, *command: str) -> str:
        """Run a program in a namespace and return what it printed; a failure is the test's."""
        done = self.namespaces.run(name, command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.decode()

    def cut(self) -> None:
        """Lose every packet between the two."""
        self.namespaces.ip("switch", "link", "set", "p-them", "nomaster")

    def heal(self) -> None:
        """Join them again."""
        self.namespaces.ip("switch", "link", "set", "p-them", "master", BRIDGE)


class Frr:
    """FRR's bfdd, with the zebra that tells it of interfaces."""

    farewell = Trigger.HEARD_ADMIN_DOWN

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._folder = wire.folder

    def start(self, milliseconds: int) -> None:
        shutil.chown(self._folder, "frr", "frr")
        configuration = self._folder / "bfdd.conf"
        configuration.write_text("bfd\n" + "".join(self._peer(index, milliseconds) for index in (0, 1)))
        self._daemon("zebra", "/dev/null")
        wait_for(self._folder / "z.sock")
        self._daemon("bfdd", str(configuration), "--bfdctl", str(self._folder / "bfdd.ctl"))
        wait_for(self._folder / "bfdd.vty")

    def views(self) -> dict[str, View]:
        peers = json.loads(self._shell("show bfd peers json"))
        return {
            peer["peer"]: View(
                peer["status"] == "up",
                peer["remote-detect-multiplier"]
                * max(peer["receive-interval"], peer["remote-transmit-interval"]),
            )
            for peer in peers
        }

    def change(self, milliseconds: int) -> None:
        for index in (0, 1):
            lines = self._peer(index, milliseconds).splitlines()[:-1]
            self._shell("configure terminal", "bfd", *lines)

    def hold_down(self, down: bool) -> None:
        for index in (0, 1):
            word = "shutdown" if down else "no shutdown"
            self._shell("configure terminal", "bfd", self._head(index), word)

    def _head(self, index: int) -> str:
        return f"peer {OURS[index]} local-address {THEIRS[index]} interface eth0"

    def _peer(self, index: int, milliseconds: int) -> str:
        return (
            f"{self._head(index)}\nreceive-interval {milliseconds}\n"
            f"transmit-interval {milliseconds}\ndetect-multiplier 3\nexit\n"
        )

    def _daemon(self, name: str, configuration: str, *more: str) -> None:
        folder = self._folder
        files = ("--vty_socket", str(folder), "-z", str(folder / "z.sock"), "-i", str(folder / f"{name}.pid"))
        command = [str(FRR / name), "-u", "frr", "-g", "frr", "-P", "0", *files, "-f", configuration, *more]
        self._wire.namespaces.start("them", [*command, "--log", "stdout"], folder / f"{name}.log")

    def _shell(self, *commands: str) -> str:
        words = [word for command in commands for word in ("-c", command)]
        return self._wire.run("them", "vtysh", "--vty_socket", str(self._folder), *words)


class Bird:
    """BIRD with one BFD protocol; disabled, it only falls silent."""

    farewell = Trigger.EXPIRED

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._configuration = wire.folder / "bird.conf"
        self._control = wire.folder / "bird.ctl"

    def start(self, milliseconds: int) -> None:
        self._write(milliseconds)
        command = ["bird", "-f", "-c", str(self._configuration), "-s", str(self._control)]
        self._wire.namespaces.start(
            "them", [*command, "-P", str(self._wire.folder / "bird.pid")], self._wire.folder / "bird.log"
        )
        wait_for(self._control)

    def views(self) -> dict[str, View]:
        rows = [line.split() for line in self._ask("show", "bfd", "sessions").splitlines()]
        return {row[0]: View(row[2] == "Up", round(float(row[-1]) * 1000)) for row in rows if row[0] in OURS}

    def change(self, milliseconds: int) -> None:
        self._write(milliseconds)
        self._ask("configure")

    def hold_down(self, down: bool) -> None:
        self._ask("disable" if down else "enable", "bfd1")

    def _write(self, milliseconds: int) -> None:
        times = f"interval {milliseconds} ms; multiplier 3; "
        neighbors = "".join(
            f'neighbor {ours} dev "eth0" local {theirs};\n' for ours, theirs in zip(OURS, THEIRS, strict=True)
        )
        self._configuration.write_text(
            "router id 10.9.0.2;\nprotocol device {}\n"
            f'protocol bfd bfd1 {{\ninterface "eth0" {{ {times} }};\n{neighbors}}}\n'
        )

    def _ask(self, *words: str) -> str:
        return self._wire.run(
            "them", "birdc", "-r" if words[0] == "show" else "-v", "-s", str(self._control), *words
        )


class Capture:
    """The Control packets on our interface, in a file, and what tshark makes of them."""

    def __init__(self, wire: Wire) -> None:
        self._namespaces = wire.namespaces
        self._file = wire.folder / "bfd.pcap"
        log = wire.folder / "tcpdump.log"
        command = ["tcpdump", "-i", "eth0", "-U", "--immediate-mode", "-w", str(self._file), "udp port 3784"]
        self._process = wire.namespaces.start("us", command, log)
        poll(lambda: "listening on" in log.read_text())

    def decoded(self) -> list[dict[str, str]]:
        """End it; return the named fields of each packet."""
        fields = ("ip.src", "ip.ttl", "ipv6.src", "ipv6.hlim", "bfd.version", "bfd.sta")
        flags = ("bfd.flags.p", "bfd.flags.f", "_ws.malformed", "_ws.expert.message")
        self._namespaces.stop(self._process)
        words = [word for field in (*fields, *flags) for word in ("-e", field)]
        command = ["tshark", "-r", str(self._file), "-T", "fields", "-E", "separator=;", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        rows = [line.split(";") for line in done.stdout.splitlines()]
        return [dict(zip((*fields, *flags), row, strict=True)) for row in rows]


def wait_for(path: Path) -> None:
    """Wait until a program has made its socket."""
    poll(path.exists)


def poll(holds: Callable[[], bool]) -> None:
    """Wait for what no event tells of."""

    async def wait() -> None:
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - another program's state
                await asyncio.sleep(0.02)

    asyncio.run(wait())
