from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from lxml import etree

from rui.backup import wire
from rui.backup.identity import IdentityNotification, IdentityResult, Role
from rui.backup.messages import (
    Batch,
    Change,
    Position,
    Quarantined,
    Receipt,
    Result,
    SnapshotPage,
    SnapshotProgress,
    Stream,
)
from rui.backup.record import UserInfo
from rui.backup.version import ZERO, Epoch
from rui.netconf import names
from rui.netconf.messages import MessageParser
from tests.unit.backup.histories import GROUP, A, changes, gone, key, version

RECORD = UserInfo("02:00:00:00:00:01", circuit_id=b"</record>", logical_port="a & b").encode()
BATCH = Batch(GROUP, A, Stream(ZERO, version(2)), (Change(key(1), version(1), RECORD), gone(2, 2)))
PARTLY = Position(version(5), SnapshotProgress(version(20), 100, version(22)))


def sent(batch: Batch, name: str = wire.UPLOAD) -> bytes:
    return b"<notification>" + b"".join(wire.encode_batch(batch, name)) + b"</notification>"


def received(raw: bytes) -> Batch:
    return wire.decode_batch(etree.fromstring(raw)[0], raw)


@pytest.mark.parametrize("name", [wire.UPLOAD, wire.DELIVER])
def test_a_batch_reads_back_with_its_records_untouched(name: str) -> None:
    assert received(sent(BATCH, name)) == BATCH


def test_a_snapshot_page_reads_back() -> None:
    page = Batch(GROUP, A, SnapshotPage(version(9), 0, 4095), ())
    assert received(sent(page)) == page


def test_origins_go_along_as_a_reply_s_body_too() -> None:
    adopted = replace(BATCH, origins={key(1): version(7, Epoch(2, "bras-b")), key(2): ZERO})
    assert received(sent(adopted)) == adopted
    body = b"".join(wire.encode_batch_body(adopted, declare=True))
    raw = b"<rpc-reply>%s</rpc-reply>" % body
    assert wire.decode_batch(etree.fromstring(raw), raw) == adopted


@given(changes())
def test_any_history_reads_back(history: list[Change]) -> None:
    batch = Batch(GROUP, A, Stream(ZERO, history[-1].version), tuple(history))
    assert received(sent(batch)) == batch


def test_another_encoder_s_white_space_and_prefixes_are_understood() -> None:
    foreign = f"""<n><b:user-info-upload xmlns:b="{wire.BACKUP}">
      <b:group-id>g1</b:group-id> <b:writer> 1@bras-a </b:writer>
      <b:stream><b:prev/><b:last>1@bras-a/2</b:last></b:stream>
      <b:change><b:key>{key(1).decode()}</b:key> <b:version>1@bras-a/1</b:version>
        <b:record> <user xmlns="{wire.USER_INFO}"><state>online</state></user> </b:record></b:change>
      <b:change><b:key>{key(2).decode()}</b:key><b:version>1@bras-a/2</b:version><b:deleted/></b:change>
    </b:user-info-upload></n>""".encode()
    batch = received(foreign)
    assert batch.part == Stream(ZERO, version(2))
    record = f'<user xmlns="{wire.USER_INFO}"><state>online</state></user>'.encode()
    assert batch.changes == (Change(key(1), version(1), record), gone(2, 2))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"<writer>1@bras-a</writer>", b"", "lacks writer"),
        (b"<writer>1@bras-a</writer>", b"<writer>one</writer>", "COUNTER@DEVICE-ID"),
        (b"<last>1@bras-a/2</last>", b"<last>2</last>", "7@bras-a/1024"),
        (b"<stream><prev></prev><last>1@bras-a/2</last></stream>", b"", "neither stream nor snapshot"),
        (b"<version>1@bras-a/2</version>", b"<version>1@bras-a/x</version>", "not a version"),
        (b"<record>" + RECORD + b"</record>", b"<record></record>", "0 elements"),
    ],
)
def test_a_batch_that_lacks_a_part_is_refused_by_name(old: bytes, new: bytes, why: str) -> None:
    raw = sent(BATCH)
    assert old in raw
    with pytest.raises(wire.WireError, match=why):
        received(raw.replace(old, new))


@pytest.mark.parametrize(
    "receipt",
    [
        Receipt(GROUP, Result.STORED, Position(version(5))),
        Receipt(GROUP, Result.GAP, Position(), "batch follows 1@bras-a/9"),
        Receipt(GROUP, Result.STORED, PARTLY, "", (Quarantined(key(1), version(3), "lease-time"),)),
    ],
)
def test_a_receipt_reads_back(receipt: Receipt) -> None:
    again = etree.fromstring(etree.tostring(wire.encode_receipt(receipt)))
    assert wire.decode_receipt(again) == receipt


def test_an_impossible_result_is_refused() -> None:
    element = wire.encode_receipt(Receipt(GROUP, Result.STORED, Position()))
    element[1].text = "perhaps"
    with pytest.raises(wire.WireError, match="perhaps"):
        wire.decode_receipt(element)


