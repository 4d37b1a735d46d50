"""Who is where in the labs of continuity.

::

    sub1 .. subN                       the subscribers: DHCP clients that ping, and stream      10.64.0.0/16
        |
     ---+----- access ----------+---   a bridge; VRRP and BFD between the routers on it         10.255.0.0/24
           |access-a            |access-b
         bras-a --- rbs ---- bras-b    the Master holds 10.64.0.1 and tells BIRD of the pool
          |  |                |  |
          |  +cloud-a  cloud-b+  |
          |        |    |        |
          |core-a  cloud         |core-b
     -----+-------- core --------+--   192.0.2.0/24
                     |
                 core-router           BIRD, over BGP with the routers
                     |
                   server              Kea, and who answers pings and streams                   203.0.113.0/24

The operator reaches every device over a network of its own, 198.51.100.0/24, whatever else is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from rui_cli.lab.kea import Kea, KeaPool
from rui_cli.lab.namespaces import BRIDGE, Link, Namespaces
from rui_cli.lab.requirements import find
from rui_cli.launch import Fleet
from rui_cli.site import MANAGER, VRRP, Content, Group, Site

GROUP = "homes"
PAIR = ("bras-a", "bras-b")
ACCESS = IPv4Network("10.64.0.0/16")
VIRTUAL, SERVER = IPv4Address("10.64.0.1"), IPv4Address("203.0.113.2")
VIRTUAL_MAC = "00:00:5e:00:01:33"
CORE_ROUTER = "core-router"
POOL = KeaPool(
    network=ACCESS,
    first=IPv4Address("10.64.1.0"),
    last=IPv4Address("10.64.255.250"),
    router=VIRTUAL,
    lease_time=3600,
    shortest_lease_time=5,
)
CLOUD_LINKS: Mapping[str, str] = {"bras-a": "cloud-a", "bras-b": "cloud-b"}
"""The link between each router and the cloud."""
_DATA_PLANE = "{urn:rui-cloud:yang:dataplane}data-plane"
_BFD = "{urn:rui-cloud:yang:bfd}bfd"
_SWITCHING = "{urn:rui-cloud:yang:identity-switching}identity-switching"
_NUMBERS = {"bras-a": 11, "bras-b": 12, MANAGER: 2}
_PRIORITIES = {"bras-a": "150", "bras-b": "100"}
_DEVICES = {name: f"198.51.100.{number}" for name, number in _NUMBERS.items()}
_ROUTERS_AS, _CORE_AS = 65001, 65000
_CORE, _GATEWAY = IPv4Address("192.0.2.1"), IPv4Address("203.0.113.1")
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

    def __init__(self, namespaces: Namespaces, folder: Path, timing: Timing) -> None:
        self.namespaces = namespaces
        self.folder = folder
        self.fleet = Fleet(folder)
        self.kea = Kea(namespaces, "server", folder / "kea")
        own = {name: _own_leaves(name, timing) for name in PAIR}
        group = Group(GROUP, *PAIR[:1], PAIR[1:], simulated=None, router_leaves=_LEAVES, own_leaves=own)
        devices = {name: _device_leaves(name, timing) for name in PAIR}
        self.site = Site(folder / "site", [group], _DEVICES, devices)

    def build(self) -> None:
        """Make namespaces and links, write all configuration, start the routing daemons and Kea."""
        spaces = self.namespaces
        for bridge in ("access", "core", "servers", "mgmt", *CLOUD_LINKS.values(), "rbs"):
            spaces.add(bridge)
            spaces.bridge(bridge)
        spaces.add("server", CORE_ROUTER, *_DEVICES)
        self._build_core()
        spaces.ip("mgmt", "addr", "add", "198.51.100.1/24", "dev", BRIDGE)
        for name, address in _DEVICES.items():
            spaces.plug(Link(name, "mgmt", (f"{address}/24",)), "mgmt")
        for name in PAIR:
            self._build_router(name)
        self.site.write()
        for device in self.site.devices:
            self.fleet.add(device, self.site.words(device), prefix=spaces.command(device, ()))
        for name in (CORE_ROUTER, *PAIR):
            self._route(name)
        self.kea.start("servers", POOL)

    def _build_core(self) -> None:
        spaces = self.namespaces
        spaces.plug(Link(CORE_ROUTER, "core", (f"{_CORE}/24",)), "core")
        spaces.plug(Link(CORE_ROUTER, "servers", (f"{_GATEWAY}/24",)), "servers")
        spaces.plug(Link("server", "servers", (f"{SERVER}/24",)), "servers")
        spaces.ip("server", "route", "add", "default", "via", str(_GATEWAY))
        spaces.set(CORE_ROUTER, {"net.ipv4.ip_forward": "1"})

    def _build_router(self, name: str) -> None:
        """Plug a router into its five networks; what leads to the others has a route of its own."""
        spaces, number, (other,) = self.namespaces, _NUMBERS[name], set(PAIR) - {name}
        spaces.plug(Link(name, "access", (f"10.255.0.{number}/24",)), "access")
        spaces.plug(Link(name, "core", (f"192.0.2.{number}/24",)), "core")
        spaces.ip(name, "route", "add", "default", "via", str(_CORE))
        spaces.plug(Link(name, "rbs"), "rbs")
        self._lead(name, other, "rbs")
        spaces.plug(Link(name, "cloud"), CLOUD_LINKS[name])
        self._lead(name, MANAGER, "cloud")
        spaces.plug(Link(MANAGER, f"to-{name}"), CLOUD_LINKS[name])
        self._lead(MANAGER, name, f"to-{name}")

    def _lead(self, name: str, other: str, device: str) -> None:
        """Reach another device over this link alone: without it, it is not reached."""
        words = (f"{_DEVICES[other]}/32", "dev", device, "src", _DEVICES[name])
        self.namespaces.ip(name, "route", "add", *words)

    def _route(self, name: str) -> None:
        """Start BIRD: it learns the pool from the Master's kernel, and tells the core router."""
        folder, here = self.folder, _core(name)
        if name == CORE_ROUTER:
            kernel = "ipv4 { import none; export all; };"
            policy = {"own": _CORE_AS, "other": _ROUTERS_AS, "imports": "all", "exports": "none"}
            neighbours = [_core(router) for router in PAIR]
        else:
            kernel = "learn; scan time 1; ipv4 { import where krt_source = 217; export none; };"
            exports = "where source = RTS_INHERIT"
            policy = {"own": _ROUTERS_AS, "other": _CORE_AS, "imports": "none", "exports": exports}
            neighbours = [str(_CORE)]
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
    return str(_CORE) if name == CORE_ROUTER else f"192.0.2.{_NUMBERS[name]}"
