"""The cloud's core, step by step: what it asks for, and what it does only when that is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pytest

from rui.backup.cloud import Cloud, CloudOptions
from rui.backup.cloud_outputs import (
    Acknowledge,
    Apply,
    Claim,
    Deliver,
    Delivered,
    GiveUp,
    Identify,
    Instruct,
    Keep,
    Output,
    Read,
    Report,
)
from rui.backup.delivery import DeliveryMode, Forgotten
from rui.backup.identity import IdentityNotification, Role
from rui.backup.lineage import Fork
from rui.backup.messages import Position, Quarantined, Receipt, Result, SnapshotPage, SnapshotProgress
from rui.backup.source import SourceOptions, WantPage, WantStream
from rui.backup.table import Page, Slice
from rui.backup.version import NO_EPOCH, ZERO, Epoch
from tests.unit.backup.histories import GROUP, A, put, stream, version

OPTIONS = CloudOptions(
    source=SourceOptions(batch_records=10, window=2, partial_window=1, receipt_timeout=9.0), retry_pause=1.0
)
WALL = 1_700_000_000.0
T = TypeVar("T")


def first_identity(device: str = "bras-a", epoch: Epoch = A) -> IdentityNotification:
    return IdentityNotification(GROUP, device, "192.0.2.1", Role.PRIMARY, epoch, Position())


def second_identity(device: str = "bras-b", position: Position | None = None) -> IdentityNotification:
    return IdentityNotification(GROUP, device, "192.0.2.2", Role.SECONDARY, NO_EPOCH, position or Position())


def of(kind: type[T], outputs: Sequence[Output]) -> list[T]:
    return [output for output in outputs if isinstance(output, kind)]


def one(kind: type[T], outputs: Sequence[Output]) -> T:
    (found,) = of(kind, outputs)
    return found


def stored(last: int, writer: Epoch = A) -> Receipt:
    return Receipt(GROUP, Result.STORED, Position(version(last), None, writer))


def admitted(mode: DeliveryMode = DeliveryMode.DIRECT) -> Cloud:
    """A cloud that has admitted primary bras-a and secondary bras-b, and holds nothing."""
    options = CloudOptions(mode=mode, source=OPTIONS.source, retry_pause=OPTIONS.retry_pause)
    cloud = Cloud(GROUP, "store-1", options=options)
    cloud.identify("bras-a", first_identity(), WALL)
    claim(cloud)
    keep(cloud)
    cloud.identify("bras-b", second_identity(), WALL)
    keep(cloud)
    cloud.outputs(0.0)
    return cloud


def claim(cloud: Cloud, now: float = 0.0) -> None:
    epoch = one(Claim, cloud.outputs(now)).epoch
    cloud.moved(Position(cloud.position.cursor, None, epoch), cloud.floor)
    cloud.claimed(Receipt(GROUP, Result.STORED, cloud.position), now)


def keep(cloud: Cloud) -> list[Output]:
    outputs = cloud.outputs(0.0)
    cloud.kept(one(Keep, outputs).entry)
    return outputs


def commit(cloud: Cloud, last: int, *, ticket: int, device: str = "bras-a") -> None:
    cloud.moved(Position(version(last), None, A), cloud.floor)
    cloud.applied(device, ticket, stored(last))


# Identities: FIG. 4


def test_a_primary_is_answered_after_claim_and_entry_are_durable() -> None:
    cloud = Cloud(GROUP, "store-1", options=OPTIONS)
    cloud.identify("bras-a", first_identity(), WALL)
    outputs = cloud.outputs(0.0)
    assert outputs == [Claim(A)]
    cloud.moved(Position(ZERO, None, A), ZERO)
    cloud.claimed(Receipt(GROUP, Result.STORED, cloud.position), 0.0)
    entry = one(Keep, cloud.outputs(0.0)).entry
    assert (entry.device, entry.role, entry.epoch, entry.since) == ("bras-a", Role.PRIMARY, A, WALL)
    assert not cloud.entries
    cloud.kept(entry)
    result = one(Identify, cloud.outputs(0.0)).result
    assert result.accepted
    assert (result.highest, result.store_id, result.position.cursor) == (A, "store-1", ZERO)
    assert cloud.entries["bras-a"] == entry


def test_the_same_identity_again_is_answered_without_a_write() -> None:
    cloud = admitted()
    cloud.identify("bras-a", first_identity(), WALL + 5)
    outputs = cloud.outputs(0.0)
    assert one(Identify, outputs).result.accepted
    assert not of(Keep, outputs)
    assert not of(Claim, outputs)
    assert cloud.entries["bras-a"].since == WALL


def test_identities_are_taken_one_after_the_other() -> None:
    cloud = Cloud(GROUP, "store-1", options=OPTIONS)
    cloud.identify("bras-a", first_identity(), WALL)
    cloud.identify("bras-c", first_identity("bras-c", Epoch(2, "bras-c")), WALL)
    assert cloud.outputs(0.0) == [Claim(A)]
    cloud.moved(Position(ZERO, None, A), ZERO)
    cloud.claimed(Receipt(GROUP, Result.STORED, cloud.position), 0.0)
    cloud.kept(one(Keep, cloud.outputs(0.0)).entry)
    assert one(Claim, cloud.outputs(0.0)).epoch == Epoch(2, "bras-c")


def test_a_superseded_claim_is_refused_with_the_highest_epoch() -> None:
    cloud = Cloud(GROUP, "store-1", position=Position(version(9), None, Epoch(5, "bras-c")), options=OPTIONS)
    cloud.identify("bras-a", first_identity(), WALL)
    result = one(Identify, cloud.outputs(0.0)).result
    assert not result.accepted
    assert result.highest == Epoch(5, "bras-c")
    assert not cloud.entries


def test_a_primary_is_asked_to_claim_above_what_a_secondary_knows() -> None:
    """That one takes nothing written under an older epoch, whichever of the two came first."""
    cloud = Cloud(GROUP, "store-1", options=OPTIONS)
    knows = IdentityNotification(GROUP, "bras-b", "", Role.SECONDARY, Epoch(7, "bras-b"), Position())
    cloud.identify("bras-b", knows, WALL)
    keep(cloud)
    cloud.identify("bras-a", first_identity(), WALL)
    claim(cloud)
    keep(cloud)
    results = [output.result for output in of(Identify, cloud.outputs(0.0)) if output.device == "bras-a"]
    assert [(result.accepted, result.highest) for result in results][-1] == (False, Epoch(7, "bras-b"))


def test_a_claim_that_the_store_refuses_is_refused() -> None:
    cloud = Cloud(GROUP, "store-1", options=OPTIONS)
    cloud.identify("bras-a", first_identity(), WALL)
    cloud.outputs(0.0)
    newer = Position(ZERO, None, Epoch(3, "bras-c"))
    cloud.moved(newer, ZERO)
    cloud.claimed(Receipt(GROUP, Result.REFUSED, newer, "superseded"), 0.0)
    result = one(Identify, cloud.outputs(0.0)).result
    assert (result.accepted, result.highest) == (False, Epoch(3, "bras-c"))


def test_a_full_disk_delays_the_answer_and_nothing_else() -> None:
    cloud = Cloud(GROUP, "store-1", options=OPTIONS)
    cloud.identify("bras-a", first_identity(), WALL)
    cloud.outputs(0.0)
    cloud.claimed(Receipt(GROUP, Result.FAILED, Position(), "disk full"), 10.0)
    assert one(Report, cloud.outputs(10.0)).event == "store-failed"
    assert cloud.next_deadline() == 11.0
    cloud.handle_timer(10.5)
    assert cloud.outputs(10.5) == []
    cloud.handle_timer(11.0)
    claim(cloud, 11.0)
    cloud.keep_failed("disk full", 12.0)
    cloud.outputs(12.0)
    cloud.handle_timer(13.0)
    keep(cloud)
    assert one(Identify, cloud.outputs(13.0)).result.accepted


def test_a_session_that_is_gone_is_not_answered() -> None:
    cloud = Cloud(GROUP, "store-1", options=OPTIONS)
    cloud.identify("bras-a", first_identity(), WALL)
    claim(cloud)
    cloud.device_down("bras-a", "gone")
    keep(cloud)
    assert not of(Identify, cloud.outputs(0.0))
    assert cloud.entries["bras-a"].role is Role.PRIMARY
    cloud.identify("bras-a", first_identity(), WALL)
    assert one(Identify, cloud.outputs(0.0)).result.accepted


def test_only_the_newest_waiting_identity_of_a_device_counts() -> None:
    cloud = Cloud(GROUP, "store-1", options=OPTIONS)
    cloud.identify("bras-a", first_identity(), WALL)
    cloud.identify("bras-b", second_identity(), WALL)
    cloud.identify("bras-b", second_identity(position=Position(version(3))), WALL)
    claim(cloud)
    keep(cloud)
    keep(cloud)
    assert cloud.deliveries["bras-b"].position.cursor == version(3)


def test_a_device_cannot_speak_for_another() -> None:
    cloud = Cloud(GROUP, "store-1", options=OPTIONS)
    cloud.identify("bras-b", first_identity("bras-a"), WALL)
    assert one(Report, cloud.outputs(0.0)).event == "identity-refused"
    assert not cloud.entries


# What primaries upload


def test_an_upload_is_acknowledged_after_the_commit() -> None:
    cloud = admitted()
    cloud.upload("bras-a", stream(0, 2, put(1, 1), put(2, 2)), ())
    apply = one(Apply, cloud.outputs(0.0))
    assert apply.device == "bras-a"
    commit(cloud, 2, ticket=apply.ticket)
    assert one(Acknowledge, cloud.outputs(0.0)) == Acknowledge("bras-a", stored(2))
    assert (cloud.counters.stored, cloud.counters.stored_records) == (1, 2)


def test_receipts_leave_in_the_order_of_the_batches() -> None:
    cloud = admitted()
    cloud.upload("bras-a", stream(0, 1, put(1, 1)), ())
    cloud.upload("bras-a", stream(0, 1, put(1, 1), writer=Epoch(1, "bras-z")), ())
    cloud.upload("bras-a", stream(1, 2, put(2, 2)), ())
    first, second = of(Apply, cloud.outputs(0.0))
    commit(cloud, 2, ticket=second.ticket)
    assert not of(Acknowledge, cloud.outputs(0.0))
    commit(cloud, 2, ticket=first.ticket)
    receipts = [output.receipt.result for output in of(Acknowledge, cloud.outputs(0.0))]
    assert receipts == [Result.STORED, Result.DISCARDED, Result.STORED]


@pytest.mark.parametrize(
    ("device", "writer", "says"),
    [
        ("bras-b", Epoch(2, "bras-b"), "secondary"),
        ("bras-c", Epoch(2, "bras-c"), "no identity"),
        ("bras-a", Epoch(2, "bras-c"), "no epoch of bras-a"),
    ],
)
def test_what_may_not_be_uploaded_is_discarded(device: str, writer: Epoch, says: str) -> None:
    cloud = admitted()
    cloud.upload(device, stream(0, 1, put(1, 1), writer=writer), ())
    outputs = cloud.outputs(0.0)
    assert not of(Apply, outputs)
    receipt = one(Acknowledge, outputs).receipt
    assert receipt.result is Result.DISCARDED
    assert says in receipt.reason
    assert one(Report, outputs).event == "upload-discarded"
    assert (cloud.counters.discarded, cloud.counters.discarded_records) == (1, 1)


def test_nothing_is_acknowledged_to_a_later_session() -> None:
    cloud = admitted()
    cloud.upload("bras-a", stream(0, 1, put(1, 1)), ())
    apply = one(Apply, cloud.outputs(0.0))
    cloud.device_down("bras-a", "gone")
    cloud.identify("bras-a", first_identity(), WALL)
    commit(cloud, 1, ticket=apply.ticket)
    assert not of(Acknowledge, cloud.outputs(0.0))
    assert cloud.position.cursor == version(1)


@pytest.mark.parametrize(
    ("result", "event"),
    [(Result.GAP, None), (Result.FAILED, "store-failed"), (Result.REFUSED, "upload-refused")],
)
def test_the_store_s_judgement_is_passed_on(result: Result, event: str | None) -> None:
    cloud = admitted()
    cloud.upload("bras-a", stream(5, 6, put(1, 6)), ())
    apply = one(Apply, cloud.outputs(0.0))
    receipt = Receipt(GROUP, result, cloud.position, "because")
    cloud.applied("bras-a", apply.ticket, receipt)
    outputs = cloud.outputs(0.0)
    assert one(Acknowledge, outputs).receipt == receipt
    assert [report.event for report in of(Report, outputs)] == ([event] if event else [])


def test_a_poisoned_record_is_reported_and_stored() -> None:
    cloud = admitted()
    bad = Quarantined(put(1, 1).key, version(1), "no such leaf")
    cloud.upload("bras-a", stream(0, 1, put(1, 1)), (bad,))
    outputs = cloud.outputs(0.0)
    assert one(Apply, outputs).quarantined == (bad,)
    assert one(Report, outputs).event == "record-quarantined"
    assert cloud.counters.quarantined_records == 1


# Direct deliveries: S504


def with_news(cloud: Cloud, last: int = 2) -> Read:
    """Have the primary upload up to ``last``; return the read that follows."""
    cloud.upload("bras-a", stream(0, last, *(put(n, n) for n in range(1, last + 1))), ())
    commit(cloud, last, ticket=one(Apply, cloud.outputs(0.0)).ticket)
    return one(Read, cloud.outputs(0.0))


def test_what_is_stored_is_delivered_and_noted() -> None:
    cloud = admitted()
    read = with_news(cloud)
    assert read.want == WantStream(ZERO, 10)
    cloud.read("bras-b", read.ticket, Slice((put(1, 1), put(2, 2)), version(2), False), 0.0)
    deliver = one(Deliver, cloud.outputs(0.0))
    assert deliver.batch == stream(0, 2, put(1, 1), put(2, 2))
    cloud.delivered("bras-b", deliver.ticket, stored(2), 0.1)
    assert cloud.outputs(0.1) == [Delivered("bras-b", version(2))]
    assert cloud.next_deadline() is None


def test_the_store_is_read_once_at_a_time_and_not_in_vain() -> None:
    cloud = admitted()
    read = with_news(cloud)
    assert cloud.outputs(0.0) == []
    cloud.read("bras-b", read.ticket, None, 0.0)
    assert cloud.outputs(0.0) == []
    cloud.moved(Position(version(3), None, A), ZERO)
    assert one(Read, cloud.outputs(0.0)).want == WantStream(ZERO, 10)


def test_a_read_that_fails_is_tried_again_after_a_pause() -> None:
    cloud = admitted()
    read = with_news(cloud)
    cloud.read_failed("bras-b", read.ticket, "disk error", 5.0)
    assert one(Report, cloud.outputs(5.0)).event == "store-failed"
    assert cloud.next_deadline() == 6.0
    cloud.handle_timer(6.0)
    assert one(Read, cloud.outputs(6.0)).ticket != read.ticket


def test_forgotten_deletes_lead_to_a_snapshot() -> None:
    cloud = admitted()
    read = with_news(cloud, 9)
    cloud.read("bras-b", read.ticket, Slice((put(1, 1),), version(1), True), 0.0)
    deliver = one(Deliver, cloud.outputs(0.0))
    cloud.delivered("bras-b", deliver.ticket, stored(1), 0.0)
    read = one(Read, cloud.outputs(0.0))
    cloud.read("bras-b", read.ticket, Forgotten(version(5)), 0.0)
    page = one(Read, cloud.outputs(0.0))
    assert page.want == WantPage(0, 10)
    cloud.read("bras-b", page.ticket, Page((put(1, 1),), 0, 4095), 0.0)
    assert one(Deliver, cloud.outputs(0.0)).batch.part == SnapshotPage(version(9), 0, 4095)


def test_a_gap_makes_the_read_under_way_worthless() -> None:
    cloud = admitted()
    read = with_news(cloud)
    cloud.read("bras-b", read.ticket, Slice((put(1, 1),), version(1), True), 0.0)
    deliver = one(Deliver, cloud.outputs(0.0))
    cloud.moved(Position(version(20), None, A), ZERO)
    read = one(Read, cloud.outputs(0.0))
    assert read.want == WantStream(version(1), 10)
    cloud.delivered("bras-b", deliver.ticket, Receipt(GROUP, Result.GAP, Position(), "gap"), 0.0)
    cloud.read("bras-b", read.ticket, Slice((put(2, 2),), version(2), False), 0.0)
    outputs = cloud.outputs(0.0)
    assert not of(Deliver, outputs)
    assert one(Read, outputs).want == WantStream(ZERO, 10)


def test_a_receipt_of_an_earlier_session_means_nothing() -> None:
    cloud = admitted()
    read = with_news(cloud)
    cloud.read("bras-b", read.ticket, Slice((put(1, 1), put(2, 2)), version(2), False), 0.0)
    deliver = one(Deliver, cloud.outputs(0.0))
    cloud.device_down("bras-b", "gone")
    cloud.identify("bras-b", second_identity(), WALL)
    cloud.delivered("bras-b", deliver.ticket, stored(2), 0.0)
    assert cloud.deliveries["bras-b"].position.cursor == ZERO
    assert one(Read, cloud.outputs(0.0)).want == WantStream(ZERO, 10)


def test_an_error_instead_of_a_receipt_is_tried_again() -> None:
    cloud = admitted()
    read = with_news(cloud)
    cloud.read("bras-b", read.ticket, Slice((put(1, 1), put(2, 2)), version(2), False), 0.0)
    deliver = one(Deliver, cloud.outputs(0.0))
    cloud.undelivered("bras-b", deliver.ticket, "operation-failed", 1.0)
    assert one(Report, cloud.outputs(1.0)).event == "delivery-failed"
    cloud.handle_timer(2.0)
    read = one(Read, cloud.outputs(2.0))
    assert read.want == WantStream(ZERO, 10)
    cloud.read("bras-b", read.ticket, Slice((put(1, 1), put(2, 2)), version(2), False), 2.0)
    cloud.delivered("bras-b", one(Deliver, cloud.outputs(2.0)).ticket, stored(2), 2.0)
    assert one(Report, cloud.outputs(2.0)).event == "delivery-recovered"
    cloud.device_down("bras-b", "gone")
    assert not of(Report, cloud.outputs(2.0)), "it is said once"


def test_a_secondary_that_answers_nothing_is_given_up() -> None:
    cloud = admitted()
    read = with_news(cloud)
    cloud.read("bras-b", read.ticket, Slice((put(1, 1), put(2, 2)), version(2), False), 0.0)
    one(Deliver, cloud.outputs(0.0))
    assert cloud.next_deadline() == 9.0
    cloud.handle_timer(9.0)
    assert one(GiveUp, cloud.outputs(9.0)).device == "bras-b"
    assert cloud.outputs(9.0) == []


def test_a_refusing_secondary_is_left_alone_until_a_new_writer_comes() -> None:
    cloud = admitted()
    read = with_news(cloud)
    cloud.read("bras-b", read.ticket, Slice((put(1, 1), put(2, 2)), version(2), False), 0.0)
    deliver = one(Deliver, cloud.outputs(0.0))
    cloud.delivered("bras-b", deliver.ticket, Receipt(GROUP, Result.REFUSED, Position(), "superseded"), 0.0)
    assert one(Report, cloud.outputs(0.0)).event == "delivery-refused"
    cloud.moved(Position(version(3), None, A), ZERO)
    assert cloud.outputs(0.0) == []
    cloud.identify("bras-a", first_identity(epoch=Epoch(2, "bras-a")), WALL)
    claim(cloud)
    read = one(Read, cloud.outputs(0.0))
    cloud.read("bras-b", read.ticket, Slice((put(1, 1), put(2, 2)), version(3), False), 0.0)
    assert one(Deliver, cloud.outputs(0.0)).batch.writer == Epoch(2, "bras-a")


def test_nothing_is_delivered_while_a_snapshot_comes_in() -> None:
    cloud = admitted()
    cloud.moved(Position(ZERO, SnapshotProgress(version(5), 10, version(7)), A), ZERO)
    assert cloud.outputs(0.0) == []
    cloud.moved(Position(version(7), None, A), version(5))
    assert one(Read, cloud.outputs(0.0)).want == WantPage(0, 10)


def test_who_becomes_primary_is_delivered_to_no_more() -> None:
    cloud = admitted()
    cloud.identify("bras-b", first_identity("bras-b", Epoch(2, "bras-b")), WALL)
    claim(cloud)
    keep(cloud)
    assert "bras-b" not in cloud.deliveries
    cloud.upload("bras-a", stream(0, 1, put(1, 1)), ())
    assert of(Apply, cloud.outputs(0.0)), "the store judges by the epoch"


# Instructions to download: S504


def test_a_downloading_secondary_is_told_once_until_it_has_fetched() -> None:
    cloud = admitted(DeliveryMode.DOWNLOAD)
    cloud.moved(Position(version(2), None, A), ZERO)
    assert cloud.outputs(0.0) == [Instruct("bras-b", version(2))]
    cloud.moved(Position(version(3), None, A), ZERO)
    assert cloud.outputs(0.0) == []
    cloud.fetched("bras-b", Position(version(2)), 5, 0.1)
    assert cloud.outputs(0.1) == [Delivered("bras-b", version(2)), Instruct("bras-b", version(3))]
    cloud.fetched("bras-b", Position(version(3)), 0, 0.2)
    assert cloud.outputs(0.2) == [Delivered("bras-b", version(3))]
    assert cloud.next_deadline() is None


def test_a_secondary_that_does_not_fetch_is_told_again() -> None:
    cloud = admitted(DeliveryMode.DOWNLOAD)
    cloud.moved(Position(version(2), None, A), ZERO)
    cloud.outputs(0.0)
    assert cloud.next_deadline() == 9.0
    cloud.handle_timer(9.0)
    assert cloud.outputs(9.0) == [Instruct("bras-b", version(2))]
    cloud.uninstructed("bras-b", "no endpoint", 10.0)
    assert one(Report, cloud.outputs(10.0)).event == "delivery-failed"
    cloud.handle_timer(11.0)
    assert of(Instruct, cloud.outputs(11.0))


def test_a_downloading_secondary_without_session_is_not_told() -> None:
    cloud = admitted(DeliveryMode.DOWNLOAD)
    cloud.device_down("bras-b", "gone")
    cloud.moved(Position(version(2), None, A), ZERO)
    assert cloud.outputs(0.0) == []


def test_a_downloading_secondary_that_is_ahead_on_another_history_is_told_until_it_follows() -> None:
    cloud = admitted(DeliveryMode.DOWNLOAD)
    history = (Fork(A, ZERO),)
    ahead = Position(version(9), lineage=(Fork(Epoch(2, "bras-b"), ZERO),))
    behind = Position(version(2), None, A, history)
    cloud.moved(behind, ZERO)
    assert of(Instruct, cloud.outputs(0.0))
    cloud.fetched("bras-b", ahead, 0, 0.1)
    assert of(Instruct, cloud.outputs(0.1)) == [], "what it has to offer takes a while"
    cloud.handle_timer(0.1 + OPTIONS.retry_pause)
    assert of(Instruct, cloud.outputs(1.2))
    cloud.fetched("bras-b", behind, 0, 1.3)
    cloud.handle_timer(20.0)
    assert of(Instruct, cloud.outputs(20.0)) == []
