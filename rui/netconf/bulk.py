"""Bulk messages: an operation or notification that carries thousands of `record` elements.

The records are somebody else's to read: as bytes, out of the message as it came, each checked by itself. So
a message with one of the given names is parsed without them, where that needs no more than finding tags. A
record that is not well-formed then is no fault of the message.
"""

import re
from collections.abc import Collection
from typing import NamedTuple

from rui.netconf import names

_TAG = re.compile(rb"<((?:[\w.-]+:)?record)>")
# Where there may be comments, CDATA, processing instructions (one octet is found fastest) or tags that are
# not written in the plainest way, markup cannot be told by looking for tags.
_MARKUP = (b"!", b"?")
_ODD_TAG = re.compile(rb"record[ \t\r\n]")
_DECLARATION = re.compile(rb"\s*<\?xml[^>]*\?>")
_ENVELOPE = rb"\s*<(?:rpc\b[^>]*|notification\b[^>]*>\s*<eventTime>[^<]*</eventTime)>\s*"


class Bulk(NamedTuple):
    """A message whose records were cut out: it with every record empty, and their content in order."""

    envelope: bytes
    records: tuple[bytes, ...]


class BulkMessages:
    """Recognises bulk messages by the lxml tags of their operations or notifications."""

    def __init__(self, tags: Collection[str]) -> None:
        fronts = []
        for tag in sorted(tags):
            namespace, name = names.split(tag)
            fronts.append(f'{re.escape(name)} xmlns="{re.escape(namespace or "")}"'.encode())
        # An empty alternative would match any message.
        self._front = re.compile(_ENVELOPE + b"<(?:" + b"|".join(fronts) + b")[ >]") if fronts else None

    def cut(self, message: bytes) -> Bulk | None:
        """Return a bulk message in parts; None where tags do not tell them, and for other messages."""
        declaration = _DECLARATION.match(message)
        begin = declaration.end() if declaration is not None else 0
        front = self._front.match(message, begin) if self._front is not None else None
        return None if front is None else _cut(message, begin)


def _cut(message: bytes, begin: int) -> Bulk | None:
    first = _TAG.search(message, begin)
    if first is None or any(message.find(mark, begin) >= 0 for mark in _MARKUP):
        return None
    start, end = b"<" + first[1] + b">", b"</" + first[1] + b">"
    kept: list[bytes] = []
    records: list[bytes] = []
    copied, at = begin, first.start()
    while at >= 0:
        opened = at + len(start)
        closed = message.find(end, opened)
        if closed < 0:
            return None
        kept.append(message[copied:opened])
        records.append(message[opened:closed])
        copied, at = closed, message.find(start, closed)
    # A tag more than these, however it is written: what lies around it may be part of a record.
    if message.count(b"record", begin) != 2 * len(kept) and (
        message.count(start, begin) != len(kept)
        or message.count(end, begin) != len(kept)
        or _ODD_TAG.search(message, begin) is not None
    ):
        return None
    return Bulk(b"".join((*kept, message[copied:])), tuple(records))
