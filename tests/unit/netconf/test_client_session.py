import pytest
from lxml import etree

from rui.netconf import names
from rui.netconf.events import NotificationReceived, ReplyReceived, SessionFailed
from rui.netconf.session import Limits, SessionStateError
from tests.unit.netconf.pair import BOTH, ONLY_1_0, SessionPair, only

GET = f'<get xmlns="{names.BASE}"/>'.encode()


@pytest.fixture
def pair() -> SessionPair:
    return SessionPair.open()


def reply(message_id: str | None, content: str = "<ok/>") -> bytes:
    attribute = "" if message_id is None else f' message-id="{message_id}"'
    return f'<rpc-reply xmlns="{names.BASE}"{attribute}>{content}</rpc-reply>'.encode()


def test_pipelined_replies_are_told_apart_by_message_id(pair: SessionPair) -> None:
    ids = [pair.client.send_rpc(GET) for _ in range(3)]
    assert len(set(ids)) == 3
    for message_id in reversed(ids):
        assert only(ReplyReceived, pair.tell(reply(message_id))).message_id == message_id
    assert pair.client.outstanding == 0


def test_a_reply_comes_with_its_bytes(pair: SessionPair) -> None:
    raw = reply(pair.client.send_rpc(GET), '<data><user xmlns="urn:u">\u00e9 </user></data>')
    event = only(ReplyReceived, pair.tell(raw))
    assert event.raw == raw
    assert event.reply.findtext(".//{urn:u}user") == "\u00e9 "


def test_an_operation_is_sent_as_its_own_bytes(pair: SessionPair) -> None:
    pieces = [b'<get  xmlns="', names.BASE.encode(), b'"  />']
    rpc = pair.ask(b"".join(pieces))
    assert b"".join(pieces) in rpc.raw
    pair.client.send_rpc(pieces)
    pair.client.send_rpc(etree.Element(names.base("get")))
    operations = [event.operation.tag for event in pair.exchange()[1]]  # type: ignore[union-attr]
    assert operations == [names.base("get")] * 2


@pytest.mark.parametrize("message_id", ["77", "", "1 ", "x" * 5000])
def test_a_reply_to_no_rpc_of_ours_ends_the_session(pair: SessionPair, message_id: str) -> None:
    pair.client.send_rpc(GET)
    reason = only(SessionFailed, pair.tell(reply(message_id))).reason
    assert "answers no rpc of ours" in reason
    assert len(reason) < 200


def test_a_second_reply_ends_the_session(pair: SessionPair) -> None:
    message_id = pair.client.send_rpc(GET)
    pair.tell(reply(message_id))
    assert only(SessionFailed, pair.tell(reply(message_id)))


def test_an_error_without_message_id_answers_the_oldest_rpc(pair: SessionPair) -> None:
    oldest, _ = pair.client.send_rpc(GET), pair.client.send_rpc(GET)
    assert only(ReplyReceived, pair.tell(reply(None, "<rpc-error/>"))).message_id == oldest


@pytest.mark.parametrize("content", ["<ok/>", "<rpc-error/>"])
def test_a_reply_without_message_id_and_without_rpc_ends_the_session(pair: SessionPair, content: str) -> None:
    assert "no message-id" in only(SessionFailed, pair.tell(reply(None, content))).reason


def test_an_abandoned_reply_is_dropped(pair: SessionPair) -> None:
    message_id = pair.client.send_rpc(GET)
    pair.client.abandon(message_id)
    assert pair.client.outstanding == 1
    assert pair.tell(reply(message_id)) == []
    assert pair.client.outstanding == 0
    pair.client.abandon(message_id)


def test_rpcs_without_reply_are_bounded() -> None:
    pair = SessionPair.open(limits=Limits(max_outstanding=2))
    first = pair.client.send_rpc(GET)
    pair.client.send_rpc(GET)
    with pytest.raises(SessionStateError, match="2 rpcs wait"):
        pair.client.send_rpc(GET)
    pair.tell(reply(first))
    pair.client.send_rpc(GET)


def test_a_notification_comes_between_replies(pair: SessionPair) -> None:
    raw = (
        f'<notification xmlns="{names.NOTIFICATION}"><eventTime>2026-11-23T00:00:00Z</eventTime>'
        '<event xmlns="urn:e"/></notification>'
    ).encode()
    event = only(NotificationReceived, pair.tell(raw))
    assert (event.event_time, event.content.tag, event.raw) == ("2026-11-23T00:00:00Z", "{urn:e}event", raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"<rpc-reply", "well-formed"),
        (b"<unknown/>", "neither rpc-reply nor notification"),
        (f'<rpc xmlns="{names.BASE}"/>'.encode(), "neither rpc-reply nor notification"),
        (b'<rpc-reply message-id="1"/>', "neither rpc-reply nor notification"),
        (f'<notification xmlns="{names.NOTIFICATION}"/>'.encode(), "eventTime"),
        (b"<!DOCTYPE a><a/>", "document type"),
    ],
)
def test_a_message_that_makes_no_sense_ends_the_session(pair: SessionPair, raw: bytes, reason: str) -> None:
    assert reason in only(SessionFailed, pair.tell(raw)).reason


def test_an_operation_that_the_framing_cannot_carry_is_refused_and_nothing_is_sent() -> None:
    pair = SessionPair.open(client=ONLY_1_0, server=BOTH)
    with pytest.raises(ValueError, match="end-of-message"):
        pair.client.send_rpc(b'<get xmlns="urn:g" a="]]>]]>"/>')
    assert pair.client.data_to_send() == b""
    assert pair.client.outstanding == 0
