"""What a command line needs below it: one NETCONF session, in this process or over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from lxml import etree


class Session(Protocol):
    """One user's session. One operation at a time."""

    @property
    def user(self) -> str:
        """Whose session it is."""

    def call(self, operation: etree._Element) -> AsyncIterator[bytes]:
        """Yield the body of the reply in pieces, nothing for `<ok/>`.

        Raises RpcError where the server refuses, ConnectionError once the session is over.
        """

    def on_notification(self, callback: Callable[[str, bytes], None] | None) -> None:
        """Have `callback` given time and content of each notification."""

    def on_end(self, callback: Callable[[str], None]) -> None:
        """Have `callback` given the reason when the session ends by another hand."""

    def close(self, reason: str) -> None:
        """End the session."""


async def done(pieces: AsyncIterator[bytes]) -> bytes:
    """Read a reply to its end; for replies that are known to be small. Raises as `Session.call`."""
    return b"".join([piece async for piece in pieces])
