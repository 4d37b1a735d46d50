"""The relay's core: a user gets online, renews, and leaves; the packets are as the RFCs want them."""

import math
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dhcp import agent_information
from router.dhcp.agent_information import Sub
from router.dhcp.packet import BROADCAST_FLAG, INFINITE_LEASE, Code, MessageType, parse
from router.dhcp.values import (
    ClientSource,
    Dropped,
    HeldLease,
    RelayConfigError,
    SendToClient,
    SendToServer,
    SubscriberOffline,
    SubscriberOnline,
    SubscriberRenewed,
)
from tests.unit.router.dhcp.conversation import (
    ADDRESS,
    GIADDR,
    KEY,
    MAC,
    OTHER_SERVER,
    SERVER,
    UNICAST,
    Conversation,
    Table,
    answer,
    config,
    only,
    request,
)

DISCOVER, REQUEST = MessageType.DISCOVER, MessageType.REQUEST
ELSEWHERE = IPv4Address("10.64.9.9")


def test_a_request_gets_our_giaddr_one_hop_and_our_option_82_last() -> None:
    sent = only(Conversation().client(request(DISCOVER)), SendToServer)

    packet = parse(sent.payload)
    assert sent.address == SERVER
    assert (packet.giaddr, packet.hops) == (int(GIADDR), 1)
    assert packet.options[-1].code == Code.AGENT_INFORMATION
    assert agent_information.parse(packet.get(Code.AGENT_INFORMATION) or b"") == [
        (Sub.CIRCUIT_ID, b"home/port-1:100.7"),
        (Sub.REMOTE_ID, b"02:00:00:00:00:01"),
        (Sub.SERVER_ID_OVERRIDE, GIADDR.packed),
    ]


def test_an_offer_goes_to_the_address_it_offers_without_option_82_and_from_us() -> None:
    talk = Conversation()
    asked = only(talk.client(request(DISCOVER)), SendToServer)

    sent = only(talk.server(answer(asked.payload, MessageType.OFFER)), SendToClient)

    packet = parse(sent.payload)
    assert (sent.mac, sent.ip, sent.broadcast) == (MAC, ADDRESS, False)
    assert packet.get(Code.AGENT_INFORMATION) is None
    assert packet.get(Code.SERVER_IDENTIFIER) == GIADDR.packed


def test_an_acknowledged_user_is_online_with_all_facts_and_the_ack_is_parked() -> None:
    talk = Conversation(now=50.0)
    asked = only(talk.client(request(REQUEST, asks_for=ADDRESS, server=GIADDR)), SendToServer)

    outputs = talk.server(answer(asked.payload, MessageType.ACK, lease_time=600))

    online = only(outputs, SubscriberOnline)
    facts = online.facts
    assert outputs == [online]
    assert (online.key, facts.key) == (KEY, KEY)
    assert (facts.mac, facts.outer_vlan, facts.inner_vlan) == ("02:00:00:00:00:01", 100, 7)
    assert (facts.ipv4, facts.server, facts.pool) == (ADDRESS, SERVER, "homes")
    assert (facts.start, facts.lease_time, facts.expiry) == (50.0, 600, 650.0)
    assert (facts.interface, facts.logical_port) == ("eth1", "port-1")
    assert (facts.circuit_id, facts.remote_id) == (b"home/port-1:100.7", b"02:00:00:00:00:01")
    assert facts.option_82 == parse(asked.payload).get(Code.AGENT_INFORMATION)
    assert facts.client_id == b"\x01" + MAC
    assert isinstance(online.reply, SendToClient)
    assert parse(online.reply.payload).message_type() == MessageType.ACK
    assert talk.relay.pending == 0


def test_an_address_outside_all_pools_has_no_pool() -> None:
    talk = Conversation(settings=config(pools=()))
    talk.get_online()
    asked = only(talk.client(request(REQUEST, ciaddr=ADDRESS), UNICAST), SendToServer)

    assert only(talk.server(answer(asked.payload, MessageType.ACK)), SubscriberRenewed).facts.pool == ""


def test_the_servers_own_identifier_is_put_back_towards_it() -> None:
    talk = Conversation()
    asked = only(talk.client(request(DISCOVER)), SendToServer)
    talk.server(answer(asked.payload, MessageType.OFFER, server=IPv4Address("198.51.100.9")))

    asked = only(talk.client(request(REQUEST, asks_for=ADDRESS, server=GIADDR)), SendToServer)

    packet = parse(asked.payload)
    assert packet.get(Code.SERVER_IDENTIFIER) == IPv4Address("198.51.100.9").packed
    assert packet.options[-1].code == Code.AGENT_INFORMATION


