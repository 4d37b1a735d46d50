"""DHCP option 82, the relay agent information option (RFC 3046), and its sub-options."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from router.dhcp.packet import DhcpParseError

SubOption = tuple[int, bytes]
"""(code, data) in the order of the wire."""


class Sub(IntEnum):
    """Sub-option codes that the relay reads or writes; all others pass through it untouched."""

    CIRCUIT_ID = 1
    REMOTE_ID = 2
    LINK_SELECTION = 5  # RFC 3527
    SERVER_ID_OVERRIDE = 11  # RFC 5107


def parse(data: bytes) -> list[SubOption]:
    """Split the option's data. Raises DhcpParseError with the octet counted from the option's data."""
    found: list[SubOption] = []
    at = 0
    while at < len(data):
        if at + 1 >= len(data):
            raise DhcpParseError(f"sub-option {data[at]} of option 82 has no length", at)
        after = at + 2 + data[at + 1]
        if after > len(data):
            raise DhcpParseError(
                f"sub-option {data[at]} of option 82 claims {data[at + 1]} octets "
                f"where {len(data) - at - 2} are left",
                at,
            )
        found.append((data[at], data[at + 2 : after]))
        at = after
    return found


def build(sub_options: Iterable[SubOption]) -> bytes:
    """Join sub-options to the option's data. Raises ValueError for one longer than 255 octets."""
    return b"".join(bytes((code, len(data))) + data for code, data in sub_options)


def value(sub_options: Iterable[SubOption], code: int) -> bytes | None:
    """Return the first sub-option of that code, or None."""
    return next((data for found, data in sub_options if found == code), None)
