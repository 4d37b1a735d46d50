"""What an rpc handler is given and what it may give back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from lxml import etree

from rui.netconf.bulk import Bulk


@dataclass(frozen=True)
class SessionInfo:
    """Who calls: `id` is the session-id, `peer` the address as HOST:PORT text, `login_time` in UTC."""

    id: int
    user: str
    peer: str
    transport: str
    login_time: datetime


@dataclass(frozen=True)
class RpcCall:
    """One rpc: its `operation` element (not to be changed), and `raw`, the bytes of the whole message as
    received. Where the session has cut entries out of it, `bulk` holds them.
    """

    session: SessionInfo
    message_id: str
    operation: etree._Element
    raw: bytes
    bulk: Bulk | None = None


Reply: TypeAlias = "Sequence[etree._Element] | Sequence[bytes] | AsyncIterator[bytes] | None"
"""None is `<ok/>`; elements are the body of the rpc-reply; bytes are pieces of that body, sent unchanged,
which may be cut anywhere and whose outermost elements declare their namespace; an iterator streams such
pieces."""

Handler: TypeAlias = Callable[[RpcCall], Awaitable[Reply]]
"""Answers one rpc. Raises rui.netconf.errors.RpcError to refuse it; anything else raised is logged and
answered by `operation-failed`. Once a streamed reply has begun a fault can only end the session."""
