from __future__ import annotations

from dataclasses import replace

import pytest

from rui.backup.holdings import STORE_ID
from rui.backup.identity import IdentityResult, Role
from rui.backup.journal import Frame
from rui.backup.lineage import Fork
from rui.backup.member import Member
from rui.backup.member_outputs import (
    Answer,
    Append,
    JournalFullError,
    MemberOptions,
    Notify,
    NotPrimaryError,
    Output,
    Superseded,
)
from rui.backup.messages import (
    LAST_BUCKET,
    Batch,
    Offer,
    Position,
    Quarantined,
    Receipt,
    Result,
    SnapshotPage,
    Stream,
)
from rui.backup.table import Table
from rui.backup.version import NO_EPOCH, ZERO, Epoch, Version
from tests.unit.backup.histories import GROUP, A, applied, contents, gone, key, put, stream, version


def primary(**kwargs: object) -> Member:
    member = Member(GROUP, "bras-a", Role.PRIMARY, address="192.0.2.1", **kwargs)  # type: ignore[arg-type]
    member.start()
    return member


def secondary(**kwargs: object) -> Member:
    member = Member(GROUP, "bras-b", Role.SECONDARY, address="192.0.2.2", **kwargs)  # type: ignore[arg-type]
    member.start()
    return member


def write(member: Member) -> list[Frame]:
    """Play a disk that stores at once; return what was written."""
    frames: list[Frame] = []
    appends = [output for output in member.outputs() if isinstance(output, Append)]
    for append in appends:
        frames += append.frames
        member.stored()
    return frames


def accept(member: Member, position: Position = Position()) -> None:  # noqa: B008 - frozen
    """Answer for a cloud that knows the member's history."""
    position = replace(position, lineage=member.position.lineage)
    member.identity_result(
        IdentityResult(GROUP, member.device, True, "primary", member.epoch, "store-1", position)
    )


def kinds(outputs: list[Output]) -> list[type]:
    return [type(output) for output in outputs]


def test_every_start_as_primary_takes_an_epoch_above_all_it_knows() -> None:
    assert primary().epoch == Epoch(1, "bras-a")
    restarted = primary(position=Position(version(9), None, Epoch(4, "bras-b")))
    assert restarted.epoch == Epoch(5, "bras-a")


def test_the_epoch_is_durable_before_the_cloud_hears_of_it() -> None:
    member = primary()
    member.cloud_up()
    (append,) = member.outputs()
    assert isinstance(append, Append)
    assert append.frames[0].position == Position(ZERO, None, A, (Fork(A, ZERO),))
    member.stored()
    (notify,) = member.outputs()
    assert isinstance(notify, Notify)
    assert (notify.notification.role, notify.notification.epoch) == (Role.PRIMARY, Epoch(1, "bras-a"))


def test_a_secondary_tells_its_cursor() -> None:
    member = secondary(position=Position(version(9), None, A))
    member.cloud_up()
    (notify,) = member.outputs()
    assert isinstance(notify, Notify)
    assert notify.notification.position.cursor == version(9)
    assert notify.notification.epoch == A


def test_nothing_is_uploaded_before_it_is_durable() -> None:
    member = primary()
    write(member)
    accept(member)
    write(member)
    member.put(key(1), b"<user/>")
    member.flush()
    assert member.next_upload(0.0) is None
    (frame,) = write(member)
    assert frame.position == Position(version(1), None, A, (Fork(A, ZERO),))
    batch = member.next_upload(0.0)
    assert batch is not None
    assert (batch.writer, batch.part) == (A, Stream(ZERO, version(1)))


def test_what_is_put_during_a_write_is_committed_together() -> None:
    member = primary()
    write(member)
    member.put(key(1), b"<user/>")
    member.flush()
    assert kinds(member.outputs()) == [Append]
    member.put(key(2), b"<user/>")
    member.put(key(3), b"<user/>")
    member.flush()
    assert member.outputs() == []
    member.stored()
    (append,) = member.outputs()
    assert isinstance(append, Append)
    assert [change.key for change in append.frames[0].changes] == [key(2), key(3)]


