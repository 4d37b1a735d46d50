"""A session of a user within this process, such as a command line's: what goes over a NETCONF session of
this user, without the bytes. It has a session-id, holds locks, is listed and can be killed like any other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import structlog
from lxml import etree

from netconf_server.call import Handler, Reply, RpcCall, SessionInfo
from netconf_server.session import Counters, EndCause
from netconf_server.xmltree import to_bytes
from rui.netconf.errors import RpcError
from rui.netconf.messages import Body, to_pieces

log = structlog.get_logger(__name__)

Notified = Callable[[str, bytes], None]
"""Is given the time and the content of a notification."""


class LocalSession:
    """One user's session without transport. One operation at a time, as over NETCONF.

    `handler` answers operations; `ended` is called once, when the session is over, with whether in order.
    """

    version = None

    def __init__(
        self, info: SessionInfo, handler: Handler, ended: Callable[[LocalSession, bool], None]
    ) -> None:
        self.info = info
        self.counters = Counters()
        self.open = True
        self.subscriptions: set[object] = set()
        self.end_cause: EndCause = "other"
        self.killed_by: int | None = None
        self.close_reason: str | None = None
        self._handler = handler
        self._ended = ended
        self._after_reply: list[Callable[[], None]] = []
        self._close_after: str | None = None
        self._notified: Notified | None = None
        self._on_end: Callable[[str], None] | None = None
        self._calls = 0

    @property
    def user(self) -> str:
        """Whose session this is."""
        return self.info.user

    # --- for the program that uses the session

    async def call(self, operation: etree._Element) -> AsyncIterator[bytes]:
        """Yield the body of the reply to an operation, nothing for `<ok/>`.

        Raises RpcError where the server refuses it, ConnectionError once the session is over.
        """
        if not self.open:
            raise ConnectionError(f"the session is over: {self.close_reason}")
        self._calls += 1
        self.counters.in_rpcs += 1
        try:
            reply = await self._answer(operation)
        except RpcError as error:
            self.counters.out_rpc_errors += len(error.all)
            self._after_reply.clear()
            raise
        if isinstance(reply, AsyncIterator):
            async for piece in reply:
                if not self.open:
                    raise ConnectionError(f"the session is over: {self.close_reason}")
                yield piece
        else:
            for item in reply or ():
                yield item if isinstance(item, bytes) else to_bytes(item)
        self._replied()

    async def _answer(self, operation: etree._Element) -> Reply:
        call = RpcCall(self.info, str(self._calls), operation, to_bytes(operation))
        try:
            return await self._handler(call)
        except RpcError:
            raise
        except Exception as error:
            log.exception("rpc-handler-failed", session=self.info.id, operation=operation.tag)
            raise RpcError.operation_failed("the server failed inside; its log says why") from error

    def _replied(self) -> None:
        actions, self._after_reply = self._after_reply, []
        for action in actions:
            action()
        if self._close_after is not None:
            self.close(self._close_after)

    def on_notification(self, callback: Notified | None) -> None:
        """Have `callback` given each notification of the session's subscription; without one all are lost."""
        self._notified = callback

    def on_end(self, callback: Callable[[str], None]) -> None:
        """Have `callback` given the reason when the session ends by another hand."""
        self._on_end = callback

    # --- what every session offers its server

    def notify(self, content: Body, event_time: str, *, hold: bool = False) -> None:  # noqa: ARG002
        """Hand a notification over."""
        if self.open:
            self.counters.out_notifications += 1
            if self._notified is not None:
                self._notified(event_time, b"".join(to_pieces(content)))

    def release(self) -> None:
        """Nothing was held."""

    def after_reply(self, action: Callable[[], None]) -> None:
        """Have `action` called once the operation being handled is answered."""
        self._after_reply.append(action)

    def close_after_reply(self, reason: str) -> None:
        """End once the operation being handled is answered."""
        self._close_after = reason

    def kill(self, reason: str, by: int | None = None) -> None:
        """End at once, by the wish of another session (`by`)."""
        self.end_cause, self.killed_by = "killed", by
        self._end(reason, orderly=False)

    def close(self, reason: str, cause: EndCause = "closed") -> None:
        """End in order."""
        self.end_cause = cause
        self._end(reason, orderly=True)

    @property
    def backlog(self) -> int:
        """Nothing waits: what is sent is handed over at once."""
        return 0

    async def drained(self) -> None:
        """Nothing waits."""

    def _end(self, reason: str, *, orderly: bool) -> None:
        if not self.open:
            return
        self.open = False
        self.close_reason = reason
        log.info("session-ended", session=self.info.id, user=self.info.user, reason=reason)
        self._ended(self, orderly)
        if self._on_end is not None:
            self._on_end(reason)
