"""Whole Ethernet frames, so that the virtual MAC is the sender of what a Master says (RFC 9568 section 7.2).

Made by hand because a Backup's virtual interface is down, and yet it must be able to take over with its first
packet.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from rui.checksum import checksum
from rui.vrrp.packet import GROUP_V4, GROUP_V6, HOPS, PROTOCOL, IPAddress

MAC_LENGTH: Final = 6
_IPV4, _ARP, _IPV6 = 0x0800, 0x0806, 0x86DD
_BROADCAST = b"\xff" * MAC_LENGTH
_ALL_NODES = IPv6Address("ff02::1")
_ICMPV6 = 58
_NEIGHBOR_ADVERTISEMENT = 136
_ROUTER_OVERRIDE = 0xA0000000
_TARGET_LINK_LAYER_ADDRESS = 2
_ETHERNET_IPV4 = struct.pack(">HHBBH", 1, _IPV4, MAC_LENGTH, 4, 1)
_NETWORK_CONTROL = 0xC0


def virtual_mac(vrid: int, family: int) -> bytes:
    """Return the virtual router's MAC address (RFC 9568 section 7.3)."""
    return bytes((0x00, 0x00, 0x5E, 0x00, 0x01 if family == 4 else 0x02, vrid))


def advertisement_frame(packet: bytes, source: IPAddress, mac: bytes) -> bytes:
    """Return a VRRP packet as a multicast frame."""
    if isinstance(source, IPv6Address):
        return _ipv6_frame(packet, PROTOCOL, source, GROUP_V6, mac)
    header = struct.pack(
        ">BBHHHBBH4s4s",
        *(0x45, _NETWORK_CONTROL, 20 + len(packet), 0, 0x4000, HOPS, PROTOCOL, 0),
        *(source.packed, GROUP_V4.packed),
    )
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    group = b"\x01\x00\x5e" + GROUP_V4.packed[1:]
    return group + mac + _IPV4.to_bytes(2, "big") + header + packet


def announcement_frame(address: IPAddress, mac: bytes) -> bytes:
    """Return a gratuitous ARP request, or an unsolicited Neighbor Advertisement with the override flag."""
    if isinstance(address, IPv4Address):
        body = _ETHERNET_IPV4 + mac + address.packed + bytes(MAC_LENGTH) + address.packed
        return (_BROADCAST + mac + _ARP.to_bytes(2, "big") + body).ljust(60, b"\x00")
    option = bytes((_TARGET_LINK_LAYER_ADDRESS, 1)) + mac
    message = struct.pack(">BBHI", _NEIGHBOR_ADVERTISEMENT, 0, 0, _ROUTER_OVERRIDE) + address.packed + option
    pseudo = address.packed + _ALL_NODES.packed + struct.pack(">II", len(message), _ICMPV6)
    message = message[:2] + checksum(pseudo + message).to_bytes(2, "big") + message[4:]
    return _ipv6_frame(message, _ICMPV6, address, _ALL_NODES, mac)


def _ipv6_frame(payload: bytes, kind: int, source: IPv6Address, group: IPv6Address, mac: bytes) -> bytes:
    header = struct.pack(">IHBB", 0x6C000000, len(payload), kind, HOPS) + source.packed + group.packed
    return b"\x33\x33" + group.packed[12:] + mac + _IPV6.to_bytes(2, "big") + header + payload
