"""Octets to values and back, against packets that were worked out by hand from the RFCs."""

import contextlib
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rui.vrrp.packet import Advertisement, Fault, IPAddress, PacketError, decode, encode

SOURCE = IPv4Address("192.0.2.1")
SOURCE6 = IPv6Address("fe80::1")
V3 = Advertisement(3, 51, 100, 10, (IPv4Address("192.0.2.254"),))
V2 = Advertisement(2, 51, 100, 100, (IPv4Address("192.0.2.254"),))
V6 = Advertisement(3, 51, 100, 10, (IPv6Address("fe80::254"),))

# version and type, vrid, priority, count, interval in centiseconds, checksum, address
V3_PLAIN = bytes.fromhex("31336401000aa7c2c00002fe")
# over 192.0.2.1, 224.0.0.18, 0, 112, 12 as well
V3_PSEUDO = bytes.fromhex("31336401000a0532c00002fe")
# authentication type 0, interval in seconds, checksum, address, eight octets of nothing
V2_PACKET = bytes.fromhex("213364010001b7cbc00002fe0000000000000000")

families = st.sampled_from([(2, 4), (3, 4), (3, 6)])


@st.composite
def advertisements(draw: st.DrawFn) -> tuple[Advertisement, IPAddress]:
    version, family = draw(families)
    address: st.SearchStrategy[IPAddress] = st.ip_addresses(v=4) if family == 4 else st.ip_addresses(v=6)
    interval = draw(st.integers(1, 255)) * 100 if version == 2 else draw(st.integers(1, 4095))
    addresses = draw(st.lists(address, min_size=1, max_size=8))
    advertisement = Advertisement(
        version, draw(st.integers(1, 255)), draw(st.integers(0, 255)), interval, tuple(addresses)
    )
    return advertisement, draw(address)


@pytest.mark.parametrize(
    ("advertisement", "pseudo_header", "octets"),
    [(V3, False, V3_PLAIN), (V3, True, V3_PSEUDO), (V2, True, V2_PACKET), (V2, False, V2_PACKET)],
)
def test_the_octets(advertisement: Advertisement, pseudo_header: bool, octets: bytes) -> None:
    assert encode(advertisement, SOURCE, pseudo_header=pseudo_header) == octets
    assert decode(octets, SOURCE) == advertisement


@given(advertisements(), st.booleans())
def test_what_is_encoded_is_decoded(given_one: tuple[Advertisement, IPAddress], pseudo_header: bool) -> None:
    advertisement, source = given_one
    assert decode(encode(advertisement, source, pseudo_header=pseudo_header), source) == advertisement


@given(advertisements(), st.data())
def test_a_flipped_bit_is_found(given_one: tuple[Advertisement, IPAddress], data: st.DataObject) -> None:
    advertisement, _ = given_one
    source = SOURCE6 if advertisement.addresses[0].version == 6 else SOURCE
    octets = bytearray(encode(advertisement, source))
    bit = data.draw(st.integers(0, len(octets) * 8 - 1))
    octets[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PacketError):
        decode(bytes(octets), source)


@given(st.binary(max_size=80), st.sampled_from([SOURCE, SOURCE6]))
def test_any_octets_are_taken_or_refused(octets: bytes, source: IPAddress) -> None:
    with contextlib.suppress(PacketError):
        assert decode(octets, source).interval


def test_ipv6_s_checksum_covers_who_sends_to_whom() -> None:
    octets = encode(V6, SOURCE6)
    assert octets == encode(V6, SOURCE6, pseudo_header=False)
    assert decode(octets, SOURCE6) == V6
    with pytest.raises(PacketError) as caught:
        decode(octets, IPv6Address("fe80::2"))
    assert caught.value.fault is Fault.CHECKSUM


def test_unicast_has_its_own_checksum() -> None:
    peer = IPv4Address("192.0.2.2")
    assert decode(encode(V3, SOURCE, peer), SOURCE, peer) == V3
    with pytest.raises(PacketError):
        decode(encode(V3, SOURCE, peer), SOURCE)


def altered(octets: bytes, at: int, value: int) -> bytes:
    """Change one octet and make the checksum fit again, as a wrong sender would."""
    changed = bytearray(octets)
    total = int.from_bytes(changed[6:8], "big")
    word = at & ~1
    old = int.from_bytes(changed[word : word + 2], "big")
    changed[at] = value
    new = int.from_bytes(changed[word : word + 2], "big")
    changed[6:8] = ((total + old - new) % 0xFFFF).to_bytes(2, "big")
    return bytes(changed)


@pytest.mark.parametrize(
    ("octets", "fault", "said"),
    [
        (b"", Fault.LENGTH, "0 octets are no whole header"),
        (V3_PLAIN[:7], Fault.LENGTH, "7 octets are no whole header"),
        (V3_PLAIN[:11], Fault.LENGTH, "11 octets, where 1 addresses need 12"),
        (V3_PLAIN + b"\0", Fault.LENGTH, "13 octets"),
        (V2_PACKET[:12], Fault.LENGTH, "12 octets, where 1 addresses need 20"),
        (altered(V3_PLAIN[:8], 3, 0), Fault.LENGTH, "no address"),
        (altered(V3_PLAIN, 0, 0x41), Fault.VERSION, "version 4 over IPv4"),
        (altered(V3_PLAIN, 0, 0x32), Fault.TYPE, "type 2"),
        (altered(V3_PLAIN, 1, 0), Fault.VRID, "virtual router 0"),
        (altered(V3_PLAIN, 5, 0), Fault.INTERVAL, "interval of 0"),
        (altered(V2_PACKET, 5, 0), Fault.INTERVAL, "interval of 0"),
        (altered(V2_PACKET, 4, 1), Fault.AUTHENTICATION, "authentication type 1"),
        (
            V3_PLAIN[:6] + b"\0\0" + V3_PLAIN[8:],
            Fault.CHECKSUM,
            "0x0000 does not fit the packet from 192.0.2.1",
        ),
    ],
)
def test_what_is_wrong_is_named(octets: bytes, fault: Fault, said: str) -> None:
    with pytest.raises(PacketError, match=said) as caught:
        decode(octets, SOURCE)
    assert caught.value.fault is fault


def test_reserved_bits_are_not_read() -> None:
    assert decode(altered(V3_PLAIN, 4, 0xF0), SOURCE) == V3


def test_version_2_has_no_ipv6() -> None:
    with pytest.raises(PacketError, match="version 2 over IPv6"):
        decode(V2_PACKET, SOURCE6)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(V3, version=4),
        replace(V3, vrid=256),
        replace(V3, vrid=0),
        replace(V3, priority=256),
        replace(V3, interval=4096),
        replace(V3, interval=0),
        replace(V3, addresses=()),
        replace(V3, addresses=V3.addresses * 256),
        replace(V3, addresses=V6.addresses),
        replace(V2, interval=150),
        replace(V2, interval=25_600),
        replace(V2, addresses=V6.addresses),
    ],
)
def test_what_no_packet_can_carry(wrong: Advertisement) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        encode(wrong, SOURCE)
