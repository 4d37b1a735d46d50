"""The gate: nftables elements with a timeout, refreshed over netlink in one small transaction.

It is refreshed several times a second, so no program is started for it. An element that is there already
would keep its old timeout, so each is added (it may be gone), deleted and added anew; packets see only the
result.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator
from typing import Final

from router.dataplane.values import DataPlaneError
from router.netlink import ACKNOWLEDGE, CREATE, Netlink, attribute, message, nest

_NETLINK_NETFILTER = 12
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW, _DELETE = _SUBSYSTEM << 8 | 12, _SUBSYSTEM << 8 | 14
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_ELEMENT, _KEY, _TIMEOUT, _VALUE = 1, 1, 4, 1
_FAMILIES: Final = {"inet": 1, "arp": 3}
_GENERAL = struct.Struct(">BBH")
_MARKER = _GENERAL.pack(0, 0, _SUBSYSTEM)
_INTERFACE_LENGTH = 16

_Place = tuple[str, str, bytes]
"""Family, set and key of an element."""
_Change = tuple[int, bytes]
"""Kind and body of a message."""


class Gate:
    """A netlink socket that opens and closes the gate of one device's tables. Needs CAP_NET_ADMIN."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._netlink = Netlink(_NETLINK_NETFILTER)

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
        self._netlink.close()

    def _touch(self, place: _Place) -> list[_Change]:
        """Delete an element that may be gone."""
        return [(_NEW, self._element(place, 1000)), (_DELETE, self._element(place, None))]

    def _element(self, place: _Place, timeout: int | None) -> bytes:
        family, name, key = place
        element = nest(_KEY, attribute(_VALUE, key))
        if timeout is not None:
            element += attribute(_TIMEOUT, struct.pack(">Q", timeout))
        return (
            _GENERAL.pack(_FAMILIES[family], 0, 0)
            + attribute(_LIST_TABLE, self._table.encode() + b"\0")
            + attribute(_LIST_SET, name.encode() + b"\0")
            + nest(_LIST_ELEMENTS, nest(_ELEMENT, element))
        )

    def _transact(self, changes: list[_Change]) -> None:
        if not changes:
            return
        batch = [message(_BATCH_BEGIN, 0, _MARKER)]
        # An acknowledgement is asked for, so that there is an answer to read whatever becomes of it
        batch += [
            message(kind, ACKNOWLEDGE | (CREATE if kind == _NEW else 0), body) for kind, body in changes
        ]
        batch.append(message(_BATCH_END, 0, _MARKER))
        try:
            self._netlink.send(b"".join(batch))
        except OSError as error:
            raise DataPlaneError(
                f"the gate of nftables table {self._table} cannot be set: {os.strerror(error.errno or 0)}"
            ) from error


def _places(interfaces: Collection[str], marks: Collection[int]) -> Iterator[_Place]:
    for interface in sorted(interfaces):
        key = interface.encode().ljust(_INTERFACE_LENGTH, b"\0")
        yield "inet", "gate", key
        yield "arp", "gate", key
    for mark in sorted(marks):
        yield "inet", "open", struct.pack("=I", mark)
