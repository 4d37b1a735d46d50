import pytest
from lxml import etree

from rui.netconf import messages, names
from rui.netconf.errors import ErrorTag, RpcError
from rui.netconf.events import NotificationReceived, ReplyReceived, RpcReceived, SessionClosed, SessionFailed
from rui.netconf.session import Limits, SessionStateError
from rui.netconf.states import State
from tests.unit.netconf.pair import ONLY_1_0, SessionPair, none_of, only

GET = f'<get xmlns="{names.BASE}"/>'.encode()
EVENT = b'<event xmlns="urn:e"/>'
TIME = "2026-11-23T00:00:00Z"


@pytest.fixture
def pair() -> SessionPair:
    return SessionPair.open()


def rpc(attributes: str, content: str = "<get/>") -> bytes:
    return f'<rpc xmlns="{names.BASE}" {attributes}>{content}</rpc>'.encode()


def sent(pair: SessionPair) -> list[etree._Element]:
    """Return the messages that the server has queued, without their framing; none is larger than a chunk."""
    wire = pair.server.data_to_send()
    return [messages.MessageParser().parse(part.split(b"\n", 2)[2]) for part in wire.split(b"\n##\n")[:-1]]


def error_of(reply: etree._Element) -> RpcError:
    found = reply.find(names.RPC_ERROR)
    assert found is not None
    return RpcError.from_xml(found)


class TestRequests:
    def test_come_with_operation_attributes_and_bytes(self, pair: SessionPair) -> None:
        raw = rpc('message-id="a&lt;b" xmlns:x="urn:x" x:y="z"', "<!-- c --><get/>")
        event = only(RpcReceived, pair.say(raw))
        assert event.message_id == "a<b"
        assert event.attributes == {"message-id": "a<b", "{urn:x}y": "z"}
        assert event.operation.tag == names.base("get")
        assert event.raw == raw

    def test_are_answered_with_ok_by_default(self, pair: SessionPair) -> None:
        pair.server.send_reply(pair.ask())
        assert only(ReplyReceived, pair.exchange()[0]).reply[0].tag == names.OK

    def test_are_answered_with_pieces_as_they_are(self, pair: SessionPair) -> None:
        pair.server.send_reply(pair.ask(), [b"<data><a xm", b'lns="urn:a">\xc3', b"\xa9</a></data>"])
        event = only(ReplyReceived, pair.exchange()[0])
        assert b'<data><a xmlns="urn:a">\xc3\xa9</a></data>' in event.raw

    def test_are_answered_with_all_errors(self, pair: SessionPair) -> None:
        error = RpcError.missing_element("target")
        error.others = (RpcError.in_use("busy"),)
        pair.server.send_error(pair.ask(), error)
        reply = only(ReplyReceived, pair.exchange()[0]).reply
        tags = [RpcError.from_xml(found).tag for found in reply]
        assert tags == [ErrorTag.MISSING_ELEMENT, ErrorTag.IN_USE]

    def test_return_their_attributes_in_the_reply(self, pair: SessionPair) -> None:
        event = only(RpcReceived, pair.say(rpc('message-id="101" xmlns:ex="urn:ex" ex:user-id="fred"')))
        pair.server.send_reply(event)
        assert sorted(sent(pair)[0].attrib.items()) == [("message-id", "101"), ("{urn:ex}user-id", "fred")]

    def test_are_answered_in_their_order(self, pair: SessionPair) -> None:
        first, second = pair.ask(), pair.ask()
        with pytest.raises(SessionStateError, match="not the next to answer"):
            pair.server.send_reply(second)
        pair.server.send_reply(first)
        pair.server.send_reply(second)
        with pytest.raises(SessionStateError, match="not the next to answer"):
            pair.server.send_reply(second)