@pytest.mark.parametrize(
    ("notification", "name"),
    [
        (
            IdentityNotification(GROUP, "bras-a", "192.0.2.1", Role.PRIMARY, A, Position(version(2))),
            "first-identity",
        ),
        (
            IdentityNotification(GROUP, "bras-b", "192.0.2.2", Role.SECONDARY, A, PARTLY),
            "second-identity",
        ),
    ],
)
def test_an_identity_notification_reads_back(notification: IdentityNotification, name: str) -> None:
    element = etree.fromstring(etree.tostring(wire.encode_identity(notification)))
    assert etree.QName(element).localname == name
    assert wire.decode_identity(element) == notification


@pytest.mark.parametrize("accepted", [True, False])
def test_an_identity_result_reads_back(accepted: bool) -> None:
    result = IdentityResult(GROUP, "bras-a", accepted, "why", Epoch(3, "bras-b"), "store-1", PARTLY)
    element = etree.fromstring(etree.tostring(wire.encode_identity_result(result)))
    assert wire.decode_identity_result(element) == result


def test_records_that_the_session_left_out_of_the_tree_are_read_from_the_bytes() -> None:
    """Also where they are not written as we write them, so that the tree is needed."""
    raw = (
        f'<r:deliver-user-info xmlns:r="{wire.BACKUP}"><r:group-id>g</r:group-id>'
        "<r:writer>7@bras-a</r:writer><r:stream><r:prev/><r:last>7@bras-a/1</r:last></r:stream><r:change><r:key>k</r:key>"
        '<r:version>7@bras-a/1</r:version><r:record><user xmlns="urn:u">x</user></r:record></r:change>'
        "</r:deliver-user-info>"
    ).encode()
    element = etree.fromstring(raw)
    for record in element.iter(f"{{{wire.BACKUP}}}record"):
        record.remove(record[0])
    assert [change.record for change in wire.decode_batch(element, raw).changes] == [
        b'<user xmlns="urn:u">x</user>'
    ]


@pytest.mark.parametrize("declared", [b"", b' xmlns="%s"' % wire.BACKUP.encode()])
@given(sent=changes())
def test_a_batch_that_the_session_has_cut_reads_back(declared: bytes, sent: list[Change]) -> None:
    """Also where a change is written in another way, so that the bytes are needed."""
    batch = Batch(GROUP, A, Stream(ZERO, version(9)), tuple(sent))
    front = f'<rpc xmlns="{names.BASE}" message-id="1">'.encode()
    raw = front + b"".join(wire.encode_batch(batch, wire.DELIVER)) + b"</rpc>"
    raw = raw.replace(b"<change>", b"<change%s>" % declared)
    root, bulk = MessageParser({wire.DELIVER}).read(raw)
    assert wire.decode_batch(root[0], raw, bulk) == batch


USER = '<u xmlns="urn:u"/>'
PLAIN = "<key>k</key><version>7@bras-a/1</version>"


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        (
            f"{PLAIN}<record>{USER}</record\n></change ><change >{PLAIN}<deleted/>",
            2,
        ),
        (f"{PLAIN}<deleted/></change>\n<change>{PLAIN}<record>{USER}</record>", 2),
        (f"<version>7@bras-a/1</version><key>k</key><record>{USER}</record>", 1),
    ],
)
def test_changes_that_are_not_plain_are_all_read(changes: str, held: int) -> None:
    raw = deliver(changes)
    root, bulk = MessageParser({wire.DELIVER}).read(raw)
    assert len(wire.decode_batch(root[0], raw, bulk).changes) == held


@pytest.mark.parametrize(
    "changes",
    [
        f"<key>k</key><version>/5</version><record>{USER}</record>",
        f"<key>k</key><version>7@bras-a/01</version><record>{USER}</record>",
        f"<key>k</key><version>7@bras-a/+1</version><record>{USER}</record>",
        f"{PLAIN}<more/><record>{USER}</record>",
        f"{PLAIN}<record>{USER}</record><deleted/>",
        f'{PLAIN}<record xmlns="urn:other">{USER}</record><x><record>1</record></x>',
        f"{PLAIN}<record>{USER}</record></record>",
        f"{PLAIN}<record>{USER}</record></deliver-user-info><deliver-user-info>{PLAIN}<record>{USER}</record>",
    ],
)
def test_what_no_change_may_be_is_refused(changes: str) -> None:
    raw = deliver(changes)
    root, bulk = MessageParser({wire.DELIVER}).read(raw)
    with pytest.raises(wire.WireError):
        wire.decode_batch(root[0], raw, bulk)


def deliver(changes: str) -> bytes:
    head = "<group-id>g</group-id><writer>7@bras-a</writer><stream><prev/><last>7@bras-a/2</last></stream>"
    body = f'<deliver-user-info xmlns="{wire.BACKUP}">{head}<change>{changes}</change></deliver-user-info>'
    return f'<rpc xmlns="{names.BASE}" message-id="1">{body}</rpc>'.encode()
