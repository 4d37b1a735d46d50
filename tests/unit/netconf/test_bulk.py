"""Bulk messages: parsed without their records' content where that is safe, and whole where it is not."""

import pytest
from lxml import etree

from rui.netconf import names
from rui.netconf.bulk import BulkMessages
from rui.netconf.messages import MessageError, MessageParser

NS = "urn:example:bulk"
TAGS = frozenset({f"{{{NS}}}store", f"{{{NS}}}stored"})
RECORD = '<user xmlns="urn:other"><name>a &lt;b&gt;</name><record-id>7</record-id></user>'


def change(key: str, record: str) -> str:
    return f"<change><key>{key}</key><record>{record}</record></change>"


GONE = "<change><key>k2</key><deleted/></change>"


def rpc(*changes: str, name: str = "store") -> bytes:
    body = f'<{name} xmlns="{NS}"><a/>{"".join(changes)}</{name}>'
    return f'<rpc xmlns="{names.BASE}" message-id="1">{body}</rpc>'.encode()


def notification(*changes: str) -> bytes:
    body = f'<stored xmlns="{NS}">{"".join(changes)}</stored>'
    front = f'<notification xmlns="{names.NOTIFICATION}"><eventTime>2026-11-23T00:00:00Z</eventTime>'
    return f"{front}\n{body}</notification>".encode()


def parsed(message: bytes) -> etree._Element:
    return MessageParser(TAGS).parse(message)


def keys(root: etree._Element) -> list[str | None]:
    return [key.text for key in root.iter(f"{{{NS}}}key")]


def contents(root: etree._Element) -> list[int]:
    return [len(record) for record in root.iter(f"{{{NS}}}record")]


@pytest.mark.parametrize("make", [rpc, notification])
@pytest.mark.parametrize("front", [b"", b'<?xml version="1.0" encoding="UTF-8"?>\n'])
def test_entries_are_left_out_and_the_rest_stays(make: object, front: bytes) -> None:
    assert callable(make)
    message = front + make(change("k1", RECORD), GONE, change("k3", "<x/>"))
    root, bulk = MessageParser(TAGS).read(message)
    assert bulk is not None
    assert b"".join(b"<change>" + entry + b"</change>" for entry in bulk.entries()) in message
    assert len(bulk.entries()) == 3
    assert keys(root) == []
    whole = MessageParser().parse(message)
    assert keys(whole) == ["k1", "k2", "k3"]
    for gone in list(whole[-1].iter(f"{{{NS}}}change")):
        whole[-1].remove(gone)
    assert etree.tostring(root) == etree.tostring(whole)


def test_other_messages_are_parsed_whole() -> None:
    assert contents(parsed(rpc(change("k", RECORD), name="edit"))) == [1]
    prefixed = rpc(change("k", RECORD)).replace(b"<store ", b"<t:store ").replace(b"</store>", b"</t:store>")
    assert contents(parsed(prefixed.replace(b'xmlns="urn:example', b'xmlns:t="u" xmlns="urn:example'))) == [1]


@pytest.mark.parametrize(
    "message",
    [
        rpc(change("k", "<!-- </record> -->" + RECORD)),
        rpc(change("k", "<![CDATA[</record>]]>" + RECORD)),
        rpc(change("k", "<?x </record> ?>" + RECORD)),
        rpc("<change><key>k</key><record/></change>"),
        rpc(change("k", RECORD), "<last/>"),
        rpc(change("k", RECORD), "<last>1</last>"),
        rpc(change("k", RECORD)).replace(b"</store>", b"</store >"),
        rpc(change("k", RECORD)).replace(b"<change>", b'<change a="b">'),
        rpc(GONE),
        rpc(),
    ],
)
def test_what_tags_do_not_tell_is_left_to_the_parser(message: bytes) -> None:
    assert BulkMessages(TAGS).cut(message) is None
    assert keys(parsed(message)) == keys(etree.fromstring(message))


@pytest.mark.parametrize(
    "between", ["<x/>", "\n", "</change ><change >", "<change><key>h</key><record>x</record\n></change\n>"]
)
def test_what_is_not_told_apart_stays_in_one_entry(between: str) -> None:
    """So that whoever reads it finds that it is not whole, and has all of it parsed."""
    bulk = BulkMessages(TAGS).cut(rpc(change("k1", RECORD) + between + change("k2", RECORD)))
    assert bulk is not None
    inside = between.removeprefix("<change>").encode()
    assert any(inside in entry for entry in bulk.entries())


def test_a_broken_record_is_no_fault_of_the_message() -> None:
    broken = rpc(change("k1", "<user><name></user>"), change("k2", RECORD))
    bulk = BulkMessages(TAGS).cut(broken)
    assert bulk is not None
    assert len(bulk.entries()) == 2
    with pytest.raises(MessageError):
        MessageParser().parse(broken)


def test_without_names_no_message_is_a_bulk_message() -> None:
    assert BulkMessages(()).cut(rpc(change("k", RECORD))) is None


def test_ten_thousand_entries_are_left_out_in_one_go() -> None:
    root = parsed(rpc(*(change(f"k{i}", RECORD) for i in range(10_000))))
    assert keys(root) == []
