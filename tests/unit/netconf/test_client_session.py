import pytest
from lxml import etree

from rui.netconf import names
from rui.netconf.events import NotificationReceived, ReplyPart, ReplyReceived, SessionFailed
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


ENTRIES = "".join(f"<e>{number:05}é</e>" for number in range(900))


@pytest.mark.parametrize("version", [BOTH, ONLY_1_0])
@pytest.mark.parametrize("step", [1, 4096])
@pytest.mark.parametrize("front", ["", '<?xml version="1.0" encoding="UTF-8"?>\n<!-- > -->'])
def test_a_streamed_reply_comes_in_parts_that_are_its_bytes(
    version: tuple[str, ...], step: int, front: str
) -> None:
    pair = SessionPair.open(server=version, limits=Limits(max_message=5_000), step=step)
    plain, streamed = pair.client.send_rpc(GET), pair.client.send_rpc(GET, streamed=True)
    content = f"<data>{ENTRIES}</data>"
    raw = front.encode() + reply(streamed, content)
    events = pair.tell(reply(plain, "<data><a/></data>"), raw, chunk=2000)
    assert only(ReplyReceived, events).message_id == plain
    parts = [event for event in events if isinstance(event, ReplyPart)]
    assert b"".join(event.part for event in parts) == raw
    assert [event.last for event in parts] == [False] * (len(parts) - 1) + [True]
    assert max(len(event.part) for event in parts) < 5000
    assert pair.client.outstanding == 0
    # the bound holds again
    large = reply(pair.client.send_rpc(GET), content)
    assert "larger than 5000" in only(SessionFailed, pair.tell(large, chunk=2000)).reason


@pytest.mark.parametrize("content", ["<rpc-error/>", "<data/>", ""])
def test_a_short_or_bad_reply_to_a_streamed_rpc_is_one(pair: SessionPair, content: str) -> None:
    pair.step = 9
    message_id = pair.client.send_rpc(GET, streamed=True)
    raw = reply(message_id, content + "<!-- " + "x" * 20_000 + " -->")
    if content == "<data/>":
        raw = reply(message_id, content)
        pair.step = 4096
    assert only(ReplyReceived, pair.tell(raw)).raw == raw


def test_what_comes_beside_a_streamed_reply_is_as_ever(pair: SessionPair) -> None:
    pair.step = 11
    streamed, other = pair.client.send_rpc(GET, streamed=True), pair.client.send_rpc(GET)
    event = f'<notification xmlns="{names.NOTIFICATION}"><eventTime>2026-11-23T10:00:00Z</eventTime><a/>'
    events = pair.tell(
        f"{event}</notification>".encode(), reply(other, f"<data>{ENTRIES}</data>"), reply(streamed, ENTRIES)
    )
    assert only(NotificationReceived, events).content.tag == f"{{{names.NOTIFICATION}}}a"
    assert only(ReplyReceived, events).message_id == other
    assert {item.message_id for item in events if isinstance(item, ReplyPart)} == {streamed}


def test_of_an_abandoned_stream_nothing_more_is_told(pair: SessionPair) -> None:
    message_id = pair.client.send_rpc(GET, streamed=True)
    raw = reply(message_id, ENTRIES)
    framed = b"\n#%d\n%b" % (len(raw), raw)
    assert only(ReplyPart, pair.client.receive_data(framed[:3000], pair.now))
    pair.client.abandon(message_id)
    assert not pair.client.receive_data(framed[3000:] + b"\n##\n", pair.now)
    assert pair.client.outstanding == 0


def test_while_a_stream_is_due_other_messages_are_bounded_all_the_same() -> None:
    pair = SessionPair.open(limits=Limits(max_message=10_000), step=1000)
    other = pair.client.send_rpc(GET)
    pair.client.send_rpc(GET, streamed=True)
    assert "larger than 10000" in only(SessionFailed, pair.tell(reply(other, ENTRIES))).reason
