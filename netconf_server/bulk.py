"""Bulk messages: the content of their `record` elements is cut out before the envelope is validated.

The records are validated one by one by the handler, which stores what is good and reports the rest; the
envelope around thousands of them is checked by libyang as any message is.
"""

from __future__ import annotations

import re

from lxml import etree

# From tag to tag, never octet by octet: a record is skipped in some microseconds.
_RECORD = re.compile(rb"(<((?:[\w.-]+:)?record)(?:\s[^<>]*)?(?<!/)>)[^<]*+(?:<(?!/\2\s*>)[^<]*+)*+(</\2\s*>)")
# Where these occur, a regular expression cannot tell markup from text.
_SPECIAL = b"<!"


def without_records(raw: bytes, operation: etree._Element) -> etree._Element:
    """The operation without the content of its records: from the raw message, or from the tree where that
    is safer.
    """
    if _SPECIAL not in raw:
        try:
            envelope = etree.fromstring(_RECORD.sub(rb"\1\3", raw), _PARSER)
        except etree.XMLSyntaxError:
            # A record inside a record: the shortest match was not the element's end.
            pass
        else:
            children = [child for child in envelope if child.tag == operation.tag]
            if len(children) == 1:
                return children[0]
    return _emptied(operation)


def _emptied(operation: etree._Element) -> etree._Element:
    copy = etree.fromstring(etree.tostring(operation, with_tail=False), _PARSER)
    for record in [element for element in copy.iter(etree.Element) if _is_record(element)]:
        for child in list(record):
            record.remove(child)
        record.text = None
    return copy


def _is_record(element: etree._Element) -> bool:
    return etree.QName(element).localname == "record"


_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
)
