"""The two roles of a session (RFC 6241, 5277): ClientSession sends rpcs, ServerSession answers them."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from rui.netconf import messages, names
from rui.netconf.bulk import Bulk
from rui.netconf.endpoint import Limits, Session, SessionStateError, local_name
from rui.netconf.errors import RpcError
from rui.netconf.events import Event, ReplyPart, ReplyReceived, RpcReceived, SessionClosed
from rui.netconf.replystream import Head
from rui.netconf.states import State, Trigger

__all__ = ["ClientSession", "Limits", "ServerSession", "SessionStateError"]

DEFAULT_CLIENT_CAPABILITIES = (names.CAP_BASE_1_0, names.CAP_BASE_1_1)


class ClientSession(Session):
    """The client's side: rpcs may be pipelined, their replies are told apart by message-id."""

    def __init__(
        self, capabilities: Sequence[str] = DEFAULT_CLIENT_CAPABILITIES, limits: Limits | None = None
    ) -> None:
        super().__init__(capabilities, None, limits or Limits())
        self._last_id = 0
        self._outstanding: OrderedDict[str, bool] = OrderedDict()
        self._close_id: str | None = None
        self._streamed: set[str] = set()
        self._head = Head()
        self._coming: str | None = None

    @property
    def outstanding(self) -> int:
        """How many rpcs wait for their reply, abandoned ones included; `limits.max_outstanding` bounds it."""
        return len(self._outstanding)

    def send_rpc(self, operation: messages.Body, *, streamed: bool = False) -> str:
        """Queue an rpc and return its message-id. Raises SessionStateError when not open or too many wait.

        With `streamed` its reply may come as ReplyPart events, and be larger than `limits.max_message`. A
        reply that came at once, or says that something is wrong, is a ReplyReceived as ever.
        """
        self._require(State.OPEN)
        if len(self._outstanding) >= self.limits.max_outstanding:
            raise SessionStateError(f"{len(self._outstanding)} rpcs wait for a reply already")
        message_id = self._send(operation)
        if streamed:
            self._streamed.add(message_id)
            self._decoder.bounded = False
        return message_id

    def abandon(self, message_id: str) -> None:
        """Wait no longer for this reply: should it still come it is dropped silently."""
        if message_id in self._outstanding:
            self._outstanding[message_id] = True

    def close(self, now: float) -> list[Event]:
        """Ask the server to close the session; replies under way still come, for `limits.close_timeout`."""
        if self.state is State.OPEN:
            self._change_state(Trigger.CLOSE, "close-session sent")
            self._deadline = now + self.limits.close_timeout
            self._close_id = self._send(etree.Element(names.CLOSE_SESSION, nsmap=names.nsmap(names.BASE)))
        elif self._change_state(Trigger.CLOSE, "closed before it was open"):
            self._events.append(SessionClosed("closed before it was open"))
        return self._take_events()

    def _send(self, operation: messages.Body) -> str:
        message_id = str(self._last_id + 1)
        pieces = messages.to_pieces(operation)
        self._last_id += 1
        self._queue(messages.rpc_envelope(message_id), pieces)
        self._outstanding[message_id] = False
        return message_id

    def _build_hello(self) -> bytes:
        return messages.build_hello(self.capabilities, None)

    def _hello_prefix(self) -> bytes:
        return messages.XML_DECLARATION

    def _check_hello(self, hello: messages.Hello) -> int:
        if hello.session_id is None:
            raise messages.MessageError("a server's hello must have a session-id (RFC 6241 8.1)")
        return hello.session_id

    def _on_unfinished(self) -> None:
        if self._coming is None and not self._streamed:
            return
        part = self._decoder.take_part()
        if self._coming is None:
            answered = self._head.add(part)
            if answered is None or answered not in self._streamed or answered not in self._outstanding:
                if len(self._head) > self.limits.max_message:
                    self._fail(f"a message is larger than {self.limits.max_message} octets")
                return
            self._coming, part = answered, self._head.take()
        self._hand_on(part, last=False)

    def _hand_on(self, part: bytes, *, last: bool) -> None:
        message_id = self._coming
        if message_id is not None and not self._outstanding[message_id] and (part or last):
            self._events.append(ReplyPart(message_id, part, last))

    def _on_open_message(self, raw: bytes) -> None:
        if self._coming is not None:
            self._hand_on(raw, last=True)
            self._answered(self._coming)
            self._coming = None
            return
        raw = self._head.take() + raw
        if len(raw) > self.limits.max_message:
            self._fail(f"a message is larger than {self.limits.max_message} octets")
            return
        try:
            root, bulk = self._parser.read(raw)
            if root.tag == names.RPC_REPLY:
                self._on_reply(root, raw)
            elif root.tag == names.NOTIFICATION_MESSAGE:
                self._events.append(messages.read_notification(root, raw, bulk))
            else:
                raise messages.MessageError(f"neither rpc-reply nor notification but {root.tag}")
        except messages.MessageError as error:
            self._fail(f"bad message from the server: {error}")

    def _on_reply(self, root: etree._Element, raw: bytes) -> None:
        message_id = root.get("message-id")
        if message_id is None and root.find(names.RPC_ERROR) is not None:
            # our message-id could not be read; replies come in the order of the requests (RFC 6241 4.5)
            message_id = next(iter(self._outstanding), None)
        abandoned = None if message_id is None else self._answered(message_id)
        if message_id is None or abandoned is None:
            shown = "no message-id" if message_id is None else f"message-id {message_id[:40]!r}"
            raise messages.MessageError(f"rpc-reply with {shown}, which answers no rpc of ours")
        if message_id == self._close_id:
            self._change_state(Trigger.DONE, "close-session answered")
            self._events.append(SessionClosed("close-session answered"))
        elif not abandoned:
            self._events.append(ReplyReceived(message_id, root, raw))

    def _answered(self, message_id: str) -> bool | None:
        """Take note that a reply is whole; say whether it was abandoned, None where it answers nothing."""
        self._streamed.discard(message_id)
        self._decoder.bounded = not self._streamed
        return self._outstanding.pop(message_id, None)


