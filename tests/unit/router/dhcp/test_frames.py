"""The frames for clients without an address."""

import struct
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from router.dhcp.frames import ip_datagram
from rui.checksum import checksum

ROUTER, CLIENT = IPv4Address("10.64.0.1"), IPv4Address("10.64.1.5")


def test_the_headers_say_who_whom_and_how_long() -> None:
    datagram = ip_datagram(b"payload", ROUTER, 67, CLIENT, 68)

    assert datagram[0] == 0x45
    assert struct.unpack("!H", datagram[2:4])[0] == len(datagram) == 20 + 8 + 7
    assert datagram[9] == 17
    assert (datagram[12:16], datagram[16:20]) == (ROUTER.packed, CLIENT.packed)
    assert struct.unpack("!HHH", datagram[20:26]) == (67, 68, 15)
    assert datagram[28:] == b"payload"


@given(st.binary(max_size=400))
def test_both_checksums_hold(payload: bytes) -> None:
    datagram = ip_datagram(payload, ROUTER, 67, CLIENT, 68)

    pseudo = ROUTER.packed + CLIENT.packed + struct.pack("!BBH", 0, 17, 8 + len(payload))
    assert checksum(datagram[:20]) == 0
    assert checksum(pseudo + datagram[20:]) == 0
