"""The users' MAC addresses as permanent neighbours, many in one netlink message.

User-info says them, so after a takeover nobody is asked by ARP, and no limit of the neighbour table applies.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable
from ipaddress import ip_address

from router.dataplane.values import DataPlaneError

_NEW, _DELETE = 28, 29
_REQUEST, _CREATE, _REPLACE = 0x1, 0x400, 0x100
_ERROR = 2
_PERMANENT = 0x80
_FAMILIES = {4: socket.AF_INET, 16: socket.AF_INET6}
_DESTINATION, _LINK_LAYER = 1, 2
_HEADER = struct.Struct("=IHHII")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_ATTRIBUTE = struct.Struct("=HH")
_LAYER_LENGTH = _ATTRIBUTE.size + 6
# What the kernel says where nothing was left to do: the entry is gone, or the interface with all of them
_DONE = (errno.ENOENT, errno.ENODEV, errno.ENETDOWN)


class Neighbours:
    """A netlink socket for neighbours. Needs CAP_NET_ADMIN."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))

    def change(self, interface: str, entries: Iterable[tuple[str, str]]) -> None:
        """Set the MACs of addresses, or forget those whose MAC is empty. Raises DataPlaneError."""
        try:
            index = socket.if_nametoindex(interface)
        except OSError:
            return
        messages = b"".join(_message(index, address, mac) for address, mac in entries)
        try:
            self._socket.send(messages)
            self._read_answers()
        except OSError as error:
            raise DataPlaneError(
                f"the kernel refuses neighbours on {interface}: {os.strerror(error.errno or 0)}"
            ) from error

    def close(self) -> None:
        """Close the socket; the neighbours stay as long as the interface is up."""
        self._socket.close()

    def _read_answers(self) -> None:
        """The kernel has answered when sending returns. Raises OSError for what it refuses."""
        while True:
            try:
                data = self._socket.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            _, kind, _, _, _ = _HEADER.unpack_from(data)
            code = -struct.unpack_from("=i", data, _HEADER.size)[0] if kind == _ERROR else 0
            if code and code not in _DONE:
                raise OSError(code, errno.errorcode.get(code, ""))


def _message(index: int, address: str, mac: str) -> bytes:
    packed = ip_address(address).packed
    body = _NEIGHBOUR.pack(_FAMILIES[len(packed)], index, _PERMANENT, 0, 0)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _DESTINATION) + packed
    kind, flags = _DELETE, _REQUEST
    if mac:
        kind, flags = _NEW, _REQUEST | _CREATE | _REPLACE
        body += _ATTRIBUTE.pack(_LAYER_LENGTH, _LINK_LAYER) + bytes.fromhex(mac.replace(":", "")) + b"\0\0"
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body
