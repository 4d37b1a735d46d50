"""Bulk messages: their envelope is validated without the content of its `record` elements.

The records are validated one by one by the handler, from the bytes of the message. Where finding tags was
enough the session core has left out of the tree the entries that hold them (`rui.netconf.bulk`), and the
handler validates those too; here the records of other messages are left out.
"""

from __future__ import annotations

from lxml import etree

from netconf_server.xmltree import reparsed


def without_records(operation: etree._Element) -> etree._Element:
    """The operation with every record empty: itself where they are, else a copy."""
    if all(len(record) == 0 and not record.text for record in _records(operation)):
        return operation
    copy = reparsed(operation)
    for record in _records(copy):
        for child in list(record):
            record.remove(child)
        record.text = None
    return copy


def _records(operation: etree._Element) -> list[etree._Element]:
    return list(operation.iter("{*}record"))