@dataclass(slots=True)
class _Pending:
    """An rpc that was read and not yet answered; `answer` is set if the session itself refused it."""

    number: int
    envelope: messages.Envelope
    answer: list[bytes] | None


class ServerSession(Session):
    """The server's side: rpcs are answered in their order, each by one reply that may be streamed in pieces.

    While `limits.max_outstanding` rpcs wait the session is `paused`: stop reading the transport, and call
    `resume` after a reply. What cannot be an rpc is answered, or ends the session, as RFC 6241 says; the
    program does not see it.
    """

    def __init__(self, session_id: int, capabilities: Sequence[str], limits: Limits | None = None) -> None:
        if not 1 <= session_id <= 4_294_967_295:
            raise ValueError(f"session-id must be 1 to 4294967295, not {session_id}")
        super().__init__(capabilities, session_id, limits or Limits())
        self._own_id = session_id
        self.bad_rpcs = 0
        """Messages that were no correct rpc (RFC 6022 in-bad-rpcs)."""
        self._count = 0
        self._pending: deque[_Pending] = deque()

    @property
    def paused(self) -> bool:
        """Whether as many rpcs wait for an answer as `limits.max_outstanding` allows."""
        return len(self._pending) >= self.limits.max_outstanding and self.state is State.OPEN

    def send_reply(self, rpc: RpcReceived, body: messages.Body | None = None) -> None:
        """Answer the oldest unanswered rpc; None means `<ok/>`. Raises SessionStateError out of turn."""
        pieces = [_OK] if body is None else messages.to_pieces(body)
        pending = self._next_in_turn(rpc)
        self._queue(pending.envelope, pieces)
        self._done()

    def send_error(self, rpc: RpcReceived, error: RpcError) -> None:
        """Answer the oldest unanswered rpc with `error` and its `others`."""
        self.send_reply(rpc, error.to_elements())

    def begin_reply(self, rpc: RpcReceived) -> None:
        """Start to stream a reply to the oldest unanswered rpc; other messages wait until `end_reply`."""
        pending = self._next_in_turn(rpc)
        self._begin_stream(pending.envelope)

    def reply_piece(self, piece: bytes) -> None:
        """Add raw bytes to the streamed reply; drain `data_to_send` between pieces to keep memory small."""
        self._require_streaming()
        self._write(piece)

    def end_reply(self) -> list[Event]:
        """End the streamed reply. A stream cannot end in an error instead: then call `fail`."""
        self._require_streaming()
        self._end_stream(self._pending[0].envelope)
        self._done()
        if self.state is State.CLOSING:
            self._finish("last reply complete")
        return self._take_events()

    def send_notification(self, content: messages.Body, event_time: str) -> None:
        """Queue a notification (RFC 5277), `event_time` in RFC 3339. Watch `backlog` for a slow reader."""
        self._require(State.OPEN)
        self._queue(messages.notification_envelope(event_time), messages.to_pieces(content))

    def close(self, reason: str, now: float) -> list[Event]:
        """End the session in order: no rpc is read or answered any more, a reply being streamed is completed.

        Call it after answering close-session. A streamed reply has `limits.close_timeout` to end.
        """
        if self._change_state(Trigger.CLOSE, reason):
            if self._streaming:
                self._deadline = now + self.limits.close_timeout
            else:
                self._finish(reason)
        return self._take_events()

    def _finish(self, reason: str) -> None:
        self._change_state(Trigger.DONE, reason)
        self._events.append(SessionClosed(reason))

    def _require_streaming(self) -> None:
        self._require(State.OPEN, State.CLOSING)
        if not self._streaming:
            raise SessionStateError("no reply is being streamed")

    def _next_in_turn(self, rpc: RpcReceived) -> _Pending:
        self._require(State.OPEN)
        if self._streaming:
            raise SessionStateError("a reply is being streamed")
        if not self._pending or self._pending[0].number != rpc.number:
            raise SessionStateError(
                f"rpc {rpc.number} (message-id {rpc.message_id!r}) is not the next to answer"
            )
        return self._pending[0]

    def _done(self) -> None:
        """Take the answered rpc off the queue, and send the answers that waited behind it."""
        self._pending.popleft()
        self._send_refusals()

    def _send_refusals(self) -> None:
        while self._pending and self._pending[0].answer is not None:
            pending = self._pending.popleft()
            self._queue(pending.envelope, pending.answer or [])

    def _refuse(self, rpc: etree._Element | None, error: RpcError) -> None:
        """Answer a message that the program never sees, in its turn."""
        self.bad_rpcs += 1
        pieces = messages.to_pieces(error.to_elements())
        self._pending.append(_Pending(0, messages.reply_envelope(rpc), pieces))
        self._send_refusals()

    def _build_hello(self) -> bytes:
        return messages.build_hello(self.capabilities, self._own_id)

    def _hello_prefix(self) -> bytes:
        return b""

    def _check_hello(self, hello: messages.Hello) -> int:
        if hello.session_id is not None:
            raise messages.MessageError("a client's hello must not have a session-id (RFC 6241 8.1)")
        return self._own_id

    def _on_open_message(self, raw: bytes) -> None:
        if self.state is not State.OPEN:
            return
        try:
            root, bulk = self._parser.read(raw)
            if root.tag != names.RPC:
                name = etree.QName(root)
                found = f"namespace {name.namespace!r}" if name.namespace else "no namespace"
                raise messages.MessageError(
                    f"<{name.localname}> in {found}, where <rpc> in namespace {names.BASE!r} is expected"
                )
        except messages.MessageError as error:
            self._on_unreadable(str(error))
            return
        self._on_rpc(root, raw, bulk)

    def _on_unreadable(self, fault: str) -> None:
        """Answer malformed-message, new in base:1.1 and never sent to old clients (RFC 6241)."""
        if self.version == "1.1":
            self._refuse(None, RpcError.malformed_message(fault))
        else:
            self.bad_rpcs += 1
            self._fail(f"bad message from the client: {fault}")

    def _on_rpc(self, rpc: etree._Element, raw: bytes, bulk: Bulk | None) -> None:
        message_id = rpc.get("message-id")
        operations = messages.children(rpc)
        if message_id is None:
            self._refuse(rpc, RpcError.missing_attribute("message-id", "rpc"))
        elif not operations:
            self._refuse(rpc, RpcError.missing_element("rpc", "the rpc holds no operation"))
        elif len(operations) > 1:
            name = local_name(operations[1])
            self._refuse(rpc, RpcError.unknown_element(name, f"a second operation in one rpc: {name!r}"))
        else:
            self._count += 1
            self._pending.append(_Pending(self._count, messages.reply_envelope(rpc), None))
            attributes = {str(name): str(value) for name, value in rpc.attrib.items()}
            self._events.append(RpcReceived(self._count, message_id, operations[0], attributes, raw, bulk))


_OK = b"<ok/>"
