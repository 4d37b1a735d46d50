"""Opening and closing of a session, either role."""

import pytest

from rui.netconf import messages, names
from rui.netconf.events import HelloReceived, SessionClosed, SessionFailed, StateChanged
from rui.netconf.session import ClientSession, Limits, ServerSession, SessionStateError
from rui.netconf.states import State
from tests.unit.netconf.pair import BOTH, ONLY_1_0, ONLY_1_1, SessionPair, none_of, only

CLOSE = f'<close-session xmlns="{names.BASE}"/>'.encode()


@pytest.fixture
def client() -> ClientSession:
    session = ClientSession()
    session.start(1.0)
    return session


@pytest.fixture
def server() -> ServerSession:
    session = ServerSession(7, BOTH)
    session.start(1.0)
    return session


class TestHellos:
    @pytest.mark.parametrize("step", [1, 7, 4096])
    @pytest.mark.parametrize(
        ("client", "server", "version"),
        [
            (BOTH, BOTH, "1.1"),
            (ONLY_1_1, BOTH, "1.1"),
            (BOTH, ONLY_1_1, "1.1"),
            (ONLY_1_0, BOTH, "1.0"),
            (BOTH, ONLY_1_0, "1.0"),
        ],
    )
    def test_agree_on_the_highest_common_version(
        self, client: tuple[str, ...], server: tuple[str, ...], version: str, step: int
    ) -> None:
        pair = SessionPair.open(client=client, server=server, step=step)
        assert (pair.client.version, pair.server.version) == (version, version)
        assert (pair.client.state, pair.server.state) == (State.OPEN, State.OPEN)
        assert (pair.client.session_id, pair.server.session_id) == (7, 7)
        assert pair.client.peer_capabilities == server
        pair.server.send_reply(pair.ask())
        pair.exchange()
        assert pair.to_client.startswith(b"\n#") == (version == "1.1")
        assert pair.to_client.endswith(b"]]>]]>") == (version == "1.0")

    def test_without_a_common_version_end_the_session_on_both_sides(self) -> None:
        pair = SessionPair(client=ONLY_1_0, server=ONLY_1_1)
        pair.client.start(1.0)
        pair.server.start(1.0)
        events = pair.exchange()
        for side in events:
            assert "no base version in common" in only(SessionFailed, side).reason

    def test_parameters_of_a_capability_do_not_matter(self, client: ClientSession) -> None:
        events = client.receive_data(messages.build_hello([names.CAP_BASE_1_1 + "?x=1"], 1) + b"]]>]]>", 1.0)
        assert only(HelloReceived, events).version == "1.1"

    def test_are_reported_with_their_bytes(self, client: ClientSession) -> None:
        raw = messages.build_hello(BOTH, 9)
        hello = only(HelloReceived, client.receive_data(raw + b"]]>]]>", 1.0))
        assert (hello.raw, hello.session_id, hello.capabilities) == (raw, 9, BOTH)

    def test_of_a_client_with_a_session_id_ends_the_session(self, server: ServerSession) -> None:
        events = server.receive_data(messages.build_hello(BOTH, 3) + b"]]>]]>", 1.0)
        assert "must not have a session-id" in only(SessionFailed, events).reason

    def test_of_a_server_without_a_session_id_ends_the_session(self, client: ClientSession) -> None:
        events = client.receive_data(messages.build_hello(BOTH, None) + b"]]>]]>", 1.0)
        assert "must have a session-id" in only(SessionFailed, events).reason

    @pytest.mark.parametrize("raw", [b"<rpc/>", b"garbage", b"<hello>", b"\xff"])
    def test_that_are_none_end_the_session(self, server: ServerSession, raw: bytes) -> None:
        assert "bad hello" in only(SessionFailed, server.receive_data(raw + b"]]>]]>", 1.0)).reason
        assert server.state is State.CLOSED

    def test_larger_than_the_bound_end_the_session(self) -> None:
        server = ServerSession(1, BOTH, Limits(max_hello=100))
        server.start(1.0)
        assert (
            "larger than 100" in only(SessionFailed, server.receive_data(b"<hello>" + b"x" * 200, 1.0)).reason
        )

    def test_that_come_a_second_time_are_no_message(self) -> None:
        pair = SessionPair.open(client=ONLY_1_0)
        events = pair.server.receive_data(messages.build_hello(BOTH, None) + b"]]>]]>", 1.0)
        reason = only(SessionFailed, events).reason
        assert reason.startswith("bad message from the client: <hello>")
        assert "where <rpc> in" in reason

    def test_that_do_not_come_in_time_end_the_session(
        self, client: ClientSession, server: ServerSession
    ) -> None:
        for session in (client, server):
            assert session.next_deadline() == 31.0
            assert session.handle_timer(30.9) == []
            assert "no hello within 30 s" in only(SessionFailed, session.handle_timer(31.0)).reason
            assert session.next_deadline() is None

    def test_stop_the_timer(self) -> None:
        pair = SessionPair.open()
        assert pair.client.next_deadline() is None
        assert pair.client.handle_timer(1e9) == []


