"""Many subscribers in few namespaces: an interface with a MAC address for each, one DHCP client for all."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from zlib import crc32

from rui_cli.lab.clients import INTERFACE
from rui_cli.lab.crowddhcp import CrowdDhcp
from rui_cli.lab.namespaces import Link, Namespaces
from rui_cli.lab.pair import VIRTUAL, VIRTUAL_MAC
from rui_cli.lab.subscribers import PING_RANGE, Place, Subscribers

_CALM, _STORM = 25, 250
"""So many log in or renew at the same time."""
_IN_ONE_NAMESPACE = 50
"""The kernel looks through all default routes of a namespace for the one of an interface."""
# An interface answers for its own addresses alone, as a subscriber's does
_OWN_ADDRESSES = {"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2"}
# What one says by multicast as it comes up is copied to all the others: a million copies for a thousand
_IPV4_ALONE = {"net.ipv6.conf.all.disable_ipv6": "1", "net.ipv6.conf.default.disable_ipv6": "1"}


class Crowd(Subscribers):
    """Up to some thousand subscribers.

    Each is a macvlan on the crowd's one port of the access network, with the kernel's own IP and TCP. The
    gateway's MAC is set, not asked for: it is the virtual one, and a kernel's table of learnt MACs
    holds 512 to 1024 for all namespaces together.
    """

    def __init__(self, namespaces: Namespaces, name: str, count: int) -> None:
        super().__init__(count)
        self._namespaces = namespaces
        self._name = name
        self._macs = [_mac(name, number) for number in range(count)]
        self._dhcp: CrowdDhcp | None = None

    @property
    def dhcp(self) -> CrowdDhcp:
        """Their DHCP client."""
        if self._dhcp is None:
            raise RuntimeError("the crowd is not built yet")
        return self._dhcp

    def build(self) -> None:
        """Make their namespaces and interfaces."""
        spaces, name = self._namespaces, self._name
        spaces.add(name)
        spaces.plug(Link(name, INTERFACE), "access")
        homes = sorted({self._home(number) for number in range(self.count)})
        spaces.add(*homes)
        for home in homes:
            spaces.set(home, {**PING_RANGE, **_OWN_ADDRESSES, **_IPV4_ALONE})
        lines = []
        for number, mac in enumerate(self._macs):
            home = spaces.full_name(self._home(number))
            words = f"link add link {INTERFACE} name {self._device(number)} netns {home} address {mac}"
            # Private: what one of them broadcasts is not copied to all the others
            lines.append(f"{words} type macvlan mode private")
        spaces.batch(name, lines)
        with spaces.visit(name):
            macs = [bytes.fromhex(mac.replace(":", "")) for mac in self._macs]
            self._dhcp = CrowdDhcp(INTERFACE, macs, at_once=_CALM)

    def login(self) -> None:
        """Have all of them ask for an address."""
        self.dhcp.login()

    def renew(self) -> None:
        """Have all of them renew before it is due."""
        self.dhcp.renew()

    def given(self) -> Sequence[Sequence[IPv4Address]]:
        """Return what each was given so far, oldest first; a renewal counts anew."""
        return self.dhcp.given()

    def settle(self) -> list[Place]:
        """Let them reach the server, and return where each is."""
        lines: dict[str, list[str]] = {}
        places: list[Place] = []
        for number, addresses in enumerate(self.given()):
            home, device, address = self._home(number), self._device(number), str(addresses[-1])
            lines.setdefault(home, []).extend(
                (
                    f"link set {device} up",
                    f"addr add {address}/32 dev {device}",
                    f"neigh replace {VIRTUAL} lladdr {VIRTUAL_MAC} dev {device} nud permanent",
                    f"route append default via {VIRTUAL} dev {device} onlink",
                )
            )
            namespace = self._namespaces.file(home)
            place: Place = {"name": device, "namespace": namespace, "device": device, "address": address}
            places.append(place)
        for home, of_home in lines.items():
            self._namespaces.batch(home, of_home)
        return places

    def close(self) -> None:
        """Close the DHCP client."""
        if self._dhcp is not None:
            self._dhcp.close()

    def _home(self, number: int) -> str:
        return f"{self._name}{number // _IN_ONE_NAMESPACE}"

    def _device(self, number: int) -> str:
        return f"sub{number + 1}"


class Arrivals:
    """Others who only log in, all at once: DHCP from many MAC addresses, and nothing else."""

    def __init__(self, namespaces: Namespaces, name: str, count: int) -> None:
        self.count = count
        self._namespaces = namespaces
        self._name = name
        self._dhcp: CrowdDhcp | None = None

    def build(self) -> None:
        """Give them a port of the access network."""
        self._namespaces.add(self._name)
        self._namespaces.plug(Link(self._name, INTERFACE), "access")
        with self._namespaces.visit(self._name):
            macs = [bytes.fromhex(_mac(self._name, number).replace(":", "")) for number in range(self.count)]
            self._dhcp = CrowdDhcp(INTERFACE, macs, at_once=_STORM)

    def login(self) -> None:
        """Have all of them ask for an address."""
        if self._dhcp is not None:
            self._dhcp.login()

    async def all_bound(self) -> bool:
        """Whether all have one."""
        return self._dhcp is not None and all(self._dhcp.given())

    def close(self) -> None:
        """Ask for nothing any more."""
        if self._dhcp is not None:
            self._dhcp.close()


def _mac(name: str, number: int) -> str:
    """Return a local MAC address, of another range for each name."""
    octets = crc32(name.encode()).to_bytes(4, "big")[:2] + number.to_bytes(3, "big")
    return (b"\x02" + octets).hex(":")
