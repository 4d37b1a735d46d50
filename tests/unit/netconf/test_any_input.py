"""Whatever the peer sends, a session answers it or ends; and how the bytes are cut never matters."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rui.netconf import messages, names
from rui.netconf.events import Event, RpcReceived, SessionFailed
from rui.netconf.session import ClientSession, ServerSession
from rui.netconf.states import State
from tests.unit.netconf.pair import BOTH

CLIENT_HELLO = messages.build_hello(BOTH, None) + b"]]>]]>"
SERVER_HELLO = messages.build_hello(BOTH, 7) + b"]]>]]>"

fragments = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            CLIENT_HELLO,
            SERVER_HELLO,
            b"]]>]]>",
            b"\n##\n",
            b"\n#",
            b"<?xml version='1.0'?>",
            b"<!DOCTYPE a>",
            b"<a/>",
            *(
                b"\n#%d\n%b\n##\n" % (len(message), message)
                for message in (
                    b"<a",
                    b"<a/>",
                    f'<rpc xmlns="{names.BASE}"/>'.encode(),
                    f'<rpc xmlns="{names.BASE}" message-id="1"><get/></rpc>'.encode(),
                    f'<rpc xmlns="{names.BASE}"><get/></rpc>'.encode(),
                    f'<rpc-reply xmlns="{names.BASE}" message-id="1"><ok/></rpc-reply>'.encode(),
                    f'<rpc-reply xmlns="{names.BASE}"><rpc-error/></rpc-reply>'.encode(),
                    f'<notification xmlns="{names.NOTIFICATION}"/>'.encode(),
                )
            ),
        ]
    ),
)
inputs = st.lists(fragments, max_size=12).map(b"".join)
cuts = st.lists(st.integers(0, 4000), max_size=20)


def pieces(data: bytes, where: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in where)})
    return [data[a:b] for a, b in pairwise(edges)]


def serve(parts: list[bytes]) -> tuple[list[str], bytes, State]:
    """Run a server that answers every rpc; return its events, what it sent, and its state."""
    server = ServerSession(7, BOTH)
    seen = [str(type(event)) for event in server.start(1.0)]
    for part in parts:
        events = server.receive_data(part, 1.0)
        while events:
            for event in events:
                seen.append(describe(event))
                if isinstance(event, RpcReceived) and server.state is State.OPEN:
                    server.send_reply(event)
            events = server.resume()
    return seen, server.data_to_send(), server.state


def ask(parts: list[bytes]) -> tuple[list[str], State]:
    """Run a client with two rpcs under way as soon as it is open; return its events and its state."""
    client = ClientSession()
    seen = [describe(event) for event in client.start(1.0)]
    asked = False
    for part in parts:
        seen += [describe(event) for event in client.receive_data(part, 1.0)]
        if client.state is State.OPEN and not asked:
            asked = True
            client.send_rpc(f'<get xmlns="{names.BASE}"/>'.encode())
            client.send_rpc(f'<get xmlns="{names.BASE}"/>'.encode())
    return seen, client.state


def describe(event: Event) -> str:
    raw: bytes = getattr(event, "raw", b"")
    return f"{type(event).__name__} {getattr(event, 'reason', '')} {raw!r}"


@given(inputs, cuts)
def test_a_server_takes_anything_however_it_is_cut(data: bytes, where: list[int]) -> None:
    for before in ([], [CLIENT_HELLO]):
        events, sent, state = serve([*before, data])
        cut_events, cut_sent, cut_state = serve([*before, *pieces(data, where)])
        assert (cut_events, cut_state) == (events, state)
        # a fault that is read together with a good rpc ends the session before that rpc can be answered
        assert cut_sent == sent if state is State.OPEN else cut_sent.startswith(sent)
        assert (state is State.CLOSED) == any(SessionFailed.__name__ in event for event in events)


@given(inputs, cuts)
def test_a_client_takes_anything_however_it_is_cut(data: bytes, where: list[int]) -> None:
    after_hello = ask([SERVER_HELLO, data])
    assert ask([SERVER_HELLO, *pieces(data, where)]) == after_hello
    for events, state in (ask([data]), after_hello):
        assert (state is State.CLOSED) == any(SessionFailed.__name__ in event for event in events)
