"""The VRRP advertisement: octets to values and back (RFC 9568 and 5798 section 5, RFC 3768 section 5).

Intervals are in centiseconds in both versions, though version 2 has whole seconds on the wire.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from rui.checksum import checksum

IPAddress = IPv4Address | IPv6Address

PROTOCOL: Final = 112
"""VRRP's IP protocol number (RFC 9568 section 5.1.1.4)."""
HOPS: Final = 255
"""TTL or hop limit of every packet: one that crossed a router cannot have it (section 5.1.1.3)."""
GROUP_V4: Final = IPv4Address("224.0.0.18")
GROUP_V6: Final = IPv6Address("ff02::12")

OWNER: Final = 255
"""Priority of the router that owns the addresses."""
RESIGNING: Final = 0
"""Priority by which a Master says that it stops."""
LONGEST_INTERVAL: Final = 4095
"""The longest interval of version 3, in centiseconds; version 2 has 255 seconds."""

_ADVERTISEMENT = 1
_HEADER = struct.Struct(">BBBBHH")
_CHECKSUM_AT = 6
_INTERVAL_BITS = 0x0FFF
# Version 2 still carries the room of the authentication that RFC 3768 took away (section 5.3.10)
_AUTHENTICATION = bytes(8)


class Fault(Enum):
    """Which rule a packet breaks; the names are those of ietf-vrrp's counters where it has one."""

    TTL = "ip-ttl-error"
    """It came over a router, or somebody pretends."""
    VERSION = "version-error"
    TYPE = "invalid-type"
    LENGTH = "packet-length-error"
    CHECKSUM = "checksum-error"
    VRID = "vrid-error"
    AUTHENTICATION = "authentication"
    INTERVAL = "interval-error"


class PacketError(ValueError):
    """Octets that are not a usable advertisement; ``fault`` names the rule, the message the value."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Advertisement:
    """What a Master says of one virtual router. ``interval`` is in centiseconds.

    ``addresses`` are of one family; version 2 has IPv4 only.
    """

    version: int
    vrid: int
    priority: int
    interval: int
    addresses: tuple[IPAddress, ...]


def encode(
    advertisement: Advertisement,
    source: IPAddress,
    destination: IPAddress | None = None,
    *,
    pseudo_header: bool = True,
) -> bytes:
    """Return the packet's octets, without the IP header.

    ``source`` and ``destination`` (by default the multicast group) are in the checksum of version 3.
    ``pseudo_header`` False leaves them out for IPv4: RFC 9568 section 5.2.8 does, while keepalived and FRR
    read RFC 5798 the other way. Raises ValueError for what no packet can carry.
    """
    _check_sendable(advertisement, source)
    first = advertisement.version << 4 | _ADVERTISEMENT
    old = advertisement.version == 2
    last, tail = (advertisement.interval // 100, _AUTHENTICATION) if old else (advertisement.interval, b"")
    fields = (first, advertisement.vrid, advertisement.priority, len(advertisement.addresses), last)
    header = _HEADER.pack(*fields, 0)
    body = b"".join(address.packed for address in advertisement.addresses) + tail
    covered = header + body
    if not old and (pseudo_header or source.version == 6):
        covered = _pseudo_header(source, destination, len(covered)) + covered
    return _HEADER.pack(*fields, checksum(covered)) + body


def decode(data: bytes, source: IPAddress, destination: IPAddress | None = None) -> Advertisement:
    """Read a packet without its IP header; both ways of IPv4's checksum are taken. Raises PacketError."""
    if len(data) < _HEADER.size:
        raise PacketError(Fault.LENGTH, f"{len(data)} octets are no whole header")
    first, vrid, priority, count, last, _ = _HEADER.unpack_from(data)
    version, kind = first >> 4, first & 0x0F
    if version not in ((3,) if source.version == 6 else (2, 3)):
        raise PacketError(Fault.VERSION, f"version {version} over IPv{source.version}")
    if kind != _ADVERTISEMENT:
        raise PacketError(Fault.TYPE, f"type {kind} is not an advertisement")
    _check_length(data, version, count, source)
    _check_checksum(data, version, source, destination)
    if vrid == 0:
        raise PacketError(Fault.VRID, "virtual router 0 does not exist")
    if version == 2 and last >> 8:
        raise PacketError(Fault.AUTHENTICATION, f"authentication type {last >> 8}: RFC 3768 has none")
    interval = (last & 0xFF) * 100 if version == 2 else last & _INTERVAL_BITS
    if interval == 0:
        raise PacketError(Fault.INTERVAL, "an interval of 0: its Master would always be late")
    return Advertisement(version, vrid, priority, interval, _addresses(data, count, source))


def _check_sendable(advertisement: Advertisement, source: IPAddress) -> None:
    version, interval, addresses = advertisement.version, advertisement.interval, advertisement.addresses
    if version not in ((3,) if source.version == 6 else (2, 3)):
        raise ValueError(f"version {version} does not exist over IPv{source.version}")
    if version == 2 and (interval % 100 or not 1 <= interval // 100 <= 255):
        raise ValueError(f"version 2 has 1 to 255 whole seconds, not {interval} centiseconds")
    if not 1 <= interval <= LONGEST_INTERVAL and version == 3:
        raise ValueError(f"version 3 has 1 to {LONGEST_INTERVAL} centiseconds, not {interval}")
    if not 1 <= len(addresses) <= 255 or any(address.version != source.version for address in addresses):
        raise ValueError(
            f"1 to 255 addresses of IPv{source.version}, not {len(addresses)} of {addresses[:1]}"
        )
    if not (1 <= advertisement.vrid <= 255 and 0 <= advertisement.priority <= OWNER):
        raise ValueError(f"no such virtual router or priority: {advertisement}")


def _check_length(data: bytes, version: int, count: int, source: IPAddress) -> None:
    tail = len(_AUTHENTICATION) if version == 2 else 0
    expected = _HEADER.size + count * len(source.packed) + tail
    if count == 0:
        raise PacketError(Fault.LENGTH, "it carries no address")
    if len(data) != expected:
        raise PacketError(Fault.LENGTH, f"{len(data)} octets, where {count} addresses need {expected}")


def _check_checksum(data: bytes, version: int, source: IPAddress, destination: IPAddress | None) -> None:
    # What holds its own checksum sums up to nothing
    plain = (version == 2 or source.version == 4) and checksum(data) == 0
    if plain or (version == 3 and checksum(_pseudo_header(source, destination, len(data)) + data) == 0):
        return
    said = int.from_bytes(data[_CHECKSUM_AT : _CHECKSUM_AT + 2], "big")
    raise PacketError(Fault.CHECKSUM, f"checksum {said:#06x} does not fit the packet from {source}")


def _pseudo_header(source: IPAddress, destination: IPAddress | None, length: int) -> bytes:
    """Return the pseudo header of RFC 8200 section 8.1, or its like for IPv4 (RFC 793 section 3.1)."""
    if destination is None:
        destination = GROUP_V6 if source.version == 6 else GROUP_V4
    addresses = source.packed + destination.packed
    if source.version == 6:
        return addresses + struct.pack(">II", length, PROTOCOL)
    return addresses + struct.pack(">HH", PROTOCOL, length)


def _addresses(data: bytes, count: int, source: IPAddress) -> tuple[IPAddress, ...]:
    size = len(source.packed)
    kind = type(source)
    starts = range(_HEADER.size, _HEADER.size + count * size, size)
    return tuple(kind(data[start : start + size]) for start in starts)
