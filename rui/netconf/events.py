"""What a session reports to the program around it.

`raw` is always the whole message, without its framing; of a bulk message the trees lack the entries, whose
content is in `bulk`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from rui.netconf.bulk import Bulk
from rui.netconf.states import State, Trigger


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The session went from `old` to `new` because of `trigger`; `why` says it for the log."""

    old: State
    new: State
    trigger: Trigger
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class HelloReceived:
    """The session is open: agreed base version ("1.0" or "1.1"), peer's capabilities, session-id."""

    version: str
    capabilities: tuple[str, ...]
    session_id: int
    raw: bytes


@dataclass(frozen=True, slots=True, eq=False)
class RpcReceived:
    """A request for the server: rpc's only child, and rpc's attributes in `{namespace}name` form.

    `number` counts the session's requests; replies must be given in this order (RFC 6241 4.5).
    """

    number: int
    message_id: str
    operation: etree._Element
    attributes: Mapping[str, str]
    raw: bytes
    bulk: Bulk | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ReplyReceived:
    """The reply to the client's rpc `message_id`; `reply` is the rpc-reply element."""

    message_id: str
    reply: etree._Element
    raw: bytes


@dataclass(frozen=True, slots=True, eq=False)
class ReplyPart:
    """Some octets of the reply to an rpc that was sent with `streamed`, in order; together they are the
    message. `last` when nothing follows.
    """

    message_id: str
    part: bytes
    last: bool


@dataclass(frozen=True, slots=True, eq=False)
class NotificationReceived:
    """A notification; `event_time` is its text (RFC 3339), `content` the one element that it carries."""

    event_time: str
    content: etree._Element
    raw: bytes
    bulk: Bulk | None = None


@dataclass(frozen=True, slots=True)
class SessionFailed:
    """The session is over: the peer broke the protocol, a deadline passed, or the transport was lost."""

    reason: str


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """The session is over in the orderly way."""

    reason: str


Event = (
    StateChanged
    | HelloReceived
    | RpcReceived
    | ReplyReceived
    | ReplyPart
    | NotificationReceived
    | SessionFailed
    | SessionClosed
)