def test_deleting_what_is_not_there_changes_nothing() -> None:
    member = primary()
    write(member)
    assert member.delete(key(1)) is None
    member.put(key(1), b"<user/>")
    assert member.delete(key(1)) == version(2)
    assert member.delete(key(1)) is None


def test_a_secondary_takes_no_subscribers() -> None:
    with pytest.raises(NotPrimaryError, match="secondary of group g1"):
        secondary().put(key(1), b"<user/>")


def test_a_failed_write_is_tried_again_and_nothing_leaves_meanwhile() -> None:
    member = primary()
    write(member)
    accept(member)
    write(member)
    member.put(key(1), b"<user/>")
    member.flush()
    (append,) = member.outputs()
    member.failed("no space left on device", now=3.0)
    assert member.next_upload(3.0) is None
    assert member.next_deadline() == 4.0
    member.handle_timer(4.0)
    assert member.outputs() == [append]
    member.stored()
    assert member.next_upload(4.0) is not None
    assert member.failure == ""


def test_logins_are_turned_away_when_too_much_waits_for_the_disk() -> None:
    member = primary(options=MemberOptions(pending_bytes=10))
    write(member)
    member.put(key(1), b"<user>1234</user>")
    member.flush()
    member.failed("no space left on device", now=0.0)
    with pytest.raises(JournalFullError, match="no space left on device"):
        member.put(key(2), b"<user/>")
    assert key(2) not in member.table
    member.handle_timer(1.0)
    write(member)
    member.put(key(2), b"<user/>")


def test_a_replica_answers_after_the_commit_and_in_order() -> None:
    member = secondary()
    member.receive(stream(0, 1, put(1, 1)), (), "first")
    member.receive(stream(1, 2, put(2, 2)), (), "second")
    member.receive(stream(5, 6, put(3, 6)), (), "third")
    assert kinds(member.outputs()) == [Append]
    assert len(member.table) == 0
    member.stored()
    answer, append = member.outputs()
    assert isinstance(answer, Answer)
    assert (answer.tag, answer.receipt.result) == ("first", Result.STORED)
    assert isinstance(append, Append)
    member.stored()
    answers = [output for output in member.outputs() if isinstance(output, Answer)]
    assert [(entry.tag, entry.receipt.result) for entry in answers] == [
        ("second", Result.STORED),
        ("third", Result.GAP),
    ]
    assert answers[1].receipt.position.cursor == version(2)
    assert len(member.table) == 2


def test_what_waited_behind_a_failed_write_is_written_once() -> None:
    """Written again behind what follows, it would take the position back."""
    member = secondary()
    member.receive(stream(0, 1, put(1, 1)), (), "first")
    member.outputs()
    member.receive(stream(1, 2, put(2, 2)), (), "second")
    member.receive(stream(0, 1, put(1, 1)), (), "again")
    member.failed("no space left on device", now=0.0)
    assert kinds(member.outputs()) == [Answer, Append]
    member.handle_timer(60.0)
    assert Append not in kinds(member.outputs())


def test_a_replica_that_cannot_write_says_so_and_holds_nothing_of_it() -> None:
    member = secondary()
    member.receive(stream(0, 1, put(1, 1)), (), "first")
    member.outputs()
    member.failed("no space left on device", now=0.0)
    (answer,) = member.outputs()
    assert isinstance(answer, Answer)
    assert answer.receipt == Receipt(GROUP, Result.FAILED, Position(), "no space left on device")
    assert len(member.table) == 0
    member.receive(stream(0, 1, put(1, 1)), (), "again")
    write(member)
    assert len(member.table) == 1