def test_a_server_that_heeds_the_override_gets_our_identifier() -> None:
    talk = Conversation()
    asked = only(talk.client(request(DISCOVER)), SendToServer)
    talk.server(answer(asked.payload, MessageType.OFFER, server=GIADDR))

    asked = only(talk.client(request(REQUEST, asks_for=ADDRESS, server=GIADDR)), SendToServer)

    assert parse(asked.payload).get(Code.SERVER_IDENTIFIER) == GIADDR.packed


def test_a_release_right_after_a_restart_names_the_server_by_its_address() -> None:
    talk = Conversation(table=Table({KEY: HeldLease(ADDRESS, 99.0)}))

    sent = only(
        talk.client(request(MessageType.RELEASE, ciaddr=ADDRESS, server=GIADDR), UNICAST), SendToServer
    )

    assert parse(sent.payload).get(Code.SERVER_IDENTIFIER) == SERVER.packed


def test_a_request_that_chose_a_server_we_do_not_speak_for_keeps_its_identifier() -> None:
    asked = only(Conversation().client(request(REQUEST, asks_for=ADDRESS, server=ELSEWHERE)), SendToServer)

    assert parse(asked.payload).get(Code.SERVER_IDENTIFIER) == ELSEWHERE.packed


def test_a_renewal_extends_the_lease_and_is_unicast_to_the_client() -> None:
    talk = Conversation()
    talk.get_online(lease_time=100)
    talk.now = 60.0

    renewed = talk.renew(lease_time=100)

    assert renewed.facts.expiry == 160.0
    assert isinstance(renewed.reply, SendToClient)
    assert (renewed.reply.ip, renewed.reply.broadcast) == (ADDRESS, False)
    assert talk.timer(101.0) == []
    assert only(talk.timer(160.0), SubscriberOffline).reason == "expired"


def test_a_renewal_goes_to_the_server_of_the_lease_and_a_rebinding_to_all() -> None:
    talk = Conversation(settings=config(servers=(SERVER, OTHER_SERVER)))
    talk.table[KEY] = HeldLease(ADDRESS, 99.0, OTHER_SERVER)

    renewal = talk.client(request(REQUEST, ciaddr=ADDRESS), UNICAST)
    rebinding = talk.client(request(REQUEST, ciaddr=ADDRESS))

    assert [sent.address for sent in renewal if isinstance(sent, SendToServer)] == [OTHER_SERVER]
    assert [sent.address for sent in rebinding if isinstance(sent, SendToServer)] == [SERVER, OTHER_SERVER]


def test_a_rebinding_is_followed_like_a_renewal() -> None:
    talk = Conversation()
    talk.get_online()
    asked = only(talk.client(request(REQUEST, ciaddr=ADDRESS, flags=BROADCAST_FLAG)), SendToServer)

    reply = only(talk.server(answer(asked.payload, MessageType.ACK)), SubscriberRenewed).reply

    assert isinstance(reply, SendToClient)
    assert (reply.ip, reply.broadcast) == (ADDRESS, False)


def test_another_address_is_a_new_login() -> None:
    talk = Conversation()
    talk.get_online()
    asked = only(talk.client(request(REQUEST, asks_for=ELSEWHERE)), SendToServer)

    online = only(talk.server(answer(asked.payload, MessageType.ACK, address=ELSEWHERE)), SubscriberOnline)

    assert online.facts.ipv4 == ELSEWHERE


def test_the_offer_that_was_taken_decides_which_server_hears_it() -> None:
    talk = Conversation(settings=config(servers=(SERVER, OTHER_SERVER)))
    first, second = (out for out in talk.client(request(DISCOVER)) if isinstance(out, SendToServer))
    talk.server(answer(first.payload, MessageType.OFFER), SERVER)
    talk.server(answer(second.payload, MessageType.OFFER, address=ELSEWHERE), OTHER_SERVER)

    asked = only(talk.client(request(REQUEST, asks_for=ELSEWHERE, server=GIADDR)), SendToServer)

    assert asked.address == OTHER_SERVER


def test_a_client_that_wants_broadcasts_gets_them() -> None:
    talk = Conversation()
    asked = only(talk.client(request(DISCOVER, flags=BROADCAST_FLAG)), SendToServer)

    assert only(talk.server(answer(asked.payload, MessageType.OFFER)), SendToClient).broadcast


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (request(MessageType.RELEASE, ciaddr=ADDRESS, server=GIADDR), "released"),
        (request(MessageType.DECLINE, asks_for=ADDRESS, server=GIADDR), "declined"),
    ],
)
def test_a_user_who_gives_the_lease_back_is_gone_and_the_server_told(packet: bytes, reason: str) -> None:
    talk = Conversation()
    talk.get_online()

    outputs = talk.client(packet, UNICAST)

    assert only(outputs, SubscriberOffline) == SubscriberOffline(KEY, reason)
    assert parse(only(outputs, SendToServer).payload).get(Code.SERVER_IDENTIFIER) == SERVER.packed
    assert talk.relay.pending == 0


