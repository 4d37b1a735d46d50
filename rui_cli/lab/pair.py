"""Who is where in the labs of continuity.

::

    sub1 .. subN                    the subscribers: DHCP clients that ping the server   10.64.0.0/16
        |
     ---+----- access ------+---    a bridge; VRRP and BFD between the routers on it     10.255.0.0/24
                |           |
             bras-a       bras-b    the Master holds 10.64.0.1 and tells BIRD of the pool
              |   |       |   |
     core ----+---|-------+   |     192.0.2.0/24, with the server on it: Kea and BIRD
                  |           |
     mgmt --------+-----------+---  198.51.100.0/24: NETCONF, with the cloud and the operator on it
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from rui_cli.lab.clients import INTERFACE, Udhcpc
from rui_cli.lab.kea import Kea, KeaPool
from rui_cli.lab.namespaces import BRIDGE, Link, Namespaces
from rui_cli.lab.requirements import find
from rui_cli.launch import Fleet
from rui_cli.site import MANAGER, VRRP, Content, Group, Site

GROUP = "homes"
PAIR = ("bras-a", "bras-b")
ACCESS = IPv4Network("10.64.0.0/16")
VIRTUAL, SERVER = IPv4Address("10.64.0.1"), IPv4Address("192.0.2.2")
POOL = KeaPool(
    network=ACCESS,
    first=IPv4Address("10.64.1.0"),
    last=IPv4Address("10.64.255.250"),
    router=VIRTUAL,
    lease_time=3600,
    shortest_lease_time=5,
)
_DATA_PLANE = "{urn:rui-cloud:yang:dataplane}data-plane"
_BFD = "{urn:rui-cloud:yang:bfd}bfd"
_SWITCHING = "{urn:rui-cloud:yang:identity-switching}identity-switching"
_NUMBERS = {"bras-a": 11, "bras-b": 12, MANAGER: 2}
_PRIORITIES = {"bras-a": "150", "bras-b": "100"}
_DEVICES = {name: f"198.51.100.{number}" for name, number in _NUMBERS.items()}
_ROUTERS_AS, _SERVERS_AS = 65001, 65000
_BIRD = """log "{log}" all;
router id {address};
protocol device {{ }}
protocol kernel {{ {kernel} }}
"""
_NEIGHBOUR = """protocol bgp {{
  local {address} as {own};
  neighbor {neighbour} as {other};
  connect delay time 1;
  connect retry time 1;
  ipv4 {{ import {imports}; export {exports}; }};
}}
"""


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast the routers notice and act, in the units of their configuration.

    Nobody takes the role back before ``wait_to_restore`` seconds.
    """

    bfd_interval_ms: int = 50
    bfd_multiplier: int = 3
    advertise_centiseconds: int = 20
    gate_timeout_ms: int = 500
    wait_to_restore: int = 600


