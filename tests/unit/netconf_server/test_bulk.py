from __future__ import annotations

import pytest
from lxml import etree

from netconf_server.bulk import without_records
from rui.netconf import names
from tests.integration.netconf_server_rig import TOY, toy, toy_schema

RECORD = '<user xmlns="urn:other"><name>a &lt;b&gt;</name><record-id>7</record-id></user>'


def change(key: str, record: str, name: str = "record", attributes: str = "") -> str:
    return f"<change><key>{key}</key><{name}{attributes}>{record}</{name.split(' ', maxsplit=1)[0]}></change>"


def store(*changes: str, prefix: str = "") -> bytes:
    body = f'<store xmlns="{TOY}"><a/>{"".join(changes)}</store>'
    return f'<rpc xmlns="{names.BASE}" message-id="1">{body}</rpc>'.encode()


def emptied(raw: bytes) -> etree._Element:
    return without_records(raw, etree.fromstring(raw)[0])


def test_records_are_cut_out_and_the_rest_stays() -> None:
    raw = store(change("k1", RECORD), "<change><key>k2</key><deleted/></change>", change("k3", RECORD))
    envelope = emptied(raw)
    assert [key.text for key in envelope.iter(toy("key"))] == ["k1", "k2", "k3"]
    assert [len(record) for record in envelope.iter(toy("record"))] == [0, 0]
    assert envelope.find(f".//{toy('deleted')}") is not None


PREFIXED = f'<change><key>k</key><t:record xmlns:t="{TOY}">{RECORD}</t:record></change>'


@pytest.mark.parametrize(
    "raw",
    [
        store(change("k", RECORD, attributes=' a="x"')),
        store(change("k", RECORD, attributes=' a="/"')),
        store(change("k", "")),
        store("<change><key>k</key><record/></change>"),
        store(change("k", f"<record>{RECORD}</record>")),
        store(change("k", f"{RECORD}<record/>")),
        store(change("k", "<![CDATA[</record>]]>")),
        store(change("k", "<!-- </record> -->")),
        store(change("k", "<?x </record> ?>")),
        store(change("k", "what? no! record ")),
        store(change("<!-- <record> -->k", RECORD)),
        store(change("k", RECORD).replace("</record>", "</record\n >")),
        store(
            change("k", RECORD)
            .replace("<record>", f'<t:record xmlns:t="{TOY}">')
            .replace("</record>", "</t:record>")
        ),
    ],
)
def test_however_it_is_written(raw: bytes) -> None:
    envelope = emptied(raw)
    (record,) = envelope.findall(f"{toy('change')}/{toy('record')}")
    assert len(record) == 0
    assert not (record.text or "").strip()
    assert [key.text for key in envelope.iter(toy("key"))] == ["k"]


def test_a_change_hidden_between_two_records_is_not_lost() -> None:
    hidden = change("k1", RECORD).replace("</record>", "</record\n>") + change("k2", RECORD)
    assert [key.text for key in emptied(store(hidden)).iter(toy("key"))] == ["k1", "k2"]
    declared = b'<?xml version="1.0"?>' + store(change("k1", RECORD))
    assert [len(record) for record in emptied(declared).iter(toy("record"))] == [0]


def test_only_the_record_of_a_change_is_cut() -> None:
    raw = store(change("k", RECORD)).replace(b"<a/>", b"<batch>7</batch>")
    toy_schema().check_rpc(emptied(raw))


def test_ten_thousand_records_are_cut_in_one_go() -> None:
    raw = store(*(change(f"k{i}", RECORD) for i in range(10_000)))
    envelope = emptied(raw)
    assert len(list(envelope.iter(toy("record")))) == 10_000
    assert len(etree.tostring(envelope)) < 1_000_000