def test_a_release_of_an_address_that_the_user_does_not_have_is_dropped() -> None:
    talk = Conversation()
    talk.get_online()

    outputs = talk.client(request(MessageType.RELEASE, ciaddr=ELSEWHERE, server=GIADDR))

    assert outputs == [Dropped("release-of-another-address", f"02:00:00:00:00:01 has {ADDRESS}")]
    assert KEY in talk.table


def test_a_release_of_a_user_unknown_here_still_reaches_the_server() -> None:
    outputs = Conversation().client(request(MessageType.RELEASE, ciaddr=ADDRESS, server=GIADDR))

    assert [type(output) for output in outputs] == [SendToServer]


def test_a_user_whom_the_server_refuses_is_gone_and_told_by_broadcast() -> None:
    talk = Conversation()
    talk.get_online()
    asked = only(talk.client(request(REQUEST, ciaddr=ADDRESS), UNICAST), SendToServer)

    outputs = talk.server(answer(asked.payload, MessageType.NAK))

    assert only(outputs, SubscriberOffline) == SubscriberOffline(KEY, "refused")
    assert only(outputs, SendToClient).broadcast


def test_a_refusal_of_another_address_leaves_the_lease_alone() -> None:
    talk = Conversation()
    talk.get_online()
    asked = only(talk.client(request(REQUEST, asks_for=ELSEWHERE)), SendToServer)

    outputs = talk.server(answer(asked.payload, MessageType.NAK))

    assert [type(output) for output in outputs] == [SendToClient]
    assert KEY in talk.table


def test_a_refused_login_leaves_no_user_behind() -> None:
    talk = Conversation()
    asked = only(talk.client(request(REQUEST, asks_for=ADDRESS, server=GIADDR)), SendToServer)

    talk.server(answer(asked.payload, MessageType.NAK))

    assert talk.events == []
    assert not talk.table


def test_one_refusal_waits_for_the_server_that_may_hold_the_lease() -> None:
    talk = Conversation(settings=config(servers=(SERVER, OTHER_SERVER)))
    first, second = (
        out for out in talk.client(request(REQUEST, asks_for=ADDRESS)) if isinstance(out, SendToServer)
    )

    refused = only(talk.server(answer(first.payload, MessageType.NAK), SERVER), Dropped)
    outputs = talk.server(answer(second.payload, MessageType.ACK), OTHER_SERVER)

    assert refused.reason == "nak-while-others-may-ack"
    assert only(outputs, SubscriberOnline).facts.server == OTHER_SERVER


def test_an_inform_is_answered_and_makes_no_user() -> None:
    talk = Conversation()
    asked = only(talk.client(request(MessageType.INFORM, ciaddr=ADDRESS)), SendToServer)

    sent = only(
        talk.server(
            answer(asked.payload, MessageType.ACK, address=IPv4Address(0), lease_time=None),
        ),
        SendToClient,
    )

    assert (sent.ip, sent.broadcast) == (ADDRESS, False)
    assert not talk.table


def test_a_rapid_commit_is_a_login() -> None:
    talk = Conversation()
    asked = only(talk.client(request(DISCOVER)), SendToServer)

    assert only(talk.server(answer(asked.payload, MessageType.ACK)), SubscriberOnline).key == KEY


def test_a_lease_without_end_never_expires_until_it_gets_one() -> None:
    talk = Conversation()
    talk.get_online(lease_time=INFINITE_LEASE)

    assert talk.table[KEY].expiry == math.inf
    assert talk.relay.next_deadline() is None
    talk.renew(lease_time=100)
    assert only(talk.timer(101.0), SubscriberOffline).reason == "expired"


def test_a_new_primary_expires_nobody_before_one_renewal_period() -> None:
    talk = Conversation(table=Table({KEY: HeldLease(ADDRESS, 10.0)}))
    talk.relay.adopt([(KEY, 10.0)], hold_expiry_until=500.0)

    assert talk.relay.next_deadline() == 500.0
    assert talk.timer(499.0) == []
    assert only(talk.timer(500.0), SubscriberOffline) == SubscriberOffline(KEY, "expired")


