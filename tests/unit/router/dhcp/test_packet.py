"""The DHCP codec: every octet accounted for, and nothing but DhcpParseError for what is not DHCP."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dhcp import agent_information
from router.dhcp.packet import (
    HEADER_LENGTH,
    MINIMUM_LENGTH,
    Code,
    DhcpPacket,
    DhcpParseError,
    MessageType,
    Option,
    parse,
)
from tests.unit.router.dhcp.conversation import MAC, request

DISCOVER = request(MessageType.DISCOVER)
END = b"\xff"


def with_options(octets: bytes, *, sname: bytes = b"", file: bytes = b"") -> bytes:
    header = bytearray(DISCOVER[:HEADER_LENGTH])
    header[44 : 44 + len(sname)] = sname
    header[108 : 108 + len(file)] = file
    return bytes(header) + octets


def test_a_packet_survives_reading_and_writing() -> None:
    packet = parse(DISCOVER)

    assert (packet.xid, packet.chaddr, packet.message_type()) == (7, MAC, MessageType.DISCOVER)
    assert packet.build() == DISCOVER
    assert len(DISCOVER) == MINIMUM_LENGTH


@pytest.mark.parametrize(
    ("octets", "what", "octet"),
    [
        (DISCOVER[:239], "packet ends inside the 240-octet header", 239),
        (b"", "packet ends inside the 240-octet header", 0),
        (b"\x03" + DISCOVER[1:], "op 3 is neither request nor reply", 0),
        (DISCOVER[:2] + b"\x11" + DISCOVER[3:], "hardware address length 17 is above 16", 2),
        (DISCOVER[:236] + b"BOOT" + DISCOVER[240:], "no DHCP magic cookie", 236),
        (with_options(b"\x35\x01\x01"), "the options stops without the end option", 243),
        (with_options(b"\x35\x01\x01\x3d"), "option 61 in the options has no length", 243),
        (with_options(b"\x35\x05\x01" + END), "option 53 in the options claims 5 octets, 2 are left", 240),
        (with_options(b"\x34\x01\x09" + END), "overload option says 09", 240),
        (with_options(b"\x34\x00" + END), "overload option says nothing", 240),
        (
            with_options(b"\x00\x34\x01\x01" + END, file=b"\x0c\xc8host"),
            "option 12 in the file field claims 200 octets, 126 are left",
            108,
        ),
        (with_options(b"\x34\x01\x02" + END), "the sname field stops without the end option", 108),
    ],
)
def test_a_bad_packet_is_refused_with_its_place(octets: bytes, what: str, octet: int) -> None:
    with pytest.raises(DhcpParseError) as refused:
        parse(octets)

    assert (refused.value.what, refused.value.octet) == (what, octet)


def test_a_number_of_the_wrong_length_is_refused_with_its_place() -> None:
    packet = parse(with_options(b"\x00\x00\x33\x02\x0e\x10" + END))

    with pytest.raises(DhcpParseError, match="option 51 has 2 octets instead of 4 at octet 242"):
        packet.number(Code.LEASE_TIME, 4)


def test_a_long_option_is_split_and_joined_again() -> None:
    packet = DhcpPacket(chaddr=MAC)
    packet.put(43, bytes(range(256)) * 3)

    again = parse(packet.build())

    assert [len(option.data) for option in again.options] == [255, 255, 255, 3]
    assert again.get(43) == bytes(range(256)) * 3


def test_options_in_file_and_sname_are_joined_in_the_order_of_rfc_3396() -> None:
    octets = with_options(
        b"\x0c\x01a\x34\x01\x03" + END, file=b"\x0c\x01b\x3d\x01x" + END, sname=b"\x0c\x01c" + END
    )

    packet = parse(octets)

    assert packet.get(12) == b"abc"
    assert packet.get(61) == b"x"
    assert packet.build()[:HEADER_LENGTH] == octets[:HEADER_LENGTH]


def test_an_option_is_taken_out_of_every_field() -> None:
    packet = parse(with_options(b"\x52\x01a\x34\x01\x01" + END, file=b"\x52\x01b\x0c\x01h" + END))

    packet.put(82, b"ours")

    again = parse(packet.build())
    assert again.get(82) == b"ours"
    assert again.options[-1].code == 82
    assert again.get(12) == b"h"


def test_file_and_sname_stay_untouched_without_overload() -> None:
    octets = with_options(END, file=b"pxelinux.0", sname=b"\x0c\x40boot")

    packet = parse(octets)

    assert packet.get(12) is None
    assert packet.build()[:HEADER_LENGTH] == octets[:HEADER_LENGTH]


@given(st.binary(max_size=600))
def test_any_octets_give_a_packet_or_a_place(octets: bytes) -> None:
    read_everything(octets)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x34\x01\x01", b"\x34\x01\x02", b"\x34\x01\x03"]))
def test_any_options_give_a_packet_or_a_place(octets: bytes, overload: bytes) -> None:
    read_everything(with_options(overload + octets, sname=octets[:64], file=octets[:128]))


def read_everything(octets: bytes) -> None:
    stopped_at = 0
    try:
        packet = parse(octets)
        packet.message_type()
        for code in range(256):
            packet.number(code, 4)
    except DhcpParseError as error:
        stopped_at = error.octet
    assert 0 <= stopped_at <= len(octets)


@given(st.integers(0, 300))
def test_a_packet_cut_short_is_refused_wherever_it_was_cut(length: int) -> None:
    octets = DISCOVER.rstrip(b"\x00")
    if length < len(octets):
        with pytest.raises(DhcpParseError):
            parse(octets[:length])


@given(st.lists(st.tuples(st.integers(1, 254), st.binary(max_size=255))))
def test_options_survive_writing_and_reading(options: list[tuple[int, bytes]]) -> None:
    wanted = [Option(code, data) for code, data in options if code != Code.OVERLOAD]

    found = parse(DhcpPacket(chaddr=MAC, options=wanted).build()).options

    assert [(o.code, o.data) for o in found] == [(o.code, o.data) for o in wanted]


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=60))))
def test_sub_options_survive_writing_and_reading(sub_options: list[tuple[int, bytes]]) -> None:
    assert agent_information.parse(agent_information.build(sub_options)) == sub_options


@given(st.binary(max_size=80))
def test_any_option_82_gives_sub_options_or_a_place(octets: bytes) -> None:
    stopped_at = -1
    try:
        sub_options = agent_information.parse(octets)
    except DhcpParseError as error:
        stopped_at = error.octet
    else:
        assert agent_information.build(sub_options) == octets
    assert stopped_at < max(1, len(octets))
