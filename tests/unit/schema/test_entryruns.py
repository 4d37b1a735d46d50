"""Runs of entries: what is left out is what libyang takes, and what it refuses is refused as before."""

from functools import cache

import pytest
from lxml import etree

from rui.schema import DataError, Schema
from rui.schema.entryruns import compile_entry_run
from tests.models import router_model

BACKUP = "urn:rui-cloud:yang:backup"
DELIVER = f"{{{BACKUP}}}deliver-user-info"
KEY = "02:00:00:00:00:01/100/0"
GOOD = f"<change><key>{KEY}</key><version>7@bras-a/1</version><record/></change>"
GONE = f"<change><key>{KEY}</key><version>7@bras-a/2</version><deleted/></change>"


@cache
def schema() -> Schema:
    return router_model()


def deliver(*changes: str, head: str = "", declared: str = "") -> bytes:
    front = "<group-id>g</group-id><writer>7@bras-a</writer><stream><prev/><last>7@bras-a/9</last></stream>"
    name = "deliver-user-info"
    return f'<{name}{declared} xmlns="{BACKUP}">{front}{head}{"".join(changes)}</{name}>'.encode()


def left(operation: bytes) -> bytes:
    run = compile_entry_run(schema().tree.rpcs[DELIVER])
    assert run is not None
    return run.without_valid(operation)


@pytest.mark.parametrize("declared", ["", ' xmlns:x="urn:x"'])
def test_valid_entries_are_left_out(declared: str) -> None:
    operation = deliver(GOOD, GONE, GOOD, declared=declared)
    assert left(operation) == deliver(declared=declared)
    schema().check_rpc(operation)


BAD = [
    GOOD.replace("/100/0", "/100"),
    GOOD.replace("7@bras-a", "07@bras-a"),
    GOOD.replace("<record/>", ""),
    GOOD.replace("<record/>", "<record/><deleted/>"),
    GOOD.replace("<record/>", "<deleted>x</deleted>"),
    GOOD.replace(f"<key>{KEY}</key>", ""),
    GOOD.replace("<record/>", "<record/><more/>"),
    GOOD.replace("<change>", '<change xmlns="urn:other">'),
    f"<unknown>{GOOD}</unknown>",
]


@pytest.mark.parametrize("bad", BAD)
def test_one_bad_entry_leaves_all_to_libyang(bad: str) -> None:
    operation = deliver(GOOD, bad, GONE)
    assert left(operation) == operation
    with pytest.raises(DataError) as refused:
        schema().check_rpc(operation)
    assert refused.value.issues


@pytest.mark.parametrize("bad", ["<writer>x</writer>", "<unknown/>", "<group-id>h</group-id>"])
def test_a_bad_head_is_found_before_a_good_run(bad: str) -> None:
    with pytest.raises(DataError):
        schema().check_rpc(deliver(GOOD, GONE, head=bad))


def test_odd_but_valid_entries_are_left_to_libyang() -> None:
    operation = deliver(GOOD, GOOD.replace("<record/>", '<record><user xmlns="urn:x"/></record>'))
    assert left(operation) == operation
    schema().check_rpc(operation)
    last = etree.tostring(etree.fromstring(deliver(GOOD).replace(b"<group-id>g</group-id>", b"")))
    behind = last.replace(b"</deliver", b"<group-id>g</group-id></deliver")
    assert left(behind) == behind
    schema().check_rpc(behind)


def test_operations_without_such_a_list_have_no_run() -> None:
    rpcs = schema().tree.rpcs
    assert compile_entry_run(rpcs[f"{{{BACKUP}}}download-user-info"]) is None
    assert compile_entry_run(rpcs["{urn:ietf:params:xml:ns:netconf:base:1.0}edit-config"]) is None
