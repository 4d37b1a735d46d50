"""Who is where in the DHCP lab.

::

    sub1 .. sub6   load            the subscribers and perfdhcp            10.64.0.0/16
        |           |
     ---+----- access ------+---   a bridge
                |           |
             bras-a       bras-b   primary and secondary; the primary holds the virtual address
              |   |       |   |
     core ----+---|-------+   |    192.0.2.0/24, with kea on it
                  |           |
     mgmt --------+-----------+--- 198.51.100.0/24: NETCONF, with the cloud and the operator on it
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from rui_cli.lab.clients import INTERFACE, Client, Dhclient, Udhcpc
from rui_cli.lab.kea import Kea, KeaPool
from rui_cli.lab.namespaces import BRIDGE, Link, Namespaces
from rui_cli.launch import Fleet
from rui_cli.site import MANAGER, Content, Group, Site

GROUP = "homes"
PRIMARY, SECONDARY = "bras-a", "bras-b"
ACCESS = IPv4Network("10.64.0.0/16")
VIRTUAL, LOAD = IPv4Address("10.64.0.1"), IPv4Address("10.64.0.2")
KEA = IPv4Address("192.0.2.2")
POOL = KeaPool(
    network=ACCESS,
    first=IPv4Address("10.64.1.0"),
    last=IPv4Address("10.64.255.250"),
    router=VIRTUAL,
    lease_time=3600,
    shortest_lease_time=5,
)
SHORT_LEASE = 8
"""Seconds that the lease of the client that crashes lasts."""

_HOSTS = {PRIMARY: 11, SECONDARY: 12, MANAGER: 2}
_OPERATOR = "198.51.100.1/24"
_DEVICES = {name: f"198.51.100.{number}" for name, number in _HOSTS.items()}


class Topology:
    """The namespaces, the processes in them, and the folder of all their files."""

    def __init__(self, namespaces: Namespaces, folder: Path) -> None:
        self.namespaces = namespaces
        self.folder = folder
        self.fleet = Fleet(folder)
        self.kea = Kea(namespaces, "kea", folder / "kea")
        self.site = Site(folder / "site", [_group()], _DEVICES)
        self.short_lived = Udhcpc(namespaces, "sub5", "02:00:00:00:00:05", folder, SHORT_LEASE)
        self.moved = Dhclient(namespaces, "sub6", "02:00:00:00:00:06", folder, ACCESS)
        self.staying: list[Client] = [
            Udhcpc(namespaces, "sub1", "02:00:00:00:00:01", folder),
            Dhclient(namespaces, "sub2", "02:00:00:00:00:02", folder, ACCESS),
        ]
        self.leaving: list[Client] = [
            Udhcpc(namespaces, "sub3", "02:00:00:00:00:03", folder),
            Dhclient(namespaces, "sub4", "02:00:00:00:00:04", folder, ACCESS),
        ]

    @property
    def clients(self) -> list[Client]:
        """All real clients."""
        return [*self.staying, *self.leaving, self.short_lived, self.moved]

    def build(self) -> None:
        """Make namespaces and links, and write all configuration."""
        spaces = self.namespaces
        spaces.add("access", "core", "mgmt")
        for bridge in ("access", "core", "mgmt"):
            spaces.bridge(bridge)
        spaces.ip("mgmt", "addr", "add", _OPERATOR, "dev", BRIDGE)
        spaces.add("kea", "load", *_DEVICES, *(client.name for client in self.clients))
        spaces.plug(Link("kea", "core", (f"{KEA}/24",)), "core")
        spaces.plug(Link("load", INTERFACE, (_on_access(LOAD),)), "access")
        for name, number in _HOSTS.items():
            spaces.plug(Link(name, "mgmt", (f"{_DEVICES[name]}/24",)), "mgmt")
            if name != MANAGER:
                own = _on_access(ACCESS[number])
                both = (own, _on_access(VIRTUAL)) if name == PRIMARY else (own,)
                spaces.plug(Link(name, "access", both), "access")
                spaces.plug(Link(name, "core", (f"192.0.2.{number}/24",)), "core")
        spaces.ip("kea", "route", "add", str(ACCESS), "via", f"192.0.2.{_HOSTS[PRIMARY]}")
        for client in self.clients:
            spaces.plug(Link(client.name, INTERFACE, mac=client.mac), "access")
        self.site.write()
        for device in self.site.devices:
            self.fleet.add(device, self.site.words(device), prefix=spaces.command(device, ()))


def _group() -> Group:
    relay: dict[str, Content] = {"server": str(KEA), "downstream-policy": "proxy"}
    leaves: dict[str, Content] = {
        "access-port": [{"interface": "access", "logical-port": "olt-1/pon-3"}],
        "address-pool": [{"name": "residential", "prefix": str(ACCESS)}],
        "virtual-giaddr": str(VIRTUAL),
        "dhcp": relay,
    }
    return Group(GROUP, PRIMARY, (SECONDARY,), simulated=None, router_leaves=leaves)


def _on_access(address: IPv4Address) -> str:
    return f"{address}/{ACCESS.prefixlen}"
