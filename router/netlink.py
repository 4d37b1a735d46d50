"""A netlink socket for messages made by hand, where speed matters: the gate, neighbours, changes of role."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection
from typing import Final

REQUEST: Final = 0x1
ACKNOWLEDGE: Final = 0x4
REPLACE: Final = 0x100
CREATE: Final = 0x400
_ERROR = 2
_NESTED = 0x8000
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ALIGNMENT = 4
_LARGEST = 1 << 16


class Netlink:
    """Sends requests and reads what the kernel refuses of them. Needs CAP_NET_ADMIN."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.bind((0, 0))

    def send(self, messages: bytes, *, done: Collection[int] = ()) -> None:
        """Send; raises OSError for the first answer that is an error and not in ``done``.

        The kernel has answered by the time that sending returns.
        """
        self._socket.send(messages)
        code = 0
        while True:
            try:
                data = self._socket.recv(_LARGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            offset = 0
            while offset < len(data):
                length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
                if kind == _ERROR and not code:
                    refused = -struct.unpack_from("=i", data, offset + _HEADER.size)[0]
                    code = 0 if refused in done else refused
                offset += max(_HEADER.size, length + -length % _ALIGNMENT)
        if code:
            raise OSError(code, errno.errorcode.get(code, "unknown"))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Return one request."""
    return _HEADER.pack(_HEADER.size + len(body), kind, REQUEST | flags, 0, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + b"\0" * (-len(value) % _ALIGNMENT)


def nest(kind: int, content: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    return attribute(kind | _NESTED, content)
