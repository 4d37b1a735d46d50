"""A crowd's DHCP: two real clients' worth of exchanges, by packets and literal times."""

from ipaddress import IPv4Address

from router.dhcp.packet import BOOTREPLY, Code, DhcpPacket, MessageType, parse
from rui_cli.lab.crowdlogins import ASK_AGAIN, TRIES, Logins

HEADERS = 14 + 20 + 8
MAC = b"\x02\x00\x00\x00\x00\x01"
ADDRESS, SERVER = IPv4Address("10.64.1.5"), IPv4Address("10.64.0.1")


def read(frame: bytes) -> DhcpPacket:
    return parse(frame[HEADERS:])


def answer(frame: bytes, kind: MessageType, *, xid: int | None = None) -> bytes:
    asked = read(frame)
    packet = DhcpPacket(
        BOOTREPLY,
        xid=asked.xid if xid is None else xid,
        yiaddr=int(ADDRESS),
        chaddr=asked.chaddr,
    )
    packet.put(Code.MESSAGE_TYPE, bytes([kind]))
    packet.put(Code.SERVER_IDENTIFIER, SERVER.packed)
    return packet.build()


def online(logins: Logins) -> None:
    (discover,) = logins.login(1.0)
    (request,) = logins.receive(answer(discover, MessageType.OFFER), 1.1)
    assert logins.receive(answer(request, MessageType.ACK), 1.2) == []


def test_a_login_is_four_messages() -> None:
    logins = Logins([MAC], 25)

    (discover,) = logins.login(1.0)
    (request,) = logins.receive(answer(discover, MessageType.OFFER), 1.1)
    logins.receive(answer(request, MessageType.ACK), 1.2)

    assert discover[:14] == b"\xff" * 6 + MAC + b"\x08\x00"
    assert read(discover).message_type() == MessageType.DISCOVER
    assert read(request).message_type() == MessageType.REQUEST
    assert read(request).get(Code.REQUESTED_ADDRESS) == ADDRESS.packed
    assert read(request).get(Code.SERVER_IDENTIFIER) == SERVER.packed
    assert logins.given() == [[ADDRESS]]
    assert logins.next_deadline() is None


def test_a_renewal_goes_to_the_server_alone() -> None:
    logins = Logins([MAC], 25)
    online(logins)

    (request,) = logins.renew(9.0)

    assert request[:6] == b"\x00\x00\x5e\x00\x01\x33"
    assert request[14 + 12 : 14 + 20] == ADDRESS.packed + SERVER.packed
    assert read(request).ciaddr == int(ADDRESS)
    assert read(request).get(Code.REQUESTED_ADDRESS) is None
    logins.receive(answer(request, MessageType.ACK), 9.1)
    assert logins.given() == [[ADDRESS, ADDRESS]]


def test_whoever_has_no_address_does_not_renew() -> None:
    assert Logins([MAC], 25).renew(1.0) == []


def test_an_offer_that_leads_nowhere_begins_anew() -> None:
    logins = Logins([MAC], 25)
    (discover,) = logins.login(1.0)
    logins.receive(answer(discover, MessageType.OFFER), 1.5)

    assert logins.handle_timer(1.0 + ASK_AGAIN) == []
    (again,) = logins.handle_timer(1.5 + ASK_AGAIN)

    assert read(again).message_type() == MessageType.DISCOVER


def test_a_refused_renewal_is_a_login_again() -> None:
    logins = Logins([MAC], 25)
    online(logins)
    (request,) = logins.renew(9.0)

    (discover,) = logins.receive(answer(request, MessageType.NAK), 9.1)

    assert read(discover).message_type() == MessageType.DISCOVER
    assert read(discover).xid != read(request).xid


def test_answers_to_others_and_to_earlier_questions_change_nothing() -> None:
    logins = Logins([MAC], 25)
    (discover,) = logins.login(1.0)

    assert logins.receive(answer(discover, MessageType.OFFER, xid=0xABCDEF), 1.1) == []
    assert logins.receive(b"no packet", 1.1) == []
    assert logins.receive(answer(discover, MessageType.ACK), 1.1) == []
    assert logins.given() == [[]]


def test_only_so_many_ask_at_once() -> None:
    logins = Logins([number.to_bytes(6, "big") for number in range(8)], 5)

    frames = logins.login(1.0)
    assert len(frames) == 5
    (request,) = logins.receive(answer(frames[0], MessageType.OFFER), 1.1)
    (after,) = logins.receive(answer(request, MessageType.ACK), 1.2)

    assert read(after).chaddr == (5).to_bytes(6, "big")


def test_nobody_asks_for_ever() -> None:
    logins = Logins([MAC], 25)
    asked, now = len(logins.login(1.0)), 1.0
    while (due := logins.next_deadline()) is not None:
        assert due > now
        now = due
        asked += len(logins.handle_timer(now))

    assert asked == TRIES
