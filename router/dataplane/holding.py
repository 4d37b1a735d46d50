"""What a change of role asks of the kernel, done at once: virtual addresses, their interface, and routes."""

from __future__ import annotations

import errno
import math
import os
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from router import rtnetlink
from router.dataplane.routes import Route
from router.dataplane.values import ROUTE_PROTOCOL, DataPlaneError, GroupPlane, Names
from router.rtnetlink import NOT_THERE, Rtnetlink


class Holding:
    """Needs CAP_NET_ADMIN. Everything may be asked for twice; every method raises DataPlaneError.

    Addresses, and routes over IPv6, have a lifetime that :meth:`extend` begins anew. Those of a killed
    process end by themselves, and with the last address of an interface the kernel removes routes over it.
    """

    def __init__(self, names: Names, timeout: float) -> None:
        """``timeout``: seconds after which a process that does not extend is given up."""
        self._names = names
        self._lifetime = 0
        self._netlink = Rtnetlink()
        self.retime(timeout)

    def retime(self, timeout: float) -> None:
        """Change it; what is held has the new lifetime at its next extension."""
        # The kernel counts in whole seconds
        self._lifetime = math.ceil(timeout) + 1

    def close(self) -> None:
        """Close the socket; what is held stays so for its lifetime."""
        self._netlink.close()

    def hold(self, group: GroupPlane) -> None:
        """Put a group's virtual addresses on its interface and bring that up."""
        name = self._names.interface(group)
        index = _index(name, group.id)
        requests = self._addresses(group, index)
        if name != group.access:
            requests.append(rtnetlink.link(index, up=True))
        self._change(requests, f"the virtual addresses on {name}", absent=False)

    def release(self, group: GroupPlane) -> None:
        """Take them away and the interface down; nothing where that is gone."""
        name = self._names.interface(group)
        try:
            index = socket.if_nametoindex(name)
        except OSError:
            return
        requests = [] if name == group.access else [rtnetlink.link(index, up=False)]
        for text in group.virtual_addresses:
            address = ip_address(text)
            requests.append(rtnetlink.delete_address(index, address, address.max_prefixlen))
        self._change(requests, f"that {name} loses the virtual addresses", absent=True)

    def change_routes(self, old: set[Route], new: set[Route]) -> None:
        """Bring routes from ``old`` to ``new``; one that only leads elsewhere is never missing between."""
        # Those that were there too: an interface that went down has taken them with it
        requests = [self._route(route) for route in sorted(new, key=str)]
        self._change(requests, "routes to the users", absent=False)
        kept = {route.place for route in new}
        gone = [
            rtnetlink.delete_route(route.destination, table=route.table, protocol=ROUTE_PROTOCOL)
            for route in sorted(old - new, key=str)
            if route.place not in kept
        ]
        self._change(gone, "that routes to the users go", absent=True)

    def extend(self, groups: Iterable[GroupPlane], routes: Iterable[Route]) -> None:
        """Begin the lifetimes of these groups' addresses, and of these routes, anew."""
        requests: list[bytes] = []
        for group in groups:
            requests += self._addresses(group, _index(self._names.interface(group), group.id))
        requests += [self._route(route) for route in routes if self._ends(route)]
        self._change(requests, "longer lives of the virtual addresses", absent=False)

    def _addresses(self, group: GroupPlane, index: int) -> list[bytes]:
        addresses = [ip_address(text) for text in group.virtual_addresses]
        return [
            rtnetlink.new_address(index, address, address.max_prefixlen, self._lifetime)
            for address in addresses
        ]

    def _route(self, route: Route) -> bytes:
        return rtnetlink.new_route(
            route.destination,
            _index(route.interface, str(route.destination)),
            table=route.table,
            protocol=ROUTE_PROTOCOL,
            gateway=ip_address(route.via) if route.via else None,
            source=ip_address(route.source) if route.source else None,
            lifetime=self._lifetime if self._ends(route) else None,
        )

    @staticmethod
    def _ends(route: Route) -> bool:
        """Whether a route has a lifetime of its own: over the tunnel it is to outlast the process."""
        return route.destination.version == 6 and not route.via

    def _change(self, requests: list[bytes], what: str, *, absent: bool) -> None:
        try:
            self._netlink.change(requests, done=NOT_THERE if absent else ())
        except OSError as error:
            remedy = "run as root" if error.errno == errno.EPERM else "see the kernel's log"
            raise DataPlaneError(
                f"the kernel refuses {what}: {os.strerror(error.errno or 0)}; {remedy}"
            ) from error


def _index(interface: str, subject: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        raise DataPlaneError(
            f"{subject}: there is no interface {interface!r}: create it, or correct its name"
        ) from error