class TestFraming:
    def test_that_is_wrong_ends_the_session_and_names_the_place(self) -> None:
        pair = SessionPair.open()
        failed = only(SessionFailed, pair.server.receive_data(b"\n#x", 1.0))
        hello = len(messages.XML_DECLARATION + messages.build_hello(BOTH, None)) + 6
        assert f"at octet {hello + 2} of the session" in failed.reason

    def test_of_the_other_version_ends_the_session(self) -> None:
        pair = SessionPair.open()
        assert "framing" in only(SessionFailed, pair.server.receive_data(b"<rpc/>]]>]]>", 1.0)).reason

    def test_that_is_complete_before_the_fault_still_counts(self) -> None:
        pair = SessionPair.open()
        pair.client.send_rpc(CLOSE)
        events = pair.server.receive_data(pair.client.data_to_send() + b"x", 1.0)
        assert [type(event).__name__ for event in events] == ["RpcReceived", "StateChanged", "SessionFailed"]


class TestTheEnd:
    def test_by_close_session(self) -> None:
        pair = SessionPair.open()
        pair.client.close(5.0)
        rpc = pair.exchange()[1][-1]
        pair.server.send_reply(rpc)  # type: ignore[arg-type]
        assert only(SessionClosed, pair.server.close("close-session", 5.0))
        events, _ = pair.exchange()
        assert only(SessionClosed, events).reason == "close-session answered"
        assert (pair.client.state, pair.server.state) == (State.CLOSED, State.CLOSED)
        assert pair.client.next_deadline() is None

    def test_by_close_session_lets_earlier_replies_come(self) -> None:
        pair = SessionPair.open()
        rpc = pair.ask()
        pair.client.close(5.0)
        pair.server.send_reply(rpc)
        events, _ = pair.exchange()
        assert [type(event).__name__ for event in events] == ["ReplyReceived"]
        with pytest.raises(SessionStateError, match="closing"):
            pair.client.send_rpc(CLOSE)

    def test_by_close_session_that_is_never_answered(self) -> None:
        pair = SessionPair.open()
        pair.client.close(5.0)
        assert pair.client.next_deadline() == 10.0
        assert "not closed within 5 s" in only(SessionFailed, pair.client.handle_timer(10.0)).reason

    def test_by_the_transport(self) -> None:
        pair = SessionPair.open()
        pair.server.receive_data(b"\n#9\n<rpc", 1.0)
        assert "without closing the session" in only(SessionFailed, pair.server.receive_eof()).reason
        assert pair.server.receive_eof() == []

    def test_by_the_transport_after_close_session_is_orderly(self) -> None:
        pair = SessionPair.open()
        pair.client.close(5.0)
        assert only(SessionClosed, pair.client.receive_eof())

    def test_before_it_began(self) -> None:
        session = ClientSession()
        assert only(SessionClosed, session.close(1.0))
        with pytest.raises(SessionStateError):
            session.start(1.0)

    def test_comes_once(self) -> None:
        pair = SessionPair.open()
        assert only(SessionFailed, pair.client.fail("transport lost")).reason == "transport lost"
        assert pair.client.fail("again") == []
        assert pair.client.close(9.0) == []
        assert pair.client.receive_data(b"whatever", 9.0) == []

    def test_still_gives_what_was_queued(self) -> None:
        pair = SessionPair.open()
        pair.server.send_reply(pair.ask())
        pair.server.fail("killed")
        assert b"<ok/>" in pair.server.data_to_send()


def test_states_are_reported_with_their_reason(client: ClientSession) -> None:
    session = ClientSession()
    first = only(StateChanged, session.start(1.0))
    assert (first.old, first.new) == (State.NEW, State.HELLO)
    second = only(StateChanged, client.receive_data(messages.build_hello(BOTH, 5) + b"]]>]]>", 1.0))
    assert (second.new, second.why) == (State.OPEN, "base:1.1, session-id 5")


def test_misuse_is_refused(client: ClientSession) -> None:
    with pytest.raises(SessionStateError, match="started before"):
        client.start(1.0)
    with pytest.raises(SessionStateError, match="hello"):
        client.send_rpc(CLOSE)
    with pytest.raises(SessionStateError, match="before start"):
        ClientSession().receive_data(b"x", 1.0)
    for number in (0, 4_294_967_296):
        with pytest.raises(ValueError, match="session-id"):
            ServerSession(number, BOTH)


def test_the_time_of_the_last_octets_is_kept(client: ClientSession) -> None:
    assert client.last_received == 1.0
    client.receive_data(b"<", 8.0)
    assert client.last_received == 8.0


def test_nothing_is_sent_unasked() -> None:
    pair = SessionPair.open()
    events = pair.exchange()
    assert events == ([], [])
    assert none_of(SessionFailed, events[0])
