"""Whose option 82 the server sees [0134], and what a relay downstream gets back."""

from ipaddress import IPv4Address

from router.dhcp import agent_information
from router.dhcp.agent_information import Sub
from router.dhcp.packet import Code, MessageType, parse
from router.dhcp.values import (
    ClientSource,
    DownstreamPolicy,
    Dropped,
    Option82Policy,
    SendToRelay,
    SendToServer,
    SubscriberOnline,
)
from tests.unit.router.dhcp.conversation import (
    ADDRESS,
    GIADDR,
    MAC,
    PORT,
    SERVER,
    TRUSTED,
    Conversation,
    answer,
    config,
    only,
    request,
)

ACCESS_NODE = ClientSource(TRUSTED, ("0.0.0.0", 68))
DOWNSTREAM = IPv4Address("10.64.0.2")
BEHIND_A_RELAY = ClientSource(PORT, (str(DOWNSTREAM), 67), unicast=True)
THEIRS = agent_information.build(
    [(1, b"dslam-4 atm 1/2:0.35"), (2, b"line-17"), (9, b"\x01\x02"), (11, b"\x01\x02\x03\x04")]
)
REQUEST = request(MessageType.REQUEST, asks_for=ADDRESS, option_82=THEIRS)


def sub_options(packet: bytes) -> list[tuple[int, bytes]]:
    return agent_information.parse(parse(packet).get(Code.AGENT_INFORMATION) or b"")


def test_keep_leaves_the_access_nodes_sub_options_and_adds_our_identifier() -> None:
    talk = Conversation(settings=config(option82=Option82Policy.KEEP))
    asked = only(talk.client(REQUEST, ACCESS_NODE), SendToServer)

    facts = only(talk.server(answer(asked.payload, MessageType.ACK)), SubscriberOnline).facts

    assert sub_options(asked.payload) == [
        (1, b"dslam-4 atm 1/2:0.35"),
        (2, b"line-17"),
        (9, b"\x01\x02"),
        (Sub.SERVER_ID_OVERRIDE, GIADDR.packed),
    ]
    assert (facts.circuit_id, facts.remote_id) == (b"dslam-4 atm 1/2:0.35", b"line-17")


def test_regenerate_puts_ours_in_place_of_the_access_nodes() -> None:
    talk = Conversation(settings=config(option82=Option82Policy.REGENERATE))

    asked = only(talk.client(REQUEST, ACCESS_NODE), SendToServer)

    assert sub_options(asked.payload) == [
        (Sub.CIRCUIT_ID, b"home/port-2:0.0"),
        (Sub.REMOTE_ID, b"02:00:00:00:00:01"),
        (Sub.SERVER_ID_OVERRIDE, GIADDR.packed),
    ]


def test_keep_makes_ours_where_there_is_none() -> None:
    talk = Conversation(settings=config(option82=Option82Policy.KEEP))

    asked = only(talk.client(request(MessageType.DISCOVER)), SendToServer)

    assert sub_options(asked.payload)[0] == (Sub.CIRCUIT_ID, b"home/port-1:100.7")


def test_a_lying_option_82_is_dropped_with_its_place() -> None:
    packet = request(MessageType.DISCOVER, option_82=b"\x01\x20short")

    dropped = only(Conversation().client(packet, ACCESS_NODE), Dropped)

    assert dropped.reason == "malformed"
    assert "sub-option 1 of option 82 claims 32 octets where 5 are left at octet 0" in dropped.detail


def test_an_option_82_that_grows_past_255_octets_is_dropped() -> None:
    talk = Conversation(settings=config(option82=Option82Policy.KEEP))
    packet = request(MessageType.DISCOVER, option_82=agent_information.build([(1, b"x" * 250)]))

    assert only(talk.client(packet, ACCESS_NODE), Dropped).reason == "option-82-too-long"


def test_a_relay_downstream_is_proxied_and_gets_its_own_option_82_back() -> None:
    talk = Conversation(settings=config(downstream=DownstreamPolicy.PROXY, option82=Option82Policy.KEEP))
    packet = request(MessageType.REQUEST, asks_for=ADDRESS, option_82=THEIRS, giaddr=DOWNSTREAM, hops=1)

    asked = only(talk.client(packet, BEHIND_A_RELAY), SendToServer)
    online = only(talk.server(answer(asked.payload, MessageType.ACK)), SubscriberOnline)

    assert parse(asked.payload).giaddr == int(GIADDR)
    assert (Sub.LINK_SELECTION, DOWNSTREAM.packed) in sub_options(asked.payload)
    assert isinstance(online.reply, SendToRelay)
    assert online.reply.address == DOWNSTREAM
    back = parse(online.reply.payload)
    assert (back.giaddr, back.get(Code.AGENT_INFORMATION)) == (int(DOWNSTREAM), THEIRS)


def test_a_relay_downstream_without_option_82_gets_none_back() -> None:
    talk = Conversation(settings=config(downstream=DownstreamPolicy.PROXY))
    packet = request(MessageType.DISCOVER, giaddr=DOWNSTREAM, hops=1)

    asked = only(talk.client(packet, BEHIND_A_RELAY), SendToServer)
    sent = only(talk.server(answer(asked.payload, MessageType.OFFER)), SendToRelay)

    assert parse(sent.payload).get(Code.AGENT_INFORMATION) is None
    assert parse(sent.payload).chaddr == MAC


def test_forwarding_for_a_relay_downstream_changes_only_the_hops() -> None:
    talk = Conversation(settings=config(downstream=DownstreamPolicy.FORWARD))
    packet = request(MessageType.DISCOVER, option_82=THEIRS, giaddr=DOWNSTREAM, hops=1)

    sent = only(talk.client(packet, BEHIND_A_RELAY), SendToServer)

    relayed = parse(sent.payload)
    assert (sent.address, relayed.hops, relayed.giaddr) == (SERVER, 2, int(DOWNSTREAM))
    assert relayed.get(Code.AGENT_INFORMATION) == THEIRS
    assert talk.relay.pending == 0
