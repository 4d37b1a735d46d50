"""What the data plane is told: its configuration, and the facts of a subscriber that it forwards by."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple
from zlib import crc32

from rui.backup.record import read_leaves

ROUTE_PROTOCOL = 217
"""The protocol number of all our routes and rules, by which a routing daemon finds the pools to advertise."""
MAIN_TABLE = 254
_MARKS = 0x52000000
_CLOSED = 0x8000
_LARGEST_NAME = 15

Network = IPv4Network | IPv6Network


class DataPlaneError(Exception):
    """The kernel refuses what is asked of it; the message says what, where and what to do."""


class Subscriber(NamedTuple):
    """An online user as forwarding sees it; an address that the user has not is empty."""

    mac: str
    ipv4: str = ""
    ipv6: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses that the user has."""
        return tuple(address for address in (self.ipv4, self.ipv6) if address)

    @classmethod
    def from_record(cls, record: bytes) -> Subscriber:
        """Read a user-info record. Raises RecordError."""
        leaves = read_leaves(record)
        return cls(
            leaves.get("mac-address", ""), leaves.get("ipv4-address", ""), leaves.get("ipv6-address", "")
        )


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A VXLAN to another router of the group, over the RBS path [0109]."""

    local: str
    remote: str
    vni: int
    port: int = 4789


@dataclass(frozen=True, slots=True)
class GroupPlane:
    """One backup group. Without ``virtual_mac`` the access interface itself has the virtual addresses."""

    id: str
    access: str
    pools: tuple[Network, ...] = ()
    virtual_addresses: tuple[str, ...] = ()
    virtual_mac: str = ""
    virtual_interface: str = ""
    """Its name; empty for one of our own choice. One that is there (VRRP's) is used and never removed."""
    tunnel: Tunnel | None = None


@dataclass(frozen=True, slots=True)
class DataPlaneConfig:
    """All groups of a router.

    In seconds: ``gate_timeout`` is below the shortest Master_Down_Interval; ``withdraw_delay`` is how long
    the pools of a group that was left stay advertised.
    """

    device: str
    groups: tuple[GroupPlane, ...]
    gate_timeout: float = 2.0
    withdraw_delay: float = 2.0


class Names:
    """Every name and number that the data plane gives to something in the kernel, from the device-id.

    So what a killed process left is known by its name, and two routers on one host do not meet.
    """

    def __init__(self, config: DataPlaneConfig) -> None:
        self._device = config.device
        self.base = _MARKS | (crc32(config.device.encode()) & 0xFF) << 16
        self.table = "rui_" + "".join(letter if letter.isalnum() else "_" for letter in config.device)
        self._numbers = {group.id: number for number, group in enumerate(config.groups, start=1)}

    def owns(self, mark: int) -> bool:
        """Whether a mark, or a routing table of that number, is this device's."""
        return mark & 0xFFFF0000 == self.base

    def number(self, group: str) -> int:
        """A small number of the group, for the names of its sets and chains."""
        return self._numbers[group]

    def mark(self, group: str) -> int:
        """The mark of packets to the group's users while this router is primary; a routing table too."""
        return self.base | self._numbers[group]

    def closed_mark(self, group: str) -> int:
        """The mark, and routing table, of packets to the group's users while it is not."""
        return self.mark(group) | _CLOSED

    def alias(self, group: str) -> str:
        """What our interfaces carry as their alias, so that they are found whatever their name."""
        return f"{self.alias_prefix}{group}"

    @property
    def alias_prefix(self) -> str:
        """How the alias of each of our interfaces begins."""
        return f"rui:{self._device}:"

    def interface(self, group: GroupPlane) -> str:
        """The interface that has the group's virtual addresses, and to which its users are routed."""
        if not group.virtual_mac:
            return group.access
        return group.virtual_interface or f"rv{self._hash(group.id)}"

    def tunnel(self, group: GroupPlane) -> str:
        """The group's tunnel interface; empty without one. Groups with the same tunnel share it."""
        return f"rt{self._hash(repr(group.tunnel))}" if group.tunnel is not None else ""

    def _hash(self, what: str) -> str:
        return f"{crc32(f'{self._device}/{what}'.encode()):08x}"[: _LARGEST_NAME - 2]
