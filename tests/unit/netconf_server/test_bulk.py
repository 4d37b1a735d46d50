from __future__ import annotations

import pytest
from lxml import etree

from netconf_server.bulk import without_records
from tests.integration.netconf_server_rig import TOY, toy, toy_schema

RECORD = '<user xmlns="urn:other"><name>a</name><record-id>7</record-id></user>'


def store(*records: str) -> etree._Element:
    changes = "".join(f"<change><key>k{i}</key>{record}</change>" for i, record in enumerate(records))
    return etree.fromstring(f'<store xmlns="{TOY}"><batch>1</batch>{changes}</store>')


@pytest.mark.parametrize(
    "record",
    [
        f"<record>{RECORD}</record>",
        f'<t:record xmlns:t="{TOY}">{RECORD}</t:record>',
        f"<record><record>{RECORD}</record></record>",
        "<record>text</record>",
        "<record/>",
    ],
)
def test_every_record_is_emptied_and_the_rest_stays(record: str) -> None:
    operation = store(record, "<deleted/>", record)
    before = etree.tostring(operation)
    envelope = without_records(operation)
    assert [key.text for key in envelope.iter(toy("key"))] == ["k0", "k1", "k2"]
    records = envelope.findall(f"{toy('change')}/{toy('record')}")
    assert [(len(found), found.text) for found in records] == [(0, None), (0, None)]
    assert etree.tostring(operation) == before
    toy_schema().check_rpc(envelope)


def test_an_operation_whose_records_are_empty_is_not_copied() -> None:
    operation = store("<record/>", "<deleted/>")
    assert without_records(operation) is operation