def test_a_poisoned_record_is_kept_counted_and_reported() -> None:
    member = secondary()
    bad = Quarantined(key(2), version(2), "lease-time: out of range")
    member.receive(stream(0, 2, put(1, 1), put(2, 2)), (bad,), "tag")
    (frame,) = write(member)
    assert frame.quarantined == {key(2).decode(): bad.reason}
    (answer,) = member.outputs()
    assert isinstance(answer, Answer)
    assert answer.receipt.quarantined == (bad,)
    digest = member.digest()
    assert (digest.count, digest.quarantined) == (2, 1)
    member.receive(stream(2, 3, put(2, 3)), (), "healed")
    write(member)
    assert member.digest().quarantined == 0


def test_what_a_primary_takes_over_of_a_poisoned_record_is_journalled_with_the_reason() -> None:
    member = primary()
    write(member)
    last = version(2, Epoch(2, "bras-b"))
    record = put(2, 2, last.epoch)
    bad = Quarantined(key(2), last, "lease-time: out of range")
    batch = Batch(GROUP, member.epoch, Stream(ZERO, last), (record,), offer=Offer("bras-b", ZERO, last))
    member.receive(batch, (bad,), "tag")
    frames = write(member)
    assert [frame.quarantined for frame in frames if frame.changes] == [{key(2).decode(): bad.reason}]
    member.put(key(2), b"<user>well</user>")
    member.flush()
    assert [frame.quarantined for frame in write(member) if frame.changes] == [{}]


def test_a_primary_refuses_what_others_deliver() -> None:
    member = primary()
    write(member)
    member.receive(stream(0, 1, put(1, 1), writer=Epoch(9, "bras-b")), (), "tag")
    superseded, answer = member.outputs()
    assert superseded == Superseded("bras-b", Epoch(9, "bras-b"))
    assert isinstance(answer, Answer)
    assert answer.receipt.result is Result.REFUSED
    assert "primary under 1@bras-a" in answer.receipt.reason


def test_a_refused_claim_is_raised_above_the_highest_and_only_so_often() -> None:
    member = primary(options=MemberOptions(claims=2))
    member.cloud_up()
    write(member)
    for counter in (7, 12):
        refused = IdentityResult(
            GROUP, "bras-a", False, "superseded", Epoch(counter, "bras-b"), "store-1", Position()
        )
        member.identity_result(refused)
        assert member.epoch == Epoch(counter + 1, "bras-a")
        write(member)
    member.identity_result(replace(refused, highest=Epoch(20, "bras-b")))
    assert member.epoch == Epoch(13, "bras-a")


def test_an_answer_to_an_older_claim_lets_nothing_out() -> None:
    member = primary()
    write(member)
    member.put(key(1), b"<user/>")
    write(member)
    old = IdentityResult(GROUP, "bras-a", True, "primary", member.epoch, "store-1", Position())
    member.outclaim(Epoch(7, "bras-b"))
    write(member)
    member.identity_result(old)
    write(member)
    assert member.next_upload(0.0) is None
    member.identity_result(replace(old, highest=member.epoch))
    assert member.next_upload(0.0) is not None


def test_the_cloud_s_store_id_is_kept_with_the_next_write() -> None:
    member = primary()
    write(member)
    accept(member)
    (frame,) = write(member)
    assert frame.facts == {STORE_ID: "store-1"}
    accept(member)
    assert write(member) == []


def test_a_primary_begins_behind_the_cloud_s_cursor() -> None:
    table = applied([put(1, 1), put(2, 2), gone(1, 3)])
    member = primary(table=table, position=Position(version(3), None, A))
    write(member)
    accept(member, Position(version(2)))
    write(member)
    batch = member.next_upload(0.0)
    assert batch is not None
    assert batch.writer == Epoch(2, "bras-a")
    assert (batch.part, batch.changes) == (Stream(version(2), version(3)), (gone(1, 3),))
    member.acknowledge(Receipt(GROUP, Result.STORED, Position(version(3))), 0.0)
    assert member.source.protected == version(3)


