"""Links, addresses and routes, changed at once: a change of role must not wait for its turn in a busy loop.

Each function returns one request; :class:`Rtnetlink` carries many out in one system call.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from router.netlink import CREATE, REPLACE, Netlink, attribute, message

NOT_THERE: Final = (errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EADDRNOTAVAIL)
"""What the kernel answers where something that is to go is gone."""
_NEW_LINK, _NEW_ADDRESS, _DELETE_ADDRESS, _NEW_ROUTE, _DELETE_ROUTE = 16, 20, 21, 24, 25
_LINK = struct.Struct("=BxHiII")
_UP = 0x1
_ADDRESS = struct.Struct("=BBBBI")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO = 1, 2, 6
_LIFETIMES = struct.Struct("=IIII")
_FOREVER: Final = 0xFFFFFFFF
_NO_DAD = 0x02
"""IFA_F_NODAD: the address is to work at once, and its former holder may still answer."""
_ROUTE = struct.Struct("=BBBBBBBBI")
_DESTINATION, _OUT_INTERFACE, _GATEWAY, _SOURCE, _TABLE, _EXPIRES = 1, 4, 5, 7, 15, 23
_UNICAST, _LINK_SCOPE, _ANY_SCOPE, _ON_LINK = 1, 253, 255, 4


class Rtnetlink:
    """A socket for the requests below. Needs CAP_NET_ADMIN."""

    def __init__(self) -> None:
        self._netlink = Netlink(socket.NETLINK_ROUTE)

    def change(self, requests: Iterable[bytes], *, done: Collection[int] = ()) -> None:
        """Carry requests out, in order; one that fails does not keep the others from being tried.

        Raises OSError for the first answer that is not in ``done``.
        """
        if joined := b"".join(requests):
            self._netlink.send(joined, done=done)

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()


def link(index: int, *, up: bool) -> bytes:
    """Take an interface up or down."""
    return message(_NEW_LINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, index, _UP if up else 0, _UP))


def new_address(
    index: int, address: IPv4Address | IPv6Address, prefix: int, lifetime: int | None = None
) -> bytes:
    """Put an address on an interface, or give one that is there another lifetime, in seconds.

    At its end the kernel removes the address, and with the last one of an interface the routes over it.
    """
    seconds = _FOREVER if lifetime is None else lifetime
    body = _address(index, address, prefix)
    body += attribute(_IFA_CACHEINFO, _LIFETIMES.pack(seconds, seconds, 0, 0))
    return message(_NEW_ADDRESS, CREATE | REPLACE, body)


def delete_address(index: int, address: IPv4Address | IPv6Address, prefix: int) -> bytes:
    """Take an address from an interface."""
    return message(_DELETE_ADDRESS, 0, _address(index, address, prefix))


def new_route(
    destination: IPv4Network | IPv6Network,
    index: int,
    *,
    table: int,
    protocol: int,
    gateway: IPv4Address | IPv6Address | None = None,
    source: IPv4Address | IPv6Address | None = None,
    lifetime: int | None = None,
) -> bytes:
    """Route to an interface, in place of what is there for the destination; only IPv6 knows a lifetime.

    A gateway need not be in any network of the interface.
    """
    link_scope = gateway is None and destination.version == 4
    body = _route(destination, table, protocol, _LINK_SCOPE if link_scope else 0, gateway is not None)
    body += attribute(_OUT_INTERFACE, struct.pack("=I", index))
    if gateway is not None:
        body += attribute(_GATEWAY, gateway.packed)
    if source is not None:
        body += attribute(_SOURCE, source.packed)
    if lifetime is not None and destination.version == 6:
        body += attribute(_EXPIRES, struct.pack("=I", lifetime))
    return message(_NEW_ROUTE, CREATE | REPLACE, body)


def delete_route(destination: IPv4Network | IPv6Network, *, table: int, protocol: int) -> bytes:
    """Remove a route of that protocol."""
    return message(_DELETE_ROUTE, 0, _route(destination, table, protocol, _ANY_SCOPE, False))


def _address(index: int, address: IPv4Address | IPv6Address, prefix: int) -> bytes:
    flags = _NO_DAD if address.version == 6 else 0
    body = _ADDRESS.pack(_family(address.version), prefix, flags, 0, index)
    return body + attribute(_IFA_LOCAL, address.packed) + attribute(_IFA_ADDRESS, address.packed)


def _route(
    destination: IPv4Network | IPv6Network, table: int, protocol: int, scope: int, on_link: bool
) -> bytes:
    body = _ROUTE.pack(
        *(_family(destination.version), destination.prefixlen, 0, 0, 0, protocol, scope, _UNICAST),
        _ON_LINK if on_link else 0,
    )
    body += attribute(_DESTINATION, destination.network_address.packed)
    return body + attribute(_TABLE, struct.pack("=I", table))


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6
