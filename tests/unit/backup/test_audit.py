"""From a digest that differs to the keys that do; what is on its way to a copy is no difference."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from rui.backup import audit_wire
from rui.backup.audit import (
    MAX_BUCKETS,
    Agreement,
    Entry,
    Listing,
    TableHolder,
    differing_buckets,
    differing_keys,
    list_table,
    narrow,
)
from rui.backup.digest import Digest
from rui.backup.messages import Change, bucket_of
from rui.backup.requests import encode_digest
from rui.backup.table import Table
from rui.backup.version import ZERO
from rui.backup.wire import WireError
from tests.models import router_model
from tests.unit.backup.histories import GROUP, applied, gone, key, put, version


def table(*changes: Change) -> Table:
    return applied(list(changes))


def holder(made: Table, at: int) -> TableHolder:
    return TableHolder(made, version(at))


async def test_equal_copies_have_nothing_to_name() -> None:
    one, other = table(put(1, 1), put(2, 2)), table(put(2, 2), put(1, 1))
    assert await narrow(holder(one, 2), holder(other, 2)) == []


async def test_missing_added_and_changed_records_are_named() -> None:
    reference = table(put(1, 1), put(2, 2), put(3, 3), gone(4, 4))
    copy = table(put(2, 2)._replace(record=b"<user>rotten</user>"), put(3, 3), put(5, 4))
    assert await narrow(holder(reference, 4), holder(copy, 4)) == sorted([key(1), key(2), key(5)])


async def test_a_delete_that_was_forgotten_is_no_difference() -> None:
    reference, copy = table(put(1, 1), gone(2, 2)), table(put(1, 1))
    assert await narrow(holder(reference, 2), holder(copy, 2)) == []


async def test_a_record_that_should_be_gone_is_named() -> None:
    assert await narrow(holder(table(gone(1, 2)), 2), holder(table(put(1, 1)), 2)) == [key(1)]


async def test_what_is_on_its_way_is_no_difference() -> None:
    reference = table(put(1, 5), put(2, 2), gone(3, 6), put(4, 7))
    copy = table(put(1, 1), put(2, 2), put(3, 3))
    assert await narrow(holder(reference, 7), holder(copy, 4)) == []
    assert await narrow(holder(reference, 7), holder(copy, 7)) == [key(1), key(3), key(4)]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=40),
    st.sets(st.integers(0, 40), max_size=5),
    st.data(),
)
def test_exactly_the_keys_that_were_tampered_with(
    story: list[tuple[int, bool]], tampered: set[int], data: st.DataObject
) -> None:
    changes = [gone(n, seq) if off else put(n, seq) for seq, (n, off) in enumerate(story, 1)]
    reference = table(*changes)
    cut = data.draw(st.integers(0, len(changes)))
    copy = table(*changes[:cut])
    known = list_table(copy, version(cut), {bucket_of(key(n)) for n in range(41)})
    entries = dict(known.entries)
    for n in tampered:
        held = entries.get(key(n))
        entries[key(n)] = Entry(held.version if held else version(cut), 12345)
    found = differing_keys(
        list_table(reference, version(len(changes)), {bucket_of(key(n)) for n in range(41)}),
        Listing(version(cut), entries),
    )
    later = {change.key for change in changes[cut:]}
    assert set(found) == {key(n) for n in tampered} - later


def test_so_many_buckets_at_once() -> None:
    assert differing_buckets([0, 1, 2], [0, 2, 1]) == [1, 2]


async def test_a_copy_that_has_nothing_is_narrowed_in_parts() -> None:
    reference = table(*(put(n, n) for n in range(1, 2000)))
    asked: list[int] = []

    class Empty(TableHolder):
        async def listing(self, buckets: Sequence[int]) -> Listing:
            asked.extend(buckets)
            return await super().listing(buckets)

    found = await narrow(holder(reference, 1999), Empty(Table(), version(1999)))
    assert len(asked) == MAX_BUCKETS
    assert 0 < len(found) < 1999
    assert {bucket_of(name) for name in found} <= set(asked)


async def test_asked_over_the_wire_it_is_the_same() -> None:
    schema = router_model()
    copy = table(put(1, 1), gone(2, 2), put(3, 3))

    async def ask(operation: etree._Element) -> etree._Element:
        schema.check_rpc(operation)
        reply = etree.Element("reply")
        if operation.tag == audit_wire.LIST:
            group, buckets = audit_wire.decode_list_request(operation)
            assert group == GROUP
            children = audit_wire.encode_listing(list_table(copy, version(3), buckets))
            schema.check_output(operation.tag, children)
            reply.extend(children)
        else:
            reply.extend(encode_digest(Digest(version(3), 2, 0, "00"), copy.buckets))
        return reply

    remote = audit_wire.RemoteHolder(GROUP, ask)
    assert list(await remote.buckets()) == list(copy.buckets)
    wanted = sorted({bucket_of(key(n)) for n in (1, 2, 3)})
    assert await remote.listing(wanted) == list_table(copy, version(3), wanted)
    assert await narrow(holder(table(put(1, 1), put(3, 3)), 3), remote) == []


def test_messages_read_back_and_fit_the_model() -> None:
    schema = router_model()
    result = audit_wire.AuditResult(GROUP, "cloud", version(9), Agreement.DIFFERS, (key(1), key(2)))
    operation = audit_wire.encode_result(result)
    schema.check_rpc(operation)
    assert audit_wire.decode_result(operation) == result
    nothing = audit_wire.AuditResult(GROUP, "bras-b", ZERO, Agreement.AGREES)
    assert audit_wire.decode_result(audit_wire.encode_result(nothing)) == nothing
    assert audit_wire.decode_audit(audit_wire.encode_audit(GROUP, 2.5)) == (GROUP, 2.5)
    assert audit_wire.decode_resync(audit_wire.encode_resync(GROUP, "cloud")) == (GROUP, "cloud")
    compared = {
        "cloud": audit_wire.Compared(Agreement.AGREES, version(9), 3),
        "bras-b": audit_wire.Compared(Agreement.UNKNOWN),
    }
    schema.check_output(audit_wire.AUDIT_NOW, audit_wire.encode_compared(compared))
    schema.check_output(audit_wire.RESULT, audit_wire.encode_repaired(3))


def test_what_is_no_answer_is_refused() -> None:
    for bad in (b"<reply/>", b'<reply xmlns="urn:rui-cloud:yang:audit"><cursor>x</cursor></reply>'):
        with pytest.raises(WireError):
            audit_wire.decode_listing(etree.fromstring(bad))
    bucket = b'<bucket xmlns="urn:rui-cloud:yang:backup"><number>9999</number><digest>0</digest></bucket>'
    with pytest.raises(WireError):
        audit_wire.decode_buckets(etree.fromstring(b"<reply>" + bucket + b"</reply>"))
