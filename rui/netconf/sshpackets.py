"""What an SSH library does with each packet besides carrying it: what of that is left out."""

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


def untold(packets_of: Any) -> None:
    """Leave out the log of every packet of an asyncssh connection or channel: its words are made up and then
    thrown away unless someone debugs SSH itself, at a good part of what a small packet costs.
    """
    packets_of.log_sent_packet = packets_of.log_received_packet = _nothing


def _nothing(*_told: object) -> None:
    pass