def test_the_journal_s_frames_rebuild_the_member() -> None:
    member = primary()
    frames = write(member)
    for number in (1, 2, 1):
        member.put(key(number), b"<user>%d</user>" % number)
        member.flush()
        frames += write(member)
    member.delete(key(2))
    member.flush()
    frames += write(member)
    table = Table()
    for frame in frames:
        for change in frame.changes:
            table.apply(change)
    again = primary(table=table, position=frames[-1].position)
    assert contents(again.table) == contents(member.table)
    assert again.digest().digest == member.digest().digest
    assert again.durable == member.durable == Version(A, 4)
    assert NO_EPOCH < member.epoch < again.epoch


def test_tombstones_are_bounded() -> None:
    member = primary(options=MemberOptions(tombstones=3))
    write(member)
    for number in range(6):
        member.put(key(number), b"<user/>")
        member.delete(key(number))
    assert member.table.tombstones == 6, "none is durable"
    member.flush()
    write(member)
    assert member.table.tombstones == 3
    assert member.table.floor == version(6)


def test_a_snapshot_that_drops_a_poisoned_record_ends_its_quarantine() -> None:
    member = secondary()
    bad = Quarantined(key(1), version(1), "lease-time: out of range")
    member.receive(stream(0, 1, put(1, 1)), (bad,), "tag")
    write(member)
    assert member.digest().quarantined == 1
    page = Batch(GROUP, A, SnapshotPage(version(5), 0, LAST_BUCKET), ())
    member.receive(page, (), "snapshot")
    write(member)
    assert member.digest().quarantined == 0


@pytest.mark.parametrize(
    ("held", "cursor"),
    [(Position(), version(900)), (Position(version(50), None, A), version(7, Epoch(2, "bras-a")))],
    ids=["the journal is lost", "an old journal was put back"],
)
def test_a_primary_never_uses_an_epoch_again_that_the_cloud_has_changes_of(
    held: Position, cursor: Version
) -> None:
    member = primary(position=held)
    member.cloud_up()
    write(member)
    assert member.epoch == cursor.epoch
    accept(member, Position(cursor))
    assert member.next_upload(0.0) is None
    write(member)  # the store-id
    write(member)  # the claim
    assert member.epoch == Epoch(cursor.epoch.counter + 1, "bras-a")
    accept(member, Position(cursor))
    member.put(key(1), b"<user/>")
    member.flush()
    write(member)
    batch = member.next_upload(0.0)
    assert batch is not None
    assert batch.part == Stream(cursor, Version(member.epoch, 1))


def test_who_becomes_primary_answers_what_waits_at_once() -> None:
    """It would wait behind all that the primary writes, and be judged when the role is gone again."""
    member = secondary()
    member.receive(stream(0, 1, put(1, 1)), (), "being written")
    member.outputs()
    member.receive(stream(1, 2, put(2, 2)), (), "waiting")
    member.promote()
    answers = [output for output in member.outputs() if isinstance(output, Answer)]
    assert [(answer.tag, answer.receipt.result) for answer in answers] == [("waiting", Result.REFUSED)]
    member.receive(stream(1, 2, put(2, 2)), (), "later")
    assert [output.tag for output in member.outputs() if isinstance(output, Answer)] == ["later"]
    member.stored()
    assert member.serving


def test_local_backup_turns_away_what_waits_from_the_cloud() -> None:
    member = secondary()
    member.receive(stream(0, 1, put(1, 1)), (), "being written")
    member.receive(stream(1, 2, put(2, 2)), (), "waiting")
    member.receive(stream(1, 2, put(2, 2)), (), "direct", via="bras-a")
    member.outputs()
    member.obtain(False)
    answers = [output for output in member.outputs() if isinstance(output, Answer)]
    assert [(answer.tag, answer.receipt.result) for answer in answers] == [("waiting", Result.DISCARDED)]
