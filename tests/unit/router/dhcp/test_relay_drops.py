"""What the relay lets go no further: each dropped, counted, and said with its place."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dhcp.packet import Code, DhcpPacket, MessageType
from router.dhcp.relay import Relay
from router.dhcp.values import (
    Dropped,
    SendToServer,
)
from tests.unit.router.dhcp.conversation import (
    ADDRESS,
    FROM_CLIENT,
    GIADDR,
    MAC,
    OTHER_SERVER,
    SERVER,
    Conversation,
    Table,
    answer,
    config,
    only,
    request,
)

DISCOVER, REQUEST = MessageType.DISCOVER, MessageType.REQUEST
ELSEWHERE = IPv4Address("10.64.9.9")


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (request(DISCOVER)[:100], "malformed"),
        (DhcpPacket(chaddr=MAC).build(), "not-a-client-message"),
        (request(MessageType.OFFER), "not-a-client-message"),
        (request(DISCOVER, mac=b"\x01" * 8), "not-ethernet"),
        (request(DISCOVER, hops=4), "too-many-hops"),
        (request(DISCOVER, giaddr=GIADDR), "giaddr-spoofed"),
        (request(DISCOVER, giaddr=ELSEWHERE), "downstream-relay-refused"),
        (request(DISCOVER, option_82=b"\x01\x01x"), "option-82-untrusted"),
    ],
)
def test_what_must_not_be_relayed_is_dropped_and_counted(packet: bytes, reason: str) -> None:
    talk = Conversation()

    assert only(talk.client(packet), Dropped).reason == reason
    assert talk.relay.drops[reason] == 1
    assert talk.relay.pending == 0


def test_a_cut_packet_is_reported_with_its_place() -> None:
    dropped = only(Conversation().client(request(DISCOVER)[:250]), Dropped)

    assert dropped.detail == (
        "from the access side: option 61 in the options claims 7 octets, 5 are left at octet 243"
    )


def wrong_giaddr(packet: DhcpPacket) -> None:
    packet.giaddr = int(ELSEWHERE)


def wrong_option_82(packet: DhcpPacket) -> None:
    packet.put(Code.AGENT_INFORMATION, b"\x01\x05other")


def wrong_transaction(packet: DhcpPacket) -> None:
    packet.xid += 1


def a_request(packet: DhcpPacket) -> None:
    packet.op = 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (wrong_giaddr, "not-for-this-relay"),
        (wrong_option_82, "option-82-not-ours"),
        (wrong_transaction, "no-transaction"),
        (a_request, "not-a-server-message"),
        (lambda packet: packet.remove(Code.LEASE_TIME), "ack-without-lease"),
        (lambda packet: packet.put(Code.LEASE_TIME, b"\x01"), "malformed"),
    ],
)
def test_an_answer_that_is_not_for_a_request_of_ours_is_dropped(change: object, reason: str) -> None:
    talk = Conversation()
    asked = only(talk.client(request(REQUEST, asks_for=ADDRESS)), SendToServer)

    outputs = talk.server(answer(asked.payload, MessageType.ACK, change=change))  # type: ignore[arg-type]

    assert only(outputs, Dropped).reason == reason
    assert talk.events == []


def test_only_configured_servers_are_heard() -> None:
    talk = Conversation()
    asked = only(talk.client(request(REQUEST, asks_for=ADDRESS)), SendToServer)

    assert only(talk.server(answer(asked.payload, MessageType.ACK), OTHER_SERVER), Dropped).reason == (
        "unknown-server"
    )


@given(st.binary(max_size=500), st.booleans())
def test_no_packet_makes_the_relay_raise(octets: bytes, cut_a_real_one: bool) -> None:
    relay = Relay(config(), Table())
    packet = octets if not cut_a_real_one else request(DISCOVER)[:243] + octets

    assert relay.receive_client(packet, FROM_CLIENT, 1.0)
    assert relay.receive_server(packet, (str(SERVER), 67), 1.0)
