"""Bulk messages: the content of their `record` elements is cut out before the envelope is validated.

The records are validated one by one by the handler, which stores what is good and reports the rest; the
envelope around thousands of them is checked by libyang as any message is.
"""

from __future__ import annotations

import re

from lxml import etree

_START = re.compile(rb"<((?:[\w.-]+:)?record)>")
# Where there may be comments, CDATA, processing instructions (one octet is found fastest) or tags that are
# not written in the plainest way, markup cannot be told by looking for tags, and the tree is used instead.
_MARKUP = (b"!", b"?")
_ODD_TAG = re.compile(rb"record[ \t\r\n]")
_DECLARATION = re.compile(rb"\s*<\?xml[^>]*\?>")


def without_records(raw: bytes, operation: etree._Element) -> etree._Element:
    """The operation without the content of its records, taken from the raw message if that is safe."""
    cut = _cut(raw)
    if cut is not None:
        envelope = etree.fromstring(cut, _PARSER)
        return next(child for child in envelope if child.tag == operation.tag)
    return _emptied(operation)


def _cut(raw: bytes) -> bytes | None:
    """The message with every record empty; None where that would take more than finding tags."""
    declaration = _DECLARATION.match(raw)
    begin = declaration.end() if declaration is not None else 0
    first = _START.search(raw, begin)
    if first is None or any(raw.find(mark, begin) >= 0 for mark in _MARKUP) or _ODD_TAG.search(raw, begin):
        return None
    start, end = b"<" + first[1] + b">", b"</" + first[1] + b">"
    parts = raw[begin:].split(end)
    kept = []
    for part in parts[:-1]:
        head, found, content = part.partition(start)
        if not found or start in content:
            return None
        kept.append(head + found)
    if start in parts[-1]:
        return None
    return end.join((*kept, parts[-1]))


def _emptied(operation: etree._Element) -> etree._Element:
    copy = etree.fromstring(etree.tostring(operation, with_tail=False), _PARSER)
    records = [element for element in copy.iter(etree.Element) if etree.QName(element).localname == "record"]
    for record in records:
        for child in list(record):
            record.remove(child)
        record.text = None
    return copy


_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
)
