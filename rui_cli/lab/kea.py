"""A real Kea DHCPv4 server: its configuration, its start, and what it says of its leases."""

from __future__ import annotations

import csv
import json
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from rui_cli.errors import CliError
from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.requirements import find

_START_SECONDS = 15.0
_ASSIGNED = "0"
_AGENT_INFORMATION = re.compile(
    r'"(?:relay-agent-info|sub-options)":\s*(?:\{\s*"sub-options":\s*)?"0x([0-9A-F]+)"'
)


@dataclass(frozen=True, slots=True)
class KeaLease:
    """One lease in the server's own book."""

    ipv4: IPv4Address
    mac: str
    lease_time: int
    option_82: bytes


@dataclass(frozen=True, slots=True)
class KeaPool:
    """What the server hands out; lease times in seconds, of which a client may ask for a shorter one."""

    network: IPv4Network
    first: IPv4Address
    last: IPv4Address
    router: IPv4Address
    lease_time: int
    shortest_lease_time: int


class Kea:
    """One kea-dhcp4 in a namespace, its files in ``directory``."""

    def __init__(self, namespaces: Namespaces, namespace: str, directory: Path) -> None:
        self._namespaces = namespaces
        self._namespace = namespace
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, interface: str, pool: KeaPool) -> None:
        """Start the server and wait until it answers. Raises CliError with its last words."""
        self._directory.mkdir(parents=True)
        file = self._directory / "kea.conf"
        file.write_text(json.dumps({"Dhcp4": self._configuration(interface, pool)}, indent=1))
        places = {"KEA_PIDFILE_DIR": str(self._directory), "KEA_LOCKFILE_DIR": str(self._directory)}
        self._process = self._namespaces.start(
            self._namespace,
            [find("kea-dhcp4") or "kea-dhcp4", "-c", str(file)],
            self._directory / "kea.out",
            places,
        )
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                self.command("config-get")
            except (OSError, ValueError):
                time.sleep(0.05)
            else:
                return
        raise CliError(f"kea-dhcp4 does not answer: {(self._directory / 'kea.out').read_text()[-500:]}")

    def _configuration(self, interface: str, pool: KeaPool) -> dict[str, object]:
        return {
            "interfaces-config": {"interfaces": [interface], "dhcp-socket-type": "udp"},
            "control-socket": {"socket-type": "unix", "socket-name": str(self._directory / "control")},
            "lease-database": {
                "type": "memfile",
                "name": str(self._directory / "leases.csv"),
                "lfc-interval": 0,
            },
            # Say NAK to a client that comes with an address from elsewhere, rather than nothing
            "authoritative": True,
            "valid-lifetime": pool.lease_time,
            "min-valid-lifetime": pool.shortest_lease_time,
            "max-valid-lifetime": pool.lease_time,
            "renew-timer": pool.lease_time // 2,
            "rebind-timer": pool.lease_time * 7 // 8,
            # The server keeps the option 82 of each lease: it is compared with the records'
            "store-extended-info": True,
            "expired-leases-processing": {"reclaim-timer-wait-time": 1},
            "subnet4": [
                {
                    "id": 1,
                    "subnet": str(pool.network),
                    "pools": [{"pool": f"{pool.first}-{pool.last}"}],
                    "option-data": [{"name": "routers", "data": str(pool.router)}],
                }
            ],
            "loggers": [
                {
                    "name": "kea-dhcp4",
                    "severity": "WARN",
                    "output_options": [{"output": str(self._directory / "kea.log")}],
                }
            ],
        }

    def command(self, name: str) -> dict[str, object]:
        """Ask over the control socket. Raises OSError, or ValueError for an answer that is none."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            control.connect(str(self._directory / "control"))
            control.sendall(json.dumps({"command": name}).encode())
            answer = b""
            while part := control.recv(65536):
                answer += part
        read = json.loads(answer)
        if not isinstance(read, dict) or read.get("result") != 0:
            raise ValueError(f"kea-dhcp4 refuses {name}: {answer[:200]!r}")
        return read

    def leases(self) -> dict[str, KeaLease]:
        """Return the leases in force by MAC, from the lease file: its last line of an address counts."""
        newest: dict[str, dict[str, str]] = {}
        with (self._directory / "leases.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                newest[row["address"]] = row
        leases: dict[str, KeaLease] = {}
        for row in newest.values():
            expired = int(row["expire"]) <= time.time()
            if row["state"] == _ASSIGNED and int(row["valid_lifetime"]) and not expired:
                # Kea writes a comma inside a field in its own way
                found = _AGENT_INFORMATION.search(row["user_context"].replace("&#x2c", ","))
                leases[row["hwaddr"]] = KeaLease(
                    ipv4=IPv4Address(row["address"]),
                    mac=row["hwaddr"],
                    lease_time=int(row["valid_lifetime"]),
                    option_82=bytes.fromhex(found[1]) if found else b"",
                )
        return leases
