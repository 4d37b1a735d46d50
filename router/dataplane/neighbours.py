"""The users' MAC addresses as permanent neighbours, many in one netlink message.

User-info says them, so after a takeover nobody is asked by ARP, and no limit of the neighbour table applies.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable

from router.dataplane.values import DataPlaneError
from router.netlink import CREATE, REPLACE, Netlink, attribute, message

_NEW, _DELETE = 28, 29
_PERMANENT = 0x80
_DESTINATION, _LINK_LAYER = 1, 2
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
# What the kernel says where nothing was left to do: the entry is gone, or the interface with all of them
_DONE = (errno.ENOENT, errno.ENODEV, errno.ENETDOWN)


class Neighbours:
    """Sets neighbours. Needs CAP_NET_ADMIN."""

    def __init__(self) -> None:
        self._netlink = Netlink(socket.NETLINK_ROUTE)

    def change(self, interface: str, entries: Iterable[tuple[str, str]]) -> None:
        """Set the MACs of addresses, or forget those whose MAC is empty. Raises DataPlaneError."""
        try:
            index = socket.if_nametoindex(interface)
        except OSError:
            return
        try:
            self._netlink.send(b"".join(_entry(index, address, mac) for address, mac in entries), done=_DONE)
        except OSError as error:
            raise DataPlaneError(
                f"the kernel refuses neighbours on {interface}: {os.strerror(error.errno or 0)}"
            ) from error

    def close(self) -> None:
        """End; the neighbours stay as long as the interface is up."""
        self._netlink.close()


def _entry(index: int, address: str, mac: str) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    body = _NEIGHBOUR.pack(family, index, _PERMANENT, 0, 0)
    body += attribute(_DESTINATION, socket.inet_pton(family, address))
    if not mac:
        return message(_DELETE, 0, body)
    body += attribute(_LINK_LAYER, bytes.fromhex(mac.replace(":", "")))
    return message(_NEW, CREATE | REPLACE, body)
