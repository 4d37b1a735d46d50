"""The operations on sessions and subscriptions: close-session, kill-session (RFC 6241 7.8, 7.9),
create-subscription (RFC 5277).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from netconf_server import params
from netconf_server.call import Handler, Reply, RpcCall
from netconf_server.local import LocalSession
from netconf_server.session import Session
from netconf_server.streams import Stream
from rui.netconf import names
from rui.netconf.errors import RpcError


def _notification(name: str) -> str:
    return f"{{{names.NOTIFICATION}}}{name}"


class SessionOperations:
    """The handlers of the operations that end sessions and begin subscriptions."""

    CREATE_SUBSCRIPTION: Final = _notification("create-subscription")

    def __init__(self, sessions: Mapping[int, Session | LocalSession], streams: Mapping[str, Stream]) -> None:
        self._sessions = sessions
        self._streams = streams

    def handlers(self) -> dict[str, Handler]:
        """The handlers in the base namespace by local name."""
        return {"close-session": self._close_session, "kill-session": self._kill_session}

    async def _close_session(self, call: RpcCall) -> Reply:
        self._sessions[call.session.id].close_after_reply("close-session")
        return None

    async def _kill_session(self, call: RpcCall) -> Reply:
        text = params.text(call.operation, "session-id") or ""
        number = int(text) if text.isascii() and text.isdigit() else 0
        if number == call.session.id:
            raise RpcError.invalid_value("a session cannot kill itself; use close-session")
        session = self._sessions.get(number)
        if session is None:
            raise RpcError.invalid_value(
                f"there is no session {text[:20]!r}; /netconf-state/sessions lists those there are"
            )
        session.kill(f"killed by session {call.session.id}")
        return None

    async def create_subscription(self, call: RpcCall) -> Reply:
        """Begin a subscription; its notifications start after the reply (RFC 5277 2.1.1)."""
        operation = call.operation
        stream = self._stream((operation.findtext(_notification("stream")) or "NETCONF").strip())
        _refuse_replay(_time(call, "startTime"), _time(call, "stopTime"))
        wanted = params.read_filter(operation, _notification("filter"))
        session = self._sessions[call.session.id]
        if session.keeps_alive:
            raise RpcError.operation_failed(
                "this session has a subscription already; open another session for a second"
            )
        session.keeps_alive = True
        session.after_reply(lambda: stream.add(session, wanted))
        return None

    def _stream(self, name: str) -> Stream:
        stream = self._streams.get(name)
        if stream is None:
            raise RpcError.invalid_value(f"there is no stream {name!r}, only {', '.join(self._streams)}")
        return stream


def _time(call: RpcCall, name: str) -> datetime | None:
    text = call.operation.findtext(_notification(name))
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise RpcError.bad_element(_notification(name), f"{name} is no time such as 2026-11-23T10:00:00Z")
    return time


def _refuse_replay(start: datetime | None, stop: datetime | None) -> None:
    """No stream keeps a log, so a start time cannot be honoured (RFC 5277 2.1.1)."""
    if start is None and stop is not None:
        raise RpcError.missing_element(_notification("startTime"), "stopTime needs a startTime")
    if start is not None and stop is not None and stop <= start:
        raise RpcError.bad_element(_notification("stopTime"), "stopTime is not after startTime")
    if start is not None:
        raise RpcError.operation_failed("no stream supports replay; leave out startTime")
