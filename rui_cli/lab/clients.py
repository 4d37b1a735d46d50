"""Real DHCP clients, each in a namespace of its own."""

from __future__ import annotations

import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.requirements import find

INTERFACE = "eth0"
_SCRIPTS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Binding:
    """What a client says that it was given, and by whom."""

    ipv4: IPv4Address
    lease_time: int
    server: IPv4Address


class Client(ABC):
    """One subscriber: a namespace of that name, a MAC address, a DHCP client."""

    def __init__(self, namespaces: Namespaces, name: str, mac: str, folder: Path) -> None:
        self.name = name
        self.mac = mac
        self._namespaces = namespaces
        self._folder = folder
        self._events = folder / f"{name}.events"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self) -> None:
        """Ask for an address, and keep it."""

    @abstractmethod
    def renew(self) -> None:
        """Renew before it is due."""

    @abstractmethod
    def release(self) -> None:
        """Give the address back and end."""

    def crash(self) -> None:
        """End without a word to anyone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)

    def bindings(self) -> list[Binding]:
        """Return what the client was given, oldest first; a renewal counts anew."""
        if not self._events.exists():
            return []
        words = [line.split() for line in self._events.read_text().splitlines()]
        return [
            Binding(IPv4Address(ip), int(lease), IPv4Address(server))
            for event, ip, lease, server in words
            if event in self._bound_events
        ]

    _bound_events: frozenset[str]

    def _script(self, name: str) -> str:
        copy = self._folder / name
        if not copy.exists():
            shutil.copyfile(_SCRIPTS / name, copy)
            copy.chmod(0o755)
        return str(copy)


class Udhcpc(Client):
    """BusyBox's client; ``asks_for`` is the lease time in seconds that it wants, None for the server's."""

    _bound_events = frozenset({"bound", "renew"})

    def __init__(
        self, namespaces: Namespaces, name: str, mac: str, folder: Path, asks_for: int | None = None
    ) -> None:
        super().__init__(namespaces, name, mac, folder)
        self._wanted = () if asks_for is None else ("-x", f"lease:{asks_for}")

    def start(self) -> None:
        """Ask for an address, and keep it."""
        script = self._script("udhcpc.sh")
        command = [find("udhcpc") or "udhcpc", "-f", "-R", "-i", INTERFACE, "-s", script]
        self._process = self._namespaces.start(
            self.name,
            [*command, "-t", "20", "-T", "1", "-A", "1", *self._wanted],
            self._folder / f"{self.name}.log",
            {"RUI_LAB_EVENTS": str(self._events)},
        )

    def renew(self) -> None:
        """Renew before it is due."""
        if self._process is not None:
            self._process.send_signal(signal.SIGUSR1)

    def release(self) -> None:
        """Give the address back and end."""
        if self._process is not None:
            self._namespaces.stop(self._process)


_FOREIGN_LEASE = """lease {
  interface "%s";
  fixed-address 10.200.0.9;
  option subnet-mask 255.255.0.0;
  option dhcp-lease-time 3600;
  renew 4 2037/01/01 00:00:00; rebind 4 2037/01/01 00:00:00; expire 4 2037/01/01 00:00:00;
}
"""


class Dhclient(Client):
    """ISC's client."""

    _bound_events = frozenset({"BOUND", "RENEW", "REBIND", "REBOOT"})

    def remember_foreign_lease(self) -> None:
        """Make the client ask for an address of another network first, as one that was moved does."""
        (self._folder / f"{self.name}.leases").write_text(_FOREIGN_LEASE % INTERFACE)

    @property
    def was_refused(self) -> bool:
        """Whether the server said NAK."""
        return "DHCPNAK" in (self._folder / f"{self.name}.log").read_text()

    def __init__(
        self, namespaces: Namespaces, name: str, mac: str, folder: Path, network: IPv4Network
    ) -> None:
        super().__init__(namespaces, name, mac, folder)
        self._prefix = network.prefixlen

    def start(self) -> None:
        """Ask for an address, and keep it."""
        settings = self._folder / "dhclient.conf"
        if not settings.exists():
            settings.write_text(
                "initial-delay 0; initial-interval 1; backoff-cutoff 2; timeout 20; retry 1;\n"
            )
        self._process = self._namespaces.start(
            self.name, self._command("-d"), self._folder / f"{self.name}.log"
        )

    def renew(self) -> None:
        """Start anew with the lease in hand (INIT-REBOOT): dhclient has no word for an early renewal."""
        if self._process is not None:
            self._namespaces.stop(self._process)
        self.start()

    def release(self) -> None:
        """Give the address back and end."""
        self._namespaces.run(self.name, self._command("-r"))

    def _command(self, mode: str) -> list[str]:
        files = self._folder / self.name
        return [
            find("dhclient") or "dhclient",
            *("-4", mode, "-cf", str(self._folder / "dhclient.conf")),
            *("-lf", f"{files}.leases", "-pf", f"{files}.pid", "-sf", self._script("dhclient.sh")),
            *("-e", f"RUI_LAB_EVENTS={self._events}", "-e", f"RUI_LAB_PREFIX={self._prefix}"),
            INTERFACE,
        ]