class TestWhatIsNoRequest:
    @pytest.mark.parametrize(
        "raw", [b"<rpc", b"<unknown/>", b"<rpc/>", b"\xff", b"<!DOCTYPE a><a/>", b'<hello xmlns="urn:x"/>']
    )
    def test_is_malformed_for_a_client_of_1_1(self, pair: SessionPair, raw: bytes) -> None:
        assert pair.say(raw) == []
        reply = sent(pair)[0]
        assert error_of(reply).tag == ErrorTag.MALFORMED_MESSAGE
        assert error_of(reply).message
        assert not reply.attrib
        assert pair.server.state is State.OPEN

    @pytest.mark.parametrize(
        ("raw", "found"),
        [(b"<rpc/>", "<rpc> in no namespace,"), (b'<a:rpc xmlns:a="urn:x"/>', "<rpc> in namespace 'urn:x',")],
    )
    def test_in_another_namespace_is_told_which(self, pair: SessionPair, raw: bytes, found: str) -> None:
        pair.say(raw)
        message = error_of(sent(pair)[0]).message or ""
        assert message.startswith(found)
        assert f"<rpc> in namespace '{names.BASE}' is expected" in message

    @pytest.mark.parametrize("raw", [b"<rpc", b"<unknown/>"])
    def test_ends_the_session_of_a_client_of_1_0(self, raw: bytes) -> None:
        pair = SessionPair.open(client=ONLY_1_0)
        assert "bad message from the client" in only(SessionFailed, pair.say(raw)).reason
        assert pair.server.data_to_send() == b""

    def test_lacks_a_message_id(self, pair: SessionPair) -> None:
        pair.say(rpc('user="fred"'))
        reply = sent(pair)[0]
        error = error_of(reply)
        assert (error.tag, error.error_type) == (ErrorTag.MISSING_ATTRIBUTE, "rpc")
        assert (error.info_text("bad-attribute"), error.info_text("bad-element")) == ("message-id", "rpc")
        assert reply.get("user") == "fred"

    @pytest.mark.parametrize("content", ["", "text", "<!-- c -->"])
    def test_lacks_an_operation(self, pair: SessionPair, content: str) -> None:
        pair.say(rpc('message-id="5"', content))
        reply = sent(pair)[0]
        assert error_of(reply).tag == ErrorTag.MISSING_ELEMENT
        assert reply.get("message-id") == "5"

    def test_has_two_operations(self, pair: SessionPair) -> None:
        pair.say(rpc('message-id="5"', "<get/><commit/>"))
        assert error_of(sent(pair)[0]).info_text("bad-element") == "commit"

    def test_is_refused_in_its_turn(self, pair: SessionPair) -> None:
        first = only(RpcReceived, pair.say(rpc('message-id="1"')))
        pair.say(b"<garbage")
        third = only(RpcReceived, pair.say(rpc('message-id="3"')))
        pair.say(rpc(""))
        assert pair.server.data_to_send() == b""
        pair.server.send_reply(first)
        assert [reply.get("message-id") for reply in sent(pair)] == ["1", None]
        pair.server.send_reply(third)
        assert [reply.get("message-id") for reply in sent(pair)] == ["3", None]


class TestStreamedReplies:
    def test_are_the_same_as_whole_ones(self, pair: SessionPair) -> None:
        request = pair.ask()
        pair.server.begin_reply(request)
        for piece in (
            b"<data>",
            b'<a xmlns="urn:a">',
            "\u00e9".encode()[:1],
            "\u00e9".encode()[1:],
            b"</a></data>",
        ):
            pair.server.reply_piece(piece)
        assert pair.server.end_reply() == []
        reply = only(ReplyReceived, pair.exchange()[0]).reply
        assert reply.findtext(".//{urn:a}a") == "\u00e9"

    def test_need_no_buffer_of_their_size(self, pair: SessionPair) -> None:
        request = pair.ask()
        pair.server.begin_reply(request)
        pair.server.reply_piece(b"<data>")
        record, most, total = b'<a xmlns="urn:a">' + b"x" * 400 + b"</a>", 0, 0
        for _ in range(10_000):
            pair.server.reply_piece(record)
            most = max(most, pair.server.backlog)
            data = pair.server.data_to_send()
            total += len(data)
            pair.client.receive_data(data, 1.0)
        pair.server.reply_piece(b"</data>")
        pair.server.end_reply()
        assert only(ReplyReceived, pair.exchange()[0]).reply[0].tag == names.DATA
        assert total > 4_000_000
        assert most < 20_000

    def test_make_other_messages_wait(self, pair: SessionPair) -> None:
        request = pair.ask()
        pair.server.begin_reply(request)
        pair.server.send_notification(EVENT, TIME)
        assert pair.server.backlog >= len(EVENT)
        pair.server.reply_piece(b"<ok/>")
        pair.server.end_reply()
        events = pair.exchange()[0]
        assert [type(event) for event in events] == [ReplyReceived, NotificationReceived]
        assert pair.server.backlog == 0

    def test_are_one_at_a_time(self, pair: SessionPair) -> None:
        first, second = pair.ask(), pair.ask()
        pair.server.begin_reply(first)
        with pytest.raises(SessionStateError, match="being streamed"):
            pair.server.send_reply(second)
        pair.server.end_reply()
        for misuse in (lambda: pair.server.reply_piece(b"<a/>"), pair.server.end_reply):
            with pytest.raises(SessionStateError, match="no reply is being streamed"):
                misuse()

    def test_are_completed_by_an_orderly_end(self, pair: SessionPair) -> None:
        pair.server.begin_reply(pair.ask())
        assert none_of(SessionClosed, pair.server.close("shutdown", 3.0))
        assert pair.server.next_deadline() == 8.0
        pair.server.reply_piece(b"<ok/>")
        assert only(SessionClosed, pair.server.end_reply()).reason == "last reply complete"
        assert only(ReplyReceived, pair.exchange()[0])

    def test_that_never_end_do_not_hold_up_the_end(self, pair: SessionPair) -> None:
        pair.server.begin_reply(pair.ask())
        pair.server.close("shutdown", 3.0)
        assert only(SessionFailed, pair.server.handle_timer(8.0))
        with pytest.raises(SessionStateError, match="closed"):
            pair.server.reply_piece(b"<a/>")

    def test_of_1_0_end_the_session_when_a_waiting_message_cannot_be_sent(self) -> None:
        pair = SessionPair.open(client=ONLY_1_0)
        pair.server.begin_reply(pair.ask())
        pair.server.send_notification(b'<event xmlns="urn:e" a="]]>]]>"/>', TIME)
        pair.server.reply_piece(b"<ok/>")
        assert "cannot be sent" in only(SessionFailed, pair.server.end_reply()).reason