def test_a_request_without_an_answer_is_given_up() -> None:
    talk = Conversation(settings=config(transaction_timeout=10.0))
    asked = only(talk.client(request(REQUEST, asks_for=ADDRESS)), SendToServer)
    assert talk.relay.next_deadline() == 11.0

    talk.timer(11.0)
    late = only(talk.server(answer(asked.payload, MessageType.ACK)), Dropped)

    assert late.reason == "no-transaction"
    assert talk.relay.drops["transaction-timeout"] == 1
    assert not talk.table


def test_the_oldest_transaction_goes_when_there_are_too_many() -> None:
    talk = Conversation(settings=config(transaction_limit=2))
    for xid in (1, 2, 3):
        asked = only(talk.client(request(DISCOVER, xid=xid)), SendToServer)

    assert talk.relay.pending == 2
    assert talk.relay.drops["transaction-table-full"] == 1
    assert only(talk.server(answer(asked.payload, MessageType.OFFER)), SendToClient)


def test_a_retransmission_takes_no_second_place() -> None:
    talk = Conversation(settings=config(transaction_limit=2))
    for _ in range(5):
        talk.client(request(DISCOVER))

    assert (talk.relay.pending, talk.relay.drops["transaction-table-full"]) == (1, 0)


def test_a_server_that_returns_no_option_82_still_serves() -> None:
    talk = Conversation()
    asked = only(talk.client(request(REQUEST, asks_for=ADDRESS)), SendToServer)
    acknowledged = answer(
        asked.payload, MessageType.ACK, change=lambda packet: packet.remove(Code.AGENT_INFORMATION)
    )

    assert only(talk.server(acknowledged), SubscriberOnline).facts.circuit_id == b"home/port-1:100.7"


def test_option_82_stays_away_when_there_is_no_room_for_it() -> None:
    talk = Conversation(settings=config(packet_limit=299))

    sent = only(talk.client(request(DISCOVER)), SendToServer)

    assert parse(sent.payload).get(Code.AGENT_INFORMATION) is None
    assert talk.relay.messages["option-82-left-out"] == 1


def test_messages_are_counted_by_type() -> None:
    talk = Conversation()
    talk.get_online()
    talk.renew()

    assert talk.relay.messages == {
        "client-discover": 1,
        "server-offer": 1,
        "client-request": 2,
        "server-ack": 2,
    }


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"servers": ()}, "name at least one DHCP server"),
        ({"ports": ()}, "name at least one access interface"),
        ({"servers": (GIADDR,)}, "must be an address of the router itself"),
        ({"hops_limit": 17}, "the hops limit is 1 to 16, not 17"),
        ({"circuit_id": "{interface}"}, "no field is called 'interface'"),
        ({"remote_id": "{mac"}, "a brace has no partner"),
        ({"remote_id": "x" * 120}, "makes more than 119 octets on interface eth1"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(RelayConfigError, match=complaint):
        config(**changes)


@given(st.lists(st.sampled_from(["login", "renew", "release", "refuse", "wait"]), max_size=30))
def test_the_table_follows_any_story(story: list[str]) -> None:
    talk = Conversation()
    online_until = -1.0
    for step in story:
        is_online = talk.now < online_until
        if step == "wait":
            talk.timer(talk.now + 40)
        elif step == "login" and not is_online:
            talk.get_online(lease_time=100)
            online_until = talk.now + 100
        elif step == "renew" and is_online:
            talk.renew(lease_time=100)
            online_until = talk.now + 100
        elif step == "release":
            talk.client(request(MessageType.RELEASE, ciaddr=ADDRESS, server=GIADDR), UNICAST)
            online_until = -1.0
        elif step == "refuse":
            asked = only(
                talk.client(request(REQUEST, ciaddr=ADDRESS), ClientSource(UNICAST.port, ("", 0))),
                SendToServer,
            )
            talk.server(answer(asked.payload, MessageType.NAK))
            online_until = -1.0
        talk.timer(talk.now)
        assert (KEY in talk.table) == (talk.now < online_until)


def test_a_virtual_address_of_its_own_is_what_the_clients_see() -> None:
    virtual = IPv4Address("10.64.0.254")
    talk = Conversation(settings=config(virtual_address=virtual))
    asked = only(talk.client(request(DISCOVER)), SendToServer)
    sent = only(talk.server(answer(asked.payload, MessageType.OFFER)), SendToClient)
    chosen = only(talk.client(request(REQUEST, asks_for=ADDRESS, server=virtual)), SendToServer)

    assert parse(asked.payload).giaddr == int(GIADDR)
    assert parse(sent.payload).get(Code.SERVER_IDENTIFIER) == virtual.packed
    assert parse(chosen.payload).get(Code.SERVER_IDENTIFIER) == SERVER.packed
