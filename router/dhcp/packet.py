"""DHCPv4 packets: RFC 2131 header, RFC 2132 options, long options (RFC 3396), overload (option 52).

Only bytes and values; the relay decides what they mean. Every parser raises DhcpParseError and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

_HEADER = struct.Struct("!BBBBIHHIIII16s64s128s4s")
_COOKIE = b"\x63\x82\x53\x63"
_SNAME_AT, _FILE_AT, _COOKIE_AT = 44, 108, 236
HEADER_LENGTH = _HEADER.size
MINIMUM_LENGTH = 300
"""BOOTP's smallest packet; some clients still throw away anything shorter (RFC 1542 section 2.1)."""

BOOTREQUEST, BOOTREPLY = 1, 2
ETHERNET = 1
BROADCAST_FLAG = 0x8000
INFINITE_LEASE = 0xFFFFFFFF


class MessageType(IntEnum):
    """Option 53 (RFC 2132 section 9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class Code(IntEnum):
    """The option codes that a relay reads or writes."""

    PAD = 0
    REQUESTED_ADDRESS = 50
    LEASE_TIME = 51
    OVERLOAD = 52
    MESSAGE_TYPE = 53
    SERVER_IDENTIFIER = 54
    CLIENT_IDENTIFIER = 61
    AGENT_INFORMATION = 82
    END = 255


class DhcpParseError(ValueError):
    """A packet that is cut short or lies about a length.

    ``octet`` is the position in the packet (for sub-options: in the option) where reading had to stop.
    """

    def __init__(self, what: str, octet: int) -> None:
        super().__init__(f"{what} at octet {octet}")
        self.what = what
        self.octet = octet


class Option(NamedTuple):
    """One option as it stood in the packet; a long option (RFC 3396) is several of them."""

    code: int
    data: bytes
    octet: int = 0


@dataclass(slots=True)
class DhcpPacket:
    """One packet; addresses are unsigned 32-bit numbers, ``chaddr`` has its ``hlen`` octets.

    ``options``, ``file_options`` and ``sname_options`` keep each field's options apart, so that a packet that
    is relayed keeps its layout; ``file`` and ``sname`` are only what they hold when they carry no options.
    """

    op: int = BOOTREQUEST
    htype: int = ETHERNET
    hops: int = 0
    xid: int = 0
    secs: int = 0
    flags: int = 0
    ciaddr: int = 0
    yiaddr: int = 0
    siaddr: int = 0
    giaddr: int = 0
    chaddr: bytes = b""
    sname: bytes = b""
    file: bytes = b""
    options: list[Option] = field(default_factory=list)
    file_options: list[Option] = field(default_factory=list)
    sname_options: list[Option] = field(default_factory=list)

    def get(self, code: int) -> bytes | None:
        """Return the option's data, its parts joined in the order of RFC 3396, or None where it is absent."""
        parts = [option.data for option in self.options if option.code == code]
        if self.file_options or self.sname_options:
            parts += [option.data for option in self.file_options if option.code == code]
            parts += [option.data for option in self.sname_options if option.code == code]
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def number(self, code: int, length: int) -> int | None:
        """Return the option as an unsigned number of ``length`` octets, or None where it is absent.

        Raises DhcpParseError when it has another length.
        """
        data = self.get(code)
        if data is None:
            return None
        if len(data) != length:
            raise DhcpParseError(
                f"option {code} has {len(data)} octets instead of {length}", self._place(code)
            )
        return int.from_bytes(data, "big")

    def message_type(self) -> int:
        """Return option 53, or 0 for a BOOTP packet that has none. Raises DhcpParseError."""
        return self.number(Code.MESSAGE_TYPE, 1) or 0

    def remove(self, code: int) -> None:
        """Take every part of an option out of all three fields."""
        self.options = [option for option in self.options if option.code != code]
        if self.file_options or self.sname_options:
            self.file_options = [option for option in self.file_options if option.code != code]
            self.sname_options = [option for option in self.sname_options if option.code != code]

    def put(self, code: int, data: bytes) -> None:
        """Set an option, as the last one of the options field (where RFC 3046 wants option 82)."""
        self.remove(code)
        self.options.append(Option(code, data))

    def build(self) -> bytes:
        """Return the packet's octets, at least MINIMUM_LENGTH of them."""
        header = _HEADER.pack(
            self.op,
            self.htype,
            len(self.chaddr),
            self.hops,
            self.xid,
            self.secs,
            self.flags,
            self.ciaddr,
            self.yiaddr,
            self.siaddr,
            self.giaddr,
            self.chaddr,
            _encode(self.sname_options) if self.sname_options else self.sname,
            _encode(self.file_options) if self.file_options else self.file,
            _COOKIE,
        )
        return (header + _encode(self.options)).ljust(MINIMUM_LENGTH, b"\x00")

    def _place(self, code: int) -> int:
        for option in (*self.options, *self.file_options, *self.sname_options):
            if option.code == code:
                return option.octet
        return HEADER_LENGTH


