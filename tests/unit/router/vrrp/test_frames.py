"""Whole frames: what switches, hosts and other routers read of them."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from router.vrrp.frames import advertisement_frame, announcement_frame, virtual_mac
from rui.checksum import checksum

MAC4, MAC6 = virtual_mac(51, 4), virtual_mac(51, 6)
ROUTER, VIRTUAL = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.254")
ROUTER6, VIRTUAL6 = IPv6Address("fe80::1"), IPv6Address("fe80::254")


def test_the_virtual_mac_says_family_and_id() -> None:
    assert MAC4.hex(":") == "00:00:5e:00:01:33"
    assert MAC6.hex(":") == "00:00:5e:00:02:33"


def test_an_ipv4_advertisement() -> None:
    frame = advertisement_frame(b"packet", ROUTER, MAC4)
    assert frame[:14].hex() == "01005e000012" + "00005e000133" + "0800"
    header = frame[14:34]
    assert checksum(header) == 0
    assert (header[0], header[8], header[9]) == (0x45, 255, 112)
    assert int.from_bytes(header[2:4], "big") == 26
    assert (header[12:16], header[16:20]) == (ROUTER.packed, IPv4Address("224.0.0.18").packed)
    assert frame[34:] == b"packet"


def test_an_ipv6_advertisement() -> None:
    frame = advertisement_frame(b"packet", ROUTER6, MAC6)
    assert frame[:14].hex() == "333300000012" + "00005e000233" + "86dd"
    header = frame[14:54]
    assert (header[0] >> 4, header[6], header[7]) == (6, 112, 255)
    assert int.from_bytes(header[4:6], "big") == 6
    assert (header[8:24], header[24:40]) == (ROUTER6.packed, IPv6Address("ff02::12").packed)
    assert frame[54:] == b"packet"


def test_a_gratuitous_arp() -> None:
    frame = announcement_frame(VIRTUAL, MAC4)
    assert frame[:14].hex() == "ffffffffffff" + "00005e000133" + "0806"
    assert frame[14:22].hex() == "0001" + "0800" + "06" + "04" + "0001"
    assert frame[22:42] == MAC4 + VIRTUAL.packed + bytes(6) + VIRTUAL.packed
    assert len(frame) == 60


def test_an_unsolicited_neighbor_advertisement() -> None:
    frame = announcement_frame(VIRTUAL6, MAC6)
    assert frame[:14].hex() == "333300000001" + "00005e000233" + "86dd"
    message = frame[54:]
    pseudo = frame[22:54] + struct.pack(">II", len(message), 58)
    assert checksum(pseudo + message) == 0
    # type, router and override but not solicited, the address, its MAC
    assert (message[0], message[4]) == (136, 0xA0)
    assert message[8:24] == VIRTUAL6.packed
    assert message[24:] == b"\x02\x01" + MAC6
