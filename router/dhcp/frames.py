"""IPv4 and UDP headers for clients that have no address yet, so that neither ARP nor routing can help."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from rui.checksum import checksum

BROADCAST_MAC = b"\xff" * 6
_UDP = 17
_IP_HEADER = struct.Struct("!BBHHHBBH4s4s")
_UDP_HEADER = struct.Struct("!HHHH")


def ip_datagram(
    payload: bytes, source: IPv4Address, source_port: int, destination: IPv4Address, destination_port: int
) -> bytes:
    """Return an IPv4 packet with a UDP datagram in it, both checksums filled in (RFC 791, RFC 768)."""
    length = _UDP_HEADER.size + len(payload)
    pseudo = source.packed + destination.packed + struct.pack("!BBH", 0, _UDP, length)
    bare = _UDP_HEADER.pack(source_port, destination_port, length, 0) + payload
    # A computed zero is sent as all ones: zero would say that there is no checksum
    udp = _UDP_HEADER.pack(source_port, destination_port, length, checksum(pseudo + bare) or 0xFFFF) + payload
    fields = (0x45, 0xC0, _IP_HEADER.size + length, 0, 0x4000, 64, _UDP)
    header = _IP_HEADER.pack(*fields, 0, source.packed, destination.packed)
    return _IP_HEADER.pack(*fields, checksum(header), source.packed, destination.packed) + udp
