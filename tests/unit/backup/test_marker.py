"""The sender's digest goes out where the replica can come to it, and tells the truth about its copy."""

from __future__ import annotations

import pytest

from rui.backup import copies
from rui.backup.digest import combine
from rui.backup.identity import IdentityResult, Role
from rui.backup.member import Member
from rui.backup.member_outputs import Answer, Append
from rui.backup.messages import Batch, Position, Quarantined, Receipt, Result, Stream
from rui.backup.table import Table
from rui.backup.version import ZERO
from tests.unit.backup.histories import GROUP, gone, key, put, version


def stored(member: Member) -> None:
    while any(isinstance(output, Append) for output in member.outputs()):
        member.stored()


def primary(*users: int) -> Member:
    """A primary whose cloud is empty and listens."""
    member = Member(GROUP, "bras-a", Role.PRIMARY)
    member.start()
    stored(member)
    result = IdentityResult(GROUP, "bras-a", True, "", member.epoch, "s1", Position())
    member.identity_result(result)
    for number in users:
        member.put(key(number), b"<user/>")
    member.flush()
    stored(member)
    return member


def upload(member: Member) -> Batch:
    batch = member.next_upload(0.0)
    assert batch is not None
    return batch


def secondary(table: Table | None = None, position: Position | None = None) -> Member:
    member = Member(GROUP, "bras-b", Role.SECONDARY, table=table, position=position)
    member.start()
    return member


def given(member: Member, batch: Batch) -> Receipt:
    member.receive(batch, (), "tag")
    found = None
    for _ in range(3):
        for output in member.outputs():
            if isinstance(output, Append):
                member.stored()
            elif isinstance(output, Answer):
                found = output.receipt
    assert found is not None
    return found


def test_it_goes_with_the_batch_that_reaches_the_end() -> None:
    member, replica = primary(1, 2, 3), secondary()
    member.source.audit_due = True
    batch = upload(member)
    assert isinstance(batch.part, Stream)
    assert (batch.part.last, batch.digest) == (member.durable, combine(member.table.buckets))
    receipt = given(replica, batch)
    assert (receipt.result, receipt.agrees) == (Result.STORED, True)
    member.acknowledge(receipt, 0.0)
    assert member.next_upload(0.0) is None, "once"


def test_it_goes_with_nothing_where_there_is_nothing_to_send() -> None:
    member, replica = primary(1), secondary()
    member.acknowledge(given(replica, upload(member)), 0.0)
    assert member.next_upload(0.0) is None
    member.source.audit_due = True
    batch = upload(member)
    assert (batch.part, batch.changes) == (Stream(member.durable, member.durable), ())
    assert given(replica, batch).agrees is True


def test_it_waits_while_something_waits_for_the_disk() -> None:
    member = primary(1)
    member.source.audit_due = True
    member.put(key(2), b"<user/>")
    assert upload(member).digest == ""
    member.flush()
    stored(member)
    assert upload(member).digest


def test_nothing_follows_it_before_its_receipt() -> None:
    member, replica = primary(1), secondary()
    member.source.audit_due = True
    marked = upload(member)
    member.put(key(2), b"<user/>")
    member.flush()
    stored(member)
    assert member.next_upload(0.0) is None
    member.acknowledge(given(replica, marked), 0.0)
    follows = upload(member)
    assert [change.key for change in follows.changes] == [key(2)]
    assert follows.digest == ""


def test_a_new_session_needs_no_receipt_of_the_old_one() -> None:
    member = primary(1)
    member.source.audit_due = True
    assert upload(member).digest
    member.cloud_down("gone")
    member.identity_result(IdentityResult(GROUP, "bras-a", True, "", member.epoch, "s1", Position()))
    assert upload(member).changes


def test_a_copy_that_differs_says_so_and_is_mended() -> None:
    member, replica = primary(1, 2), secondary()
    member.acknowledge(given(replica, upload(member)), 0.0)
    # What went wrong: one record is another, one is too many
    for change in (put(9, 1), put(1, 2)):
        replica.table.apply(change._replace(version=member.durable))
    member.source.audit_due = True
    receipt = given(replica, upload(member))
    assert (receipt.result, receipt.agrees) == (Result.STORED, False)
    member.acknowledge(receipt, 0.0)
    for number in (1, 9):
        member.rewrite(key(number))
    member.flush()
    stored(member)
    member.source.audit_due = True
    receipt = given(replica, upload(member))
    assert receipt.agrees is True
    assert key(9) not in replica.table
    assert combine(replica.table.buckets) == combine(member.table.buckets)


def test_quarantined_records_count() -> None:
    member, replica = primary(1), secondary()
    member.source.audit_due = True
    batch = upload(member)
    bad = Quarantined(key(1), batch.changes[0].version, "no such leaf")
    replica.receive(batch, (bad,), "tag")
    replica.outputs()
    replica.stored()
    (answer,) = [output for output in replica.outputs() if isinstance(output, Answer)]
    assert answer.receipt.agrees is True
    assert replica.quarantined


def test_a_digest_of_what_is_not_the_newest_here_is_not_answered() -> None:
    replica = secondary()
    ahead = Batch(GROUP, version(1).epoch, Stream(ZERO, version(5)), (put(1, 5), gone(2, 4)))
    given(replica, ahead)
    late = Batch(GROUP, version(1).epoch, Stream(ZERO, version(3)), (), digest="00")
    assert given(replica, late).agrees is None


def test_everything_is_sent_again_when_asked() -> None:
    member, replica = primary(1, 2), secondary()
    member.acknowledge(given(replica, upload(member)), 0.0)
    assert member.source.resync(member.durable, "asked")
    assert member.source.snapshot_under_way
    page = upload(member)
    assert len(page.changes) == 2
    member.acknowledge(given(replica, page), 0.0)
    assert not member.source.snapshot_under_way
    assert replica.table.head == member.durable


def test_neither_end_holds_the_loop_for_a_digest_of_much_that_is_uncounted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copies, "COUNTED_AT_ONCE", 1)
    member, replica = primary(1, 2), secondary()
    member.source.audit_due = True
    batch = upload(member)
    assert not batch.digest
    member.acknowledge(given(replica, batch), 0.0)
    member.table.count(2)
    marker = upload(member)
    assert marker.digest
    receipt = given(replica, marker)
    assert (receipt.result, receipt.agrees) == (Result.STORED, None)
    member.acknowledge(receipt, 0.0)
    replica.table.count(1)
    member.source.audit_due = True
    assert given(replica, upload(member)).agrees is True
