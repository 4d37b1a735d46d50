"""Two Kea servers in hot standby, and how long nobody gets a lease; beside the row ``outage``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory

from router.dhcp.packet import ETHERNET, Code, DhcpPacket, DhcpParseError, MessageType, parse
from rui_cli.bench.inside import inside
from rui_cli.errors import CliError, ExitCode
from rui_cli.lab.namespaces import Link, Namespaces
from rui_cli.lab.requirements import find

_SERVERS: Mapping[str, str] = {"primary": "10.83.0.11", "standby": "10.83.0.12"}
_CLIENT = IPv4Address("10.83.0.2")
_HEARTBEAT_MS, _GIVEN_UP_MS = 1000, 3000
"""Kea's example; its defaults are 10 s and 60 s."""
_CLIENT_EVERY = 0.02
_WITHIN = 40.0
_BEFORE = 2.0
_PORT = 67
_SUBNET, _POOL = "10.80.0.0/12", "10.84.0.0-10.95.255.250"


def hooks() -> Path | None:
    """Return the folder of Kea's hooks with high availability, or None."""
    return next(
        (folder for folder in Path("/usr/lib").glob("*/kea/hooks") if (folder / "libdhcp_ha.so").exists()),
        None,
    )


async def standby_serves() -> float:
    """Kill the primary under 50 new clients a second; return the milliseconds to the standby's first ACK.

    Raises CliError where the pair does not come up, or the standby does not serve.
    """
    folder_of_hooks = hooks()
    if folder_of_hooks is None:
        raise CliError("Kea has no hook for high availability here")
    with TemporaryDirectory(prefix="rui-bench-") as name, Namespaces(f"kea{os.getpid()}") as spaces:
        spaces.add("net", "client", *_SERVERS)
        spaces.bridge("net")
        spaces.plug(Link("client", "eth0", (f"{_CLIENT}/12",)), "net")
        servers = {}
        for server, address in _SERVERS.items():
            spaces.plug(Link(server, "eth0", (f"{address}/12",)), "net")
            servers[server] = _start(spaces, server, Path(name) / server, folder_of_hooks)
        for server in _SERVERS:
            await _until_paired(Path(name) / server)
        with inside(spaces, "client", _socket) as sending:
            clients = Clients(sending)
            task = asyncio.create_task(clients.run())
            try:
                await clients.served(_SERVERS["primary"])
                await asyncio.sleep(_BEFORE)
                servers["primary"].send_signal(signal.SIGKILL)
                killed = time.monotonic()
                await clients.served(_SERVERS["standby"])
                return (time.monotonic() - killed) * 1e3
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