def parse(data: bytes) -> DhcpPacket:
    """Read one UDP payload. Raises DhcpParseError for all that is not a whole, truthful DHCPv4 packet."""
    if len(data) < HEADER_LENGTH:
        raise DhcpParseError(f"packet ends inside the {HEADER_LENGTH}-octet header", len(data))
    (op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, cookie) = (
        _HEADER.unpack_from(data)
    )
    if op not in (BOOTREQUEST, BOOTREPLY):
        raise DhcpParseError(f"op {op} is neither request nor reply", 0)
    if hlen > len(chaddr):
        raise DhcpParseError(f"hardware address length {hlen} is above 16", 2)
    if cookie != _COOKIE:
        raise DhcpParseError("no DHCP magic cookie", _COOKIE_AT)
    packet = DhcpPacket(
        op, htype, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr[:hlen], sname, file
    )
    packet.options = _decode(data, HEADER_LENGTH, len(data), "options")
    for option in packet.options:
        if option.code == Code.OVERLOAD:
            _read_overload(packet, option, data)
            break
    return packet


def _read_overload(packet: DhcpPacket, option: Option, data: bytes) -> None:
    """Read the options that option 52 says are in `file` (1), `sname` (2) or both (3)."""
    if len(option.data) != 1 or option.data[0] not in (1, 2, 3):
        raise DhcpParseError(f"overload option says {option.data.hex() or 'nothing'}", option.octet)
    if option.data[0] & 1:
        packet.file_options = _decode(data, _FILE_AT, _COOKIE_AT, "file field")
    if option.data[0] & 2:
        packet.sname_options = _decode(data, _SNAME_AT, _FILE_AT, "sname field")


def _decode(data: bytes, start: int, end: int, field_name: str) -> list[Option]:
    found: list[Option] = []
    at = start
    while at < end:
        code = data[at]
        if code == 0:
            at += 1
            continue
        if code == 255:
            return found
        if at + 1 >= end:
            raise DhcpParseError(f"option {code} in the {field_name} has no length", at)
        after = at + 2 + data[at + 1]
        if after > end:
            raise DhcpParseError(
                f"option {code} in the {field_name} claims {data[at + 1]} octets, {end - at - 2} are left",
                at,
            )
        found.append(Option(code, data[at + 2 : after], at))
        at = after
    raise DhcpParseError(f"the {field_name} stops without the end option", at)


def _encode(options: Iterable[Option]) -> bytes:
    parts: list[bytes] = []
    for code, data, _ in options:
        if len(data) <= 255:
            parts += (bytes((code, len(data))), data)
            continue
        # RFC 3396: a longer option is written as several, to be joined by the reader
        for start in range(0, len(data), 255):
            part = data[start : start + 255]
            parts += (bytes((code, len(part))), part)
    parts.append(b"\xff")
    return b"".join(parts)
