"""A reply that is handed on while it comes: from the decoder's parts to the events of one message.

Which reply it is says the start tag of rpc-reply. A reply that begins with an rpc-error, one to another rpc
and a notification are gathered as ever; so is everything while no streamed reply is due.
"""

import re
from typing import Final

from lxml import etree

from rui.netconf import messages, names

# What may stand between tags at the beginning. Atomic, for this looks at what a stranger sends.
_BETWEEN: Final = rb"(?:\s|<\?(?>.*?\?>)|<!--(?>.*?-->))*+"
_START: Final = rb"""(<([^\s<>/!?&"'=]++)(?:[^<>"']|"[^"]*"|'[^']*')*+>)"""
_FIRST_INSIDE: Final = rb"<(?:[^\s<>:/!?]++:)?([^\s<>/:!?]++)[\s/>]"
_ROOT = re.compile(
    rb"(?:\xef\xbb\xbf)?" + _BETWEEN + _START + _BETWEEN + _FIRST_INSIDE,
    re.DOTALL,
)
# A beginning that is not clear after so many octets is that of no reply worth streaming.
_LONGEST_HEAD: Final = 8192


class Head:
    """The beginning of the message that comes, gathered until it is known what it is."""

    def __init__(self) -> None:
        self._gathered = bytearray()
        self._decided = False

    def __len__(self) -> int:
        return len(self._gathered)

    def add(self, part: bytes) -> str | None:
        """Add octets; return the message-id once this is known to be a reply with content, at most once."""
        self._gathered += part
        if self._decided or not part:
            return None
        match = _ROOT.match(self._gathered)
        self._decided = match is not None or len(self._gathered) > _LONGEST_HEAD
        return None if match is None or match[3] == b"rpc-error" else _reply_to(match[1], match[2])

    def take(self) -> bytes:
        """Return what was gathered and begin with the next message."""
        gathered = bytes(self._gathered)
        self._gathered.clear()
        self._decided = False
        return gathered


def _reply_to(start: bytes, name: bytes) -> str | None:
    """The message-id of an rpc-reply by its start tag, None for any other element."""
    closed = start if start.endswith(b"/>") else b"%s</%s>" % (start, name)
    try:
        root = messages.MessageParser().parse(closed)
    except messages.MessageError:
        return None
    return root.get("message-id") if _is_reply(root) else None


def _is_reply(root: etree._Element) -> bool:
    return root.tag == names.RPC_REPLY
