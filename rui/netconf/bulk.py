"""Bulk messages: an operation or notification that ends with thousands of entries, each with a `record`.

The entries are somebody else's to read: as bytes, out of the message as it came, each checked by itself. So
a message with one of the given names is parsed without them, where that needs no more than finding tags. An
entry that is not well-formed then is no fault of the message; whoever reads the entries takes each for one
only where it is whole, and else has the message parsed.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from rui.netconf import names

_RECORD = b"<record>"
_DECLARATION = re.compile(rb"\s*<\?xml[^>]*\?>")
_ENVELOPE = rb"\s*<(?:rpc\b[^>]*|notification\b[^>]*>\s*<eventTime>[^<]*</eventTime)>\s*"
# The end of the last entry, of the operation, of the message.
_TAIL = re.compile(rb"</([\w.-]+)>(</([\w.-]+)>\s*</(?:rpc|notification)>\s*)")
_LONGEST_TAIL = 400


@dataclass(frozen=True, slots=True)
class Bulk:
    """A message whose entries were cut out: what is left of it, and where the entries stand in the message.

    They are elements `tag` without attributes, from octet `begin` to octet `end`.
    """

    envelope: bytes
    message: bytes
    begin: int
    end: int
    tag: bytes

    def entries(self) -> list[bytes]:
        """Return the content of each entry in order."""
        start, end = b"<%b>" % self.tag, b"</%b>" % self.tag
        return self.message[self.begin + len(start) : self.end - len(end)].split(end + start)


class BulkMessages:
    """Recognises bulk messages by the lxml tags of their operations or notifications."""

    def __init__(self, tags: Collection[str]) -> None:
        fronts = []
        for tag in sorted(tags):
            namespace, name = names.split(tag)
            fronts.append(f'({re.escape(name)}) xmlns="{re.escape(namespace or "")}"'.encode())
        # An empty alternative would match any message.
        self._front = re.compile(_ENVELOPE + b"<(?:" + b"|".join(fronts) + b")[ >]") if fronts else None

    def cut(self, message: bytes) -> Bulk | None:
        """Return a bulk message in parts; None where tags do not tell them, and for other messages."""
        declaration = _DECLARATION.match(message)
        begin = declaration.end() if declaration is not None else 0
        front = self._front.match(message, begin) if self._front is not None else None
        if front is None or front.lastindex is None:
            return None
        return _cut(message, begin, front[front.lastindex])


def _cut(message: bytes, begin: int, operation: bytes) -> Bulk | None:
    # Inside comments, CDATA and processing instructions what looks like a tag is none. One octet is found
    # fastest.
    for mark in (b"<!", b"<?"):
        at = message.find(mark[1:], begin)
        if at > 0 and message.find(mark, at - 1) >= 0:
            return None
    tail = _tail(message)
    if tail is None or tail[3] != operation:
        return None
    first = message.find(b"<%b>" % tail[1], begin)
    # Entries are what holds the records: not some other element at the end.
    if not 0 <= first < message.find(_RECORD, begin):
        return None
    return Bulk(message[begin:first] + tail[2], message, first, tail.end(1) + 1, tail[1])


def _tail(message: bytes) -> re.Match[bytes] | None:
    at = message.rfind(b"</", max(0, len(message) - _LONGEST_TAIL))
    for _ in range(2):
        at = message.rfind(b"</", 0, max(at, 0))
    return _TAIL.fullmatch(message, at) if at >= 0 else None