class Pair:
    """The namespaces, the processes in them, and the folder of all their files."""

    def __init__(
        self, namespaces: Namespaces, folder: Path, subscribers: int, timing: Timing | None = None
    ) -> None:
        self.namespaces = namespaces
        self.folder = folder
        self.fleet = Fleet(folder)
        self.kea = Kea(namespaces, "server", folder / "kea")
        timing = Timing() if timing is None else timing
        own = {name: _own_leaves(name, timing) for name in PAIR}
        group = Group(GROUP, *PAIR[:1], PAIR[1:], simulated=None, router_leaves=_LEAVES, own_leaves=own)
        devices = {name: _device_leaves(name, timing) for name in PAIR}
        self.site = Site(folder / "site", [group], _DEVICES, devices)
        self.clients = [
            Udhcpc(namespaces, f"sub{number}", f"02:00:00:00:00:{number:02x}", folder)
            for number in range(1, subscribers + 1)
        ]

    def build(self) -> None:
        """Make namespaces and links, write all configuration, start the routing daemons."""
        spaces = self.namespaces
        for bridge in ("access", "core", "mgmt"):
            spaces.add(bridge)
            spaces.bridge(bridge)
        spaces.ip("mgmt", "addr", "add", "198.51.100.1/24", "dev", BRIDGE)
        spaces.add("server", *_DEVICES, *(client.name for client in self.clients))
        spaces.plug(Link("server", "core", (f"{SERVER}/24",)), "core")
        for name, number in _NUMBERS.items():
            spaces.plug(Link(name, "mgmt", (f"{_DEVICES[name]}/24",)), "mgmt")
            if name in PAIR:
                spaces.plug(Link(name, "access", (f"10.255.0.{number}/24",)), "access")
                spaces.plug(Link(name, "core", (f"192.0.2.{number}/24",)), "core")
        for client in self.clients:
            spaces.plug(Link(client.name, INTERFACE, mac=client.mac), "access")
        self.site.write()
        for device in self.site.devices:
            self.fleet.add(device, self.site.words(device), prefix=spaces.command(device, ()))
        for name in ("server", *PAIR):
            self._route(name)
        self.kea.start("core", POOL)

    def port(self, name: str, bridge: str, state: str) -> None:
        """Take a device's port of a bridge ``up`` or ``down``, as pulling its cable does."""
        self.namespaces.ip(bridge, "link", "set", f"p-{name}", state)

    def _route(self, name: str) -> None:
        """Start BIRD: it learns the pool from the Master's kernel, and tells the server."""
        folder, here = self.folder, _core(name)
        if name == "server":
            kernel = "ipv4 { import none; export all; };"
            policy = {"own": _SERVERS_AS, "other": _ROUTERS_AS, "imports": "all", "exports": "none"}
            neighbours = [_core(router) for router in PAIR]
        else:
            kernel = "learn; scan time 5; ipv4 { import where krt_source = 217; export none; };"
            exports = "where source = RTS_INHERIT"
            policy = {"own": _ROUTERS_AS, "other": _SERVERS_AS, "imports": "none", "exports": exports}
            neighbours = [str(SERVER)]
        text = _BIRD.format(log=folder / f"bird-{name}.log", address=here, kernel=kernel)
        text += "".join(_NEIGHBOUR.format(address=here, neighbour=other, **policy) for other in neighbours)
        file = folder / f"bird-{name}.conf"
        file.write_text(text)
        command = [find("bird") or "bird", "-f", "-c", str(file), "-s", str(folder / f"bird-{name}.ctl")]
        self.namespaces.start(name, command, folder / f"bird-{name}.out")


_LEAVES: dict[str, Content] = {
    "access-port": [{"interface": "access", "logical-port": "olt-1/pon-3"}],
    "address-pool": [{"name": "residential", "prefix": str(ACCESS)}],
    "virtual-giaddr": str(VIRTUAL),
    "dhcp": {"server": str(SERVER), "downstream-policy": "proxy"},
}


def _own_leaves(name: str, timing: Timing) -> dict[str, Content]:
    (other,) = set(PAIR) - {name}
    return {
        VRRP: {
            "vrid": "51",
            "priority": _PRIORITIES[name],
            "advertise-interval-centi-sec": str(timing.advertise_centiseconds),
            "virtual-address": str(VIRTUAL),
            "interface": "access",
        },
        _SWITCHING: {"wait-to-restore": str(timing.wait_to_restore)},
        _DATA_PLANE: {
            "access-interface": "access",
            "tunnel": {"local-address": _core(name), "remote-address": _core(other)},
        },
    }


def _device_leaves(name: str, timing: Timing) -> dict[str, Content]:
    (other,) = set(PAIR) - {name}
    session: dict[str, Content] = {
        "name": f"access-{other}",
        "role": "access",
        "group": GROUP,
        "interface": "access",
        "local-address": f"10.255.0.{_NUMBERS[name]}",
        "remote-address": f"10.255.0.{_NUMBERS[other]}",
        "desired-min-tx-interval": str(timing.bfd_interval_ms * 1000),
        "required-min-rx-interval": str(timing.bfd_interval_ms * 1000),
        "local-multiplier": str(timing.bfd_multiplier),
    }
    return {_DATA_PLANE: {"gate-timeout": str(timing.gate_timeout_ms)}, _BFD: {"session": [session]}}


def _core(name: str) -> str:
    return str(SERVER) if name == "server" else f"192.0.2.{_NUMBERS[name]}"
