"""A batch read at once with its check, and one change after the other: both must come to the same."""

from __future__ import annotations

from lxml import etree

from rui.backup import wire
from rui.backup.inspection import Inspector
from rui.backup.messages import Batch, Change, Quarantined, Stream
from rui.backup.version import ZERO
from rui.netconf import names
from rui.netconf.bulk import Bulk
from rui.netconf.messages import MessageError, MessageParser
from tests.unit.backup.histories import GROUP, A, version


def message(body: bytes, group: str = GROUP) -> bytes:
    batch = Batch(group, A, Stream(ZERO, version(9)), (Change(b"@", version(1), b"@"),))
    whole = b"".join(wire.encode_batch(batch, wire.DELIVER))
    begin, end = whole.index(b"<change>"), whole.index(b"</change>") + len(b"</change>")
    return b'<rpc xmlns="%b" message-id="1">%b</rpc>' % (
        names.BASE.encode(),
        whole[:begin] + body + whole[end:],
    )


def parts(raw: bytes) -> tuple[etree._Element, bytes, Bulk | None]:
    root, bulk = MessageParser({wire.DELIVER}).read(raw)
    return root[0], raw, bulk


Found = tuple[Batch, tuple[Quarantined, ...]] | str


def found(inspector: Inspector, batch: Batch) -> Found:
    return batch, inspector.refused(batch)


def at_once(inspector: Inspector, raw: bytes) -> Found:
    try:
        return found(inspector, inspector.read(*parts(raw)))
    except (wire.WireError, MessageError) as error:
        return str(error)


def one_after_the_other(inspector: Inspector, raw: bytes) -> Found:
    try:
        return found(inspector, wire.decode_batch(*parts(raw)))
    except (wire.WireError, MessageError) as error:
        return str(error)
