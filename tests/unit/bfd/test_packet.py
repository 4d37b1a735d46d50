"""The Control packet on the wire, and what is no packet (RFC 5880 sections 4.1 and 6.8.6)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rui.bfd.packet import ControlPacket, Discard, PacketError, State, decode

PACKET = ControlPacket(
    state=State.UP,
    multiplier=3,
    my_discriminator=0x01020304,
    your_discriminator=0x0A0B0C0D,
    desired_min_tx=50_000,
    required_min_rx=300_000,
    diagnostic=1,
    poll=True,
)
OCTETS = bytes.fromhex("21e00318 01020304 0a0b0c0d 0000c350 000493e0 00000000")
WORD = st.integers(0, 2**32 - 1)
PACKETS = st.builds(
    ControlPacket,
    state=st.sampled_from(State),
    multiplier=st.integers(1, 255),
    my_discriminator=st.integers(1, 2**32 - 1),
    your_discriminator=st.integers(1, 2**32 - 1),
    desired_min_tx=WORD,
    required_min_rx=WORD,
    required_min_echo_rx=WORD,
    diagnostic=st.integers(0, 31),
    poll=st.booleans(),
    final=st.booleans(),
    control_plane_independent=st.booleans(),
    authenticated=st.just(False),
    demand=st.booleans(),
)


def test_a_packet_has_the_octets_of_the_rfc() -> None:
    assert PACKET.encode() == OCTETS
    assert decode(OCTETS) == PACKET


@given(PACKETS, st.binary(max_size=8))
def test_what_is_encoded_reads_back_whatever_follows_it(packet: ControlPacket, padding: bytes) -> None:
    assert decode(packet.encode() + padding) == packet


@given(st.binary(max_size=64))
def test_any_octets_are_a_packet_or_an_error(data: bytes) -> None:
    with suppress(PacketError):
        assert decode(data).multiplier > 0


def changed(at: int, value: int) -> bytes:
    return OCTETS[:at] + bytes((value,)) + OCTETS[at + 1 :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (OCTETS[:23], Discard.LENGTH),
        (b"", Discard.LENGTH),
        (changed(0, 0x01), Discard.VERSION),
        (changed(0, 0x41), Discard.VERSION),
        (changed(3, 23), Discard.LENGTH),
        (changed(3, 25), Discard.LENGTH),
        (changed(1, 0xE4), Discard.LENGTH),  # the A bit needs at least 26 octets
        (changed(2, 0), Discard.MULTIPLIER),
        (changed(1, 0xE1), Discard.MULTIPOINT),
        (OCTETS[:4] + bytes(4) + OCTETS[8:], Discard.MY_DISCRIMINATOR),
        (OCTETS[:8] + bytes(4) + OCTETS[12:], Discard.STATE),
        (PACKET._replace(state=State.INIT, your_discriminator=0).encode(), Discard.STATE),
    ],
)
def test_what_the_rules_refuse(data: bytes, reason: Discard) -> None:
    with pytest.raises(PacketError) as caught:
        decode(data)
    assert caught.value.reason is reason


@pytest.mark.parametrize("state", [State.DOWN, State.ADMIN_DOWN])
def test_a_first_packet_needs_no_discriminator_of_ours(state: State) -> None:
    packet = PACKET._replace(state=state, your_discriminator=0)
    assert decode(packet.encode()) == packet


def test_an_authenticated_packet_is_read_and_said_to_be_one() -> None:
    section = bytes.fromhex("0109017365637265 74")
    data = OCTETS[:1] + bytes((0xE4, 3, 24 + len(section))) + OCTETS[4:] + section
    assert decode(data).authenticated
