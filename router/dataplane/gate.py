"""The gate: nftables elements with a timeout, refreshed over netlink in one small transaction.

It is refreshed several times a second, so no program is started for it. An element that is there already
would keep its old timeout, so each is added (it may be gone), deleted and added anew; packets see only the
result.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection, Iterator
from typing import Final

from router.dataplane.values import DataPlaneError

_NETLINK_NETFILTER = 12
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW, _DELETE = _SUBSYSTEM << 8 | 12, _SUBSYSTEM << 8 | 14
_REQUEST, _ACK, _CREATE = 0x1, 0x4, 0x400
_ERROR = 2
_NESTED = 0x8000
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_ELEMENT, _KEY, _TIMEOUT, _VALUE = 1, 1, 4, 1
_FAMILIES: Final = {"inet": 1, "arp": 3}
_HEADER = struct.Struct("=IHHII")
_INTERFACE_LENGTH = 16

_Place = tuple[str, str, bytes]
"""Family, set and key of an element."""


class Gate:
    """A netlink socket that opens and closes the gate of one device's tables. Needs CAP_NET_ADMIN."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._sequence = 0

    def refresh(self, interfaces: Collection[str], marks: Collection[int], timeout: float) -> None:
        """Let these interfaces and marks be open for ``timeout`` seconds from now. Raises DataPlaneError."""
        places = list(_places(interfaces, marks))
        self._transact(
            [message for place in places for message in self._touch(place)]
            + [(_NEW, self._element(place, round(timeout * 1000))) for place in places]
        )

    def close(self, interfaces: Collection[str], marks: Collection[int]) -> None:
        """Close the gate for these now. Raises DataPlaneError."""
        self._transact([message for place in _places(interfaces, marks) for message in self._touch(place)])

    def end(self) -> None:
        """Close the socket; what is open stays so for its timeout."""
        self._socket.close()

    def _touch(self, place: _Place) -> list[tuple[int, bytes]]:
        """Delete an element that may be gone."""
        return [(_NEW, self._element(place, 1000)), (_DELETE, self._element(place, None))]

    def _element(self, place: _Place, timeout: int | None) -> bytes:
        family, name, key = place
        element = _nest(_KEY, _attribute(_VALUE, key))
        if timeout is not None:
            element += _attribute(_TIMEOUT, struct.pack(">Q", timeout))
        return (
            struct.pack(">BBH", _FAMILIES[family], 0, 0)
            + _attribute(_LIST_TABLE, self._table.encode() + b"\0")
            + _attribute(_LIST_SET, name.encode() + b"\0")
            + _nest(_LIST_ELEMENTS, _nest(_ELEMENT, element))
        )

    def _transact(self, messages: list[tuple[int, bytes]]) -> None:
        if not messages:
            return
        marker = struct.pack(">BBH", 0, 0, _SUBSYSTEM)
        batch = [self._message(_BATCH_BEGIN, 0, marker)]
        batch += [self._message(kind, _CREATE if kind == _NEW else 0, body) for kind, body in messages]
        # Only the last is acknowledged; errors are told of any
        batch[-1] = self._message(
            messages[-1][0], _ACK | (_CREATE if messages[-1][0] == _NEW else 0), messages[-1][1]
        )
        batch.append(self._message(_BATCH_END, 0, marker))
        try:
            self._socket.send(b"".join(batch))
            self._read_answers()
        except OSError as error:
            raise DataPlaneError(
                f"the gate of nftables table {self._table} cannot be set: {os.strerror(error.errno or 0)}"
            ) from error

    def _message(self, kind: int, flags: int, body: bytes) -> bytes:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, self._sequence, 0) + body

    def _read_answers(self) -> None:
        """The kernel has answered when sending returns. Raises OSError for what it refuses."""
        code = 0
        while True:
            try:
                data = self._socket.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            offset = 0
            while offset < len(data):
                length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
                if kind == _ERROR:
                    code = code or -struct.unpack_from("=i", data, offset + _HEADER.size)[0]
                offset += max(_HEADER.size, length + 3 & ~3)
        if code:
            raise OSError(code, errno.errorcode.get(code, ""))


def _places(interfaces: Collection[str], marks: Collection[int]) -> Iterator[_Place]:
    for interface in sorted(interfaces):
        key = interface.encode().ljust(_INTERFACE_LENGTH, b"\0")
        yield "inet", "gate", key
        yield "arp", "gate", key
    for mark in sorted(marks):
        yield "inet", "open", struct.pack("=I", mark)


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def _nest(kind: int, content: bytes) -> bytes:
    return _attribute(kind | _NESTED, content)
