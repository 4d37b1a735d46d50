"""The operations on sessions: close-session and kill-session (RFC 6241 7.8, 7.9)."""

from __future__ import annotations

from collections.abc import Mapping

from netconf_server import params
from netconf_server.call import Handler, Reply, RpcCall
from netconf_server.local import LocalSession
from netconf_server.session import Session
from rui.netconf.errors import RpcError


class SessionOperations:
    """The handlers of the operations that end sessions."""

    def __init__(self, sessions: Mapping[int, Session | LocalSession]) -> None:
        self._sessions = sessions

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
        session.kill(f"killed by session {call.session.id}", call.session.id)
        return None