class Clients:
    """New clients behind a relay, one every 20 ms, who ask both servers and take the first offer."""

    def __init__(self, sending: socket.socket) -> None:
        self._socket = sending
        self._count = 0
        self._served = {address: asyncio.Event() for address in _SERVERS.values()}

    async def served(self, server: str) -> None:
        """Wait until that server has acknowledged a lease. Raises CliError."""
        try:
            await asyncio.wait_for(self._served[server].wait(), _WITHIN)
        except TimeoutError as error:
            raise CliError(f"Kea at {server} gives no lease", exit_code=ExitCode.CHECK_FAILED) from error

    async def run(self) -> None:
        """Ask until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._readable)
        try:
            while True:
                self._count += 1
                self._ask(self._count, MessageType.DISCOVER)
                await asyncio.sleep(_CLIENT_EVERY)
        finally:
            loop.remove_reader(self._socket.fileno())

    def _ask(self, number: int, kind: MessageType, offer: DhcpPacket | None = None) -> None:
        mac = (0x02FE00000000 + number).to_bytes(6, "big")
        packet = DhcpPacket(htype=ETHERNET, hops=1, xid=number, giaddr=int(_CLIENT), chaddr=mac)
        packet.put(Code.MESSAGE_TYPE, bytes((kind,)))
        packet.put(Code.CLIENT_IDENTIFIER, b"\x01" + mac)
        if offer is not None:
            packet.put(Code.REQUESTED_ADDRESS, offer.yiaddr.to_bytes(4, "big"))
            packet.put(Code.SERVER_IDENTIFIER, offer.get(Code.SERVER_IDENTIFIER) or b"")
        for server in _SERVERS.values():
            with suppress(OSError):
                self._socket.sendto(packet.build(), (server, _PORT))

    def _readable(self) -> None:
        try:
            data, (sender, _) = self._socket.recvfrom(2048)
            packet = parse(data)
        except (OSError, DhcpParseError):
            return
        if packet.message_type() == MessageType.OFFER:
            self._ask(packet.xid, MessageType.REQUEST, packet)
        elif packet.message_type() == MessageType.ACK:
            self._served[sender].set()


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.bind((str(_CLIENT), _PORT))
    return made


def _start(spaces: Namespaces, name: str, folder: Path, hooks_folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir()
    file = folder / "kea.conf"
    file.write_text(json.dumps({"Dhcp4": _configuration(name, folder, hooks_folder)}))
    places = {"KEA_PIDFILE_DIR": str(folder), "KEA_LOCKFILE_DIR": str(folder)}
    words = [find("kea-dhcp4") or "kea-dhcp4", "-c", str(file)]
    return spaces.start(name, words, folder / "kea.out", places)


def _configuration(name: str, folder: Path, hooks_folder: Path) -> dict[str, object]:
    peers = [
        {"name": peer, "url": f"http://{address}:8000/", "role": peer, "auto-failover": True}
        for peer, address in _SERVERS.items()
    ]
    pair = {
        "this-server-name": name,
        "mode": "hot-standby",
        "heartbeat-delay": _HEARTBEAT_MS,
        "max-response-delay": _GIVEN_UP_MS,
        "max-ack-delay": 1000,
        "max-unacked-clients": 0,
        "multi-threading": {
            "enable-multi-threading": True,
            "http-dedicated-listener": True,
            "http-listener-threads": 2,
            "http-client-threads": 2,
        },
        "peers": peers,
    }
    return {
        "interfaces-config": {"interfaces": ["eth0"], "dhcp-socket-type": "udp"},
        "control-socket": {"socket-type": "unix", "socket-name": str(folder / "control")},
        "lease-database": {"type": "memfile", "name": str(folder / "leases.csv"), "lfc-interval": 0},
        "multi-threading": {"enable-multi-threading": True},
        "valid-lifetime": 7200,
        "subnet4": [{"id": 1, "subnet": _SUBNET, "pools": [{"pool": _POOL}]}],
        "hooks-libraries": [
            {"library": str(hooks_folder / "libdhcp_lease_cmds.so")},
            {
                "library": str(hooks_folder / "libdhcp_ha.so"),
                "parameters": {"high-availability": [pair]},
            },
        ],
        "loggers": [
            {
                "name": "kea-dhcp4",
                "severity": "WARN",
                "output_options": [{"output": str(folder / "kea.log")}],
            }
        ],
    }


async def _until_paired(folder: Path) -> None:
    """Wait until a server says that both are in hot standby."""
    end = time.monotonic() + _WITHIN
    while time.monotonic() < end:
        with suppress(OSError, ValueError):
            reader, writer = await asyncio.open_unix_connection(str(folder / "control"))
            writer.write(b'{"command": "status-get"}')
            said = await reader.read()
            writer.close()
            (pair,) = json.loads(said)["arguments"]["high-availability"]
            if pair["ha-servers"]["local"]["state"] == "hot-standby":
                return
        await asyncio.sleep(0.1)
    last = (folder / "kea.out").read_text()[-300:]
    raise CliError(
        f"Kea's pair did not come up within {_WITHIN:g} s: {last}", exit_code=ExitCode.CHECK_FAILED
    )
