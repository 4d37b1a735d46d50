"""Which routes the kernel is to hold, from who is primary of what (pure)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from router.dataplane.values import MAIN_TABLE, DataPlaneConfig, GroupPlane, Names, Network

_NEXT_HOPS = {4: "169.254.82.1", 6: "fe80::52:1"}
"""The other end of every tunnel. Nobody has these addresses: their MAC is known, so nobody is asked."""
_ANYWHERE = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


@dataclass(frozen=True, slots=True)
class Route:
    """A route; without ``via`` the destination is on the link. ``source`` is for what this router sends."""

    table: int
    destination: Network
    interface: str
    via: str = ""
    source: str = ""

    @property
    def place(self) -> tuple[int, Network]:
        """What there can be one of."""
        return self.table, self.destination


def wanted(
    config: DataPlaneConfig, names: Names, primary: Collection[str], leaving: Collection[str] = ()
) -> set[Route]:
    """Return all routes of a router that is primary of these groups and was so of those until just now.

    The pool's route in the main table is what a routing daemon advertises: it stays while any group here uses
    the pool [0109]. Packets to known users do not use it, each group has a table of its own. Of a group that
    was left it leads into the tunnel for a while: the network learns the new way before it loses the old one.
    """
    routes: dict[tuple[int, Network], Route] = {}
    for group in config.groups:
        if group.tunnel is not None:
            for version in families(group):
                route = Route(
                    names.closed_mark(group.id), _ANYWHERE[version], names.tunnel(group), _NEXT_HOPS[version]
                )
                routes[route.place] = route
        if group.id in primary:
            for route in _to_users(group, names):
                routes.setdefault(route.place, route)
    for group in config.groups:
        if group.id in leaving and group.tunnel is not None:
            for pool in group.pools:
                route = Route(MAIN_TABLE, pool, names.tunnel(group), _NEXT_HOPS[pool.version])
                routes.setdefault(route.place, route)
    return set(routes.values())


def families(group: GroupPlane) -> list[int]:
    """Return the IP versions of a group's pools."""
    return sorted({pool.version for pool in group.pools})


def next_hop(version: int) -> str:
    """Return the address that the other end of a tunnel is known by."""
    return _NEXT_HOPS[version]


def _to_users(group: GroupPlane, names: Names) -> Iterator[Route]:
    for pool in group.pools:
        source = next(
            (address for address in group.virtual_addresses if ip_address(address).version == pool.version),
            "",
        )
        for table in (names.mark(group.id), MAIN_TABLE):
            yield Route(table, pool, names.interface(group), source=source)
