"""Which packets of an SSH library go to the peer: those that carry something."""

from collections.abc import Callable
from typing import Any, Final

_MSG_IGNORE: Final = 2


def without_empty_ones(send: Callable[..., None]) -> Callable[..., None]:
    """Return asyncssh's `send_packet` of a connection without the MSG_IGNORE (RFC 4253 11.2) that it sends
    before every packet.

    They guard CBC ciphers against guessed IVs; none of ours is one, and they double the packets, the system
    calls and the other side's work, which for small messages is most of their cost. asyncssh (2.24) has no
    switch for it.
    """

    def send_packet(pkttype: int, *args: bytes, **how: Any) -> None:
        if pkttype != _MSG_IGNORE:
            send(pkttype, *args, **how)

    return send_packet
