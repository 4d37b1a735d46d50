"""What the rooms that answer rpcs and streams share: a subscribed session, and reading a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
from lxml import etree

from netconf_server import NetconfServer, Subscription
from rui.netconf.errors import RpcError

log = structlog.get_logger(__name__)

_T = TypeVar("_T")


class Listener:
    """One session's subscription to a stream: of the cloud, or of a peer that has dialled."""

    def __init__(self, server: NetconfServer, subscription: Subscription) -> None:
        self._server = server
        self._subscription = subscription

    @property
    def id(self) -> int:
        """The session-id."""
        return self._subscription.session.id

    def notify(self, content: etree._Element | Sequence[bytes]) -> None:
        """Send one notification to this session only.

        An element is checked against the model; a batch is made of records that were checked when they
        were made.
        """
        self._subscription.notify(content, validate=isinstance(content, etree._Element))

    def close(self, reason: str) -> None:
        """End the session; whoever dialled it dials again."""
        session = self._subscription.session
        log.warning("session-given-up", user=session.user, session=self.id, reason=reason)
        self._server.end_session(self.id, reason)


def decoded(read: Callable[[], _T]) -> _T:
    """Return what ``read`` makes of a request; raises RpcError for what the model's patterns let through."""
    try:
        return read()
    except ValueError as error:
        # WireError and VersionError: only the whole can tell
        raise RpcError.invalid_value(str(error)) from error