class TestBackpressure:
    def test_reading_pauses_while_too_many_rpcs_wait(self) -> None:
        pair = SessionPair.open(limits=Limits(max_outstanding=3))
        events = pair.server.receive_data(
            b"".join(b"\n#%d\n%b\n##\n" % (len(raw), raw) for raw in [rpc('message-id="1"')] * 10), 1.0
        )
        answered = 0
        while events:
            assert len(events) <= 3
            assert pair.server.paused == (answered + len(events) < 10)
            for event in events:
                pair.server.send_reply(event)  # type: ignore[arg-type]
            answered += len(events)
            events = pair.server.resume()
        assert answered == 10

    def test_refusals_count_too(self) -> None:
        pair = SessionPair.open(limits=Limits(max_outstanding=2))
        first = only(RpcReceived, pair.say(rpc('message-id="1"')))
        for _ in range(5):
            pair.say(b"<garbage")
        assert pair.server.paused
        pair.server.send_reply(first)
        assert pair.server.resume() == []
        assert len(sent(pair)) == 6
        assert not pair.server.paused


class TestNotifications:
    def test_are_sent_as_bytes_or_elements(self, pair: SessionPair) -> None:
        pair.server.send_notification([b"<event ", b'xmlns="urn:e"/>'], TIME)
        pair.server.send_notification(etree.fromstring(EVENT), TIME)
        events = pair.exchange()[0]
        assert [event.content.tag for event in events] == ["{urn:e}event"] * 2  # type: ignore[union-attr]

    def test_are_sent_only_while_open(self, pair: SessionPair) -> None:
        pair.server.close("done", 1.0)
        with pytest.raises(SessionStateError, match="closed"):
            pair.server.send_notification(EVENT, TIME)


def test_a_closed_session_reads_and_answers_nothing(pair: SessionPair) -> None:
    request = pair.ask()
    assert only(SessionClosed, pair.server.close("killed by session 9", 1.0)).reason == "killed by session 9"
    assert pair.say(rpc('message-id="2"')) == []
    with pytest.raises(SessionStateError, match="closed"):
        pair.server.send_reply(request)


def test_a_reply_that_the_framing_cannot_carry_can_be_replaced() -> None:
    pair = SessionPair.open(client=ONLY_1_0)
    request = pair.ask()
    with pytest.raises(ValueError, match="end-of-message"):
        pair.server.send_reply(request, b'<data a="]]>]]>"/>')
    pair.server.send_error(request, RpcError.operation_failed("cannot be sent"))
    assert only(ReplyReceived, pair.exchange()[0])
