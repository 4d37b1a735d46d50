"""What both roles of a NETCONF session share: hellos, framing, states, timers and the queue of bytes to send.

No I/O: the program around it feeds `receive_data`, drains `data_to_send`, and arms one timer for
`next_deadline`. Times are monotonic seconds, handed in as `now`.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from rui.netconf import encoding, framing, messages, names
from rui.netconf.events import Event, HelloReceived, SessionClosed, SessionFailed, StateChanged
from rui.netconf.states import TRANSITIONS, State, Trigger

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a session: octets of a message and a hello, unanswered rpcs, seconds for hello and close.

    `bulk` holds the lxml tags of operations and notifications that may end with thousands of entries, each
    with a `record`: these are not in the tree, only in the message's bytes (see `rui.netconf.bulk`).
    """

    max_message: int = framing.DEFAULT_MAX_MESSAGE
    max_hello: int = _MIB
    max_outstanding: int = 64
    hello_timeout: float = 30.0
    close_timeout: float = 5.0
    bulk: frozenset[str] = frozenset()


class SessionStateError(Exception):
    """The program asked for something that the session's state does not allow."""


class Session(ABC):
    """One NETCONF session, either role. Use ClientSession or ServerSession."""

    def __init__(self, capabilities: Sequence[str], session_id: int | None, limits: Limits) -> None:
        self.capabilities = tuple(capabilities)
        self.session_id = session_id
        self.peer_capabilities: tuple[str, ...] = ()
        self.version: str | None = None
        self.limits = limits
        self.state = State.NEW
        self.last_received: float | None = None
        """When octets last came from the peer, for whoever ends idle sessions; at first the start."""
        self._events: list[Event] = []
        self._deadline: float | None = None
        self._parser = messages.MessageParser(limits.bulk)
        self._decoder: framing.Decoder = framing.EndOfMessageDecoder(limits.max_hello)
        self._encoder: encoding.Encoder = encoding.EndOfMessageEncoder()
        self._out: list[bytes] = []
        self._out_size = 0
        self._streaming = False
        self._waiting: deque[tuple[messages.Envelope, list[bytes]]] = deque()
        self._waiting_size = 0

    @property
    def paused(self) -> bool:
        """Whether no further message is read now: stop reading the transport, call `resume` later."""
        return False

    @property
    def backlog(self) -> int:
        """Octets that wait to be sent: in `data_to_send`, or behind a reply that is being streamed."""
        return self._out_size + self._waiting_size

    def start(self, now: float) -> list[Event]:
        """Queue our hello; the transport is there. The peer's hello is due within `limits.hello_timeout`."""
        if self.state is not State.NEW:
            raise SessionStateError(f"the session was started before, it is {self.state.value}")
        self._change_state(Trigger.START, "transport connected")
        self._deadline = now + self.limits.hello_timeout
        self.last_received = now
        self._queue(messages.Envelope(self._hello_prefix(), b""), [self._build_hello()])
        return self._take_events()

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take octets from the transport; return what they mean. A closed session reads nothing."""
        if self.state is State.NEW:
            raise SessionStateError("data before start")
        self.last_received = now
        if self.state is not State.CLOSED:
            self._decoder.feed(data)
        return self.resume()

    def resume(self) -> list[Event]:
        """Read on after a pause; return what was waiting."""
        try:
            while self.state in _READING and not self.paused:
                message = self._decoder.next_message()
                if message is None:
                    self._on_unfinished()
                    break
                self._on_message(message)
        except framing.FramingError as error:
            self._fail(f"wrong framing: {error}")
        return self._take_events()

    def receive_eof(self) -> list[Event]:
        """Take note that the transport ended; return what follows from it."""
        orderly = self.state in (State.NEW, State.CLOSING)
        if self._change_state(Trigger.EOF, "transport ended"):
            unread = len(self._decoder.take_rest())
            rest = f", {unread} octets into a message" if unread else ""
            reason = f"the peer ended the transport without closing the session{rest}"
            self._events.append(SessionClosed("transport ended") if orderly else SessionFailed(reason))
        return self._take_events()

    def fail(self, reason: str) -> list[Event]:
        """End the session at once: its transport is lost, or a handler broke off in the middle of a reply."""
        self._fail(reason)
        return self._take_events()

    def data_to_send(self) -> bytes:
        """Return, once, all octets that are ready for the transport; also after the session is closed."""
        if not self._out:
            return b""
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        return data

    def next_deadline(self) -> float | None:
        """Return when `handle_timer` is due, or None."""
        return self._deadline

    def handle_timer(self, now: float) -> list[Event]:
        """Act on a deadline that has passed; harmless when none has."""
        if self._deadline is not None and now >= self._deadline:
            if self.state is State.HELLO:
                self._fail(f"no hello within {self.limits.hello_timeout:g} s")
            else:
                self._fail(f"not closed within {self.limits.close_timeout:g} s")
        return self._take_events()

    @abstractmethod
    def _build_hello(self) -> bytes: ...

    @abstractmethod
    def _hello_prefix(self) -> bytes: ...

    @abstractmethod
    def _check_hello(self, hello: messages.Hello) -> int:
        """Return the session-id that holds, or raise MessageError."""

    @abstractmethod
    def _on_open_message(self, raw: bytes) -> None:
        """Handle a message of an open or closing session."""

    def _on_unfinished(self) -> None:  # noqa: B027 - only a client has anything to do
        """Look at the message under way, of which more is to come."""

    def _on_message(self, raw: bytes) -> None:
        if self.state is not State.HELLO:
            self._on_open_message(raw)
            return
        try:
            hello = messages.read_hello(self._parser.parse(raw))
            session_id = self._check_hello(hello)
            version = self._agree_version(hello.capabilities)
        except messages.MessageError as error:
            self._fail(f"bad hello: {error}")
            return
        self.session_id, self.version, self.peer_capabilities = session_id, version, hello.capabilities
        self._deadline = None
        self._change_state(Trigger.HELLO_ACCEPTED, f"base:{version}, session-id {session_id}")
        self._switch_framing(version)
        self._events.append(HelloReceived(version, hello.capabilities, session_id, raw))

    def _agree_version(self, peer: Sequence[str]) -> str:
        for capability, version in ((names.CAP_BASE_1_1, "1.1"), (names.CAP_BASE_1_0, "1.0")):
            if names.has_capability(self.capabilities, capability) and names.has_capability(peer, capability):
                return version
        raise messages.MessageError("no base version in common (RFC 6241 8.1)")

    def _switch_framing(self, version: str) -> None:
        """Use the framing of the agreed version from the first message after the hellos (RFC 6242 4.1)."""
        offset, rest = self._decoder.offset, self._decoder.take_rest()
        if version == "1.1":
            self._decoder = framing.ChunkedDecoder(self.limits.max_message, offset)
            self._encoder = encoding.ChunkedEncoder()
        else:
            self._decoder = framing.EndOfMessageDecoder(self.limits.max_message, offset)
        self._decoder.feed(rest)

    def _queue(self, envelope: messages.Envelope, pieces: list[bytes]) -> None:
        """Send a whole message, after the reply that is being streamed if there is one."""
        if self._streaming:
            self._waiting.append((envelope, pieces))
            self._waiting_size += sum(map(len, pieces))
            return
        self._append(self._encoder.message([envelope.start, *pieces, envelope.end]))

    def _begin_stream(self, envelope: messages.Envelope) -> None:
        self._streaming = True
        self._write(envelope.start)

    def _end_stream(self, envelope: messages.Envelope) -> None:
        self._write(envelope.end)
        self._append(self._encoder.end())
        self._streaming = False
        waiting, self._waiting, self._waiting_size = self._waiting, deque(), 0
        try:
            for message in waiting:
                self._queue(*message)
        except ValueError as error:
            self._fail(f"a message that waited cannot be sent: {error}")

    def _write(self, piece: bytes) -> None:
        self._append(self._encoder.write(piece))

    def _append(self, data: bytes) -> None:
        if data:
            self._out.append(data)
            self._out_size += len(data)

    def _require(self, *states: State) -> None:
        if self.state not in states:
            raise SessionStateError(f"the session is {self.state.value}")

    def _fail(self, reason: str) -> None:
        if self._change_state(Trigger.FAIL, reason):
            self._events.append(SessionFailed(reason))

    def _change_state(self, trigger: Trigger, why: str) -> bool:
        """Follow the table; say whether the state changed."""
        new = TRANSITIONS.get((self.state, trigger))
        if new is None:
            return False
        self._events.append(StateChanged(self.state, new, trigger, why))
        self.state = new
        if new is State.CLOSED:
            self._deadline = None
            self._decoder.take_rest()
            self._waiting.clear()
            self._waiting_size = 0
        return True

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events


_READING: Final = frozenset({State.HELLO, State.OPEN, State.CLOSING})
"""States in which messages are read."""


def local_name(root: etree._Element) -> str:
    """Return an element's name for a message to people."""
    return names.split(str(root.tag))[1]
