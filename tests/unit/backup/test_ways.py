"""A receipt is for the batch that it answers, whatever has begun or ended on its session since."""

from __future__ import annotations

from rui.backup.identity import Role
from rui.backup.member import Member
from rui.backup.member_outputs import CLOUD, Append
from rui.backup.messages import Batch, Position, Receipt, Result, Stream
from rui.backup.source import Source, SourceOptions
from rui.backup.ways import Ways
from tests.unit.backup.histories import GROUP, key

PEER = "bras-b"


def written(member: Member) -> None:
    member.flush()
    while outputs := member.outputs():
        for output in outputs:
            if isinstance(output, Append):
                member.stored()


def primary() -> Member:
    member = Member(GROUP, "bras-a", Role.PRIMARY)
    member.start()
    written(member)
    return member


def sent(member: Member, user: int) -> Batch:
    member.put(key(user), b"<user/>")
    written(member)
    batch = member.next_local(PEER, 0.0)
    assert batch is not None
    return batch


def stored(batch: Batch) -> Receipt:
    assert isinstance(batch.part, Stream)
    return Receipt(GROUP, Result.STORED, Position(batch.part.last))


def test_local_backup_that_begins_again_takes_no_receipt_of_the_one_before() -> None:
    member = primary()
    member.start_local(PEER, Position(), SourceOptions())
    before = sent(member, 1)
    member.stop_local(PEER)
    member.start_local(PEER, Position(), SourceOptions())
    again = sent(member, 2)
    source = member.locals[PEER]
    member.local_receipt(PEER, stored(before), 0.0)
    assert source.in_flight == 1, "it is still under way"
    assert source.receipts == 0
    member.local_receipt(PEER, stored(again), 0.0)
    assert source.in_flight == 0
    assert source.receipts == 1


def test_a_new_session_owes_nothing_of_the_last_one() -> None:
    member = primary()
    member.start_local(PEER, Position(), SourceOptions())
    sent(member, 1)
    member.session_gone(PEER)
    assert PEER not in member.locals
    member.start_local(PEER, Position(), SourceOptions())
    again = sent(member, 2)
    member.local_receipt(PEER, stored(again), 0.0)
    assert member.locals[PEER].in_flight == 0


def test_nobody_has_sent_what_was_not_sent() -> None:
    ways, source = Ways(), Source(GROUP, SourceOptions())
    assert ways.answered(CLOUD) is None
    ways.sent(CLOUD, source)
    assert ways.answered(PEER) is None
    assert ways.answered(CLOUD) is source
    ways.sent(CLOUD, source)
    ways.gone(CLOUD)
    assert ways.answered(CLOUD) is None
