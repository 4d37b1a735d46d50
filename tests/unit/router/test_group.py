from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from router.group import Group
from rui.backup.identity import Role
from rui.backup.member_outputs import JournalFullError, NotPrimaryError
from rui.backup.messages import Batch, Change, Quarantined, Result, Stream
from rui.backup.version import ZERO, Epoch, Version
from tests.unit.router.groups import CLOUD, GROUP, Session, accept, opened, refuse, stored, user
from tests.unit.router.journal.journals import SmallDisk

WRITER = Epoch(4, "bras-a")


async def until(group: Group, count: int) -> None:
    """Wait until so many users are durable."""
    await eventually(lambda: group.member.durable.seq >= count)
    await group.room()


async def eventually(holds: Callable[[], object]) -> None:
    """Let the loop turn until something holds; the test's own time limit bounds it."""
    while not holds():  # noqa: ASYNC110 - what is waited for is a state, and no part tells of it
        await asyncio.sleep(0)


async def test_puts_of_one_turn_are_written_together(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        before = group.journal.counters.appends
        for number in range(50):
            group.put(user(number).key, user(number).encode())
        await until(group, 50)
        assert group.journal.counters.appends == before + 1
    async with opened(tmp_path) as group:
        assert len(group.member.table) == 50
        assert group.member.epoch == Epoch(2, "bras-a")


async def test_each_listener_is_told_and_who_answers_gets_the_users(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        group.put(user(1).key, user(1).encode())
        await until(group, 1)
        watcher, cloud = Session(1), Session(2)
        group.subscribed(watcher)
        group.subscribed(cloud)
        assert [len(watcher.identities), len(cloud.identities)] == [1, 1]
        assert accept(group, cloud)
        (batch,) = cloud.batches
        assert batch.changes[0].record == user(1).encode()
        assert group.lag(ZERO).records == 1
        assert group.oldest_unacknowledged(ZERO) == Version(group.member.epoch, 1)
        assert not group.acknowledge(watcher.id, stored(batch))
        assert group.acknowledge(cloud.id, stored(batch))
        cursor = group.member.source.position.cursor
        assert (group.lag(cursor).records, group.oldest_unacknowledged(cursor)) == (0, None)
        assert watcher.batches == []


async def test_a_stranger_cannot_answer(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        assert not accept(group, Session(9))


async def test_when_the_uplink_goes_the_others_are_told_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        old, new = Session(1), Session(2)
        group.subscribed(old)
        accept(group, old)
        group.subscribed(new)
        group.unsubscribed(old.id, "gone")
        assert group.uplink.current is None
        assert len(new.identities) == 2
        accept(group, new)
        group.put(user(1).key, user(1).encode())
        await until(group, 1)
        assert (len(old.batches), len(new.batches)) == (0, 1)


async def test_a_refused_claim_is_raised_and_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        cloud = Session()
        group.subscribed(cloud)
        refuse(group, cloud, Epoch(7, "bras-z"))
        await eventually(lambda: len(cloud.identities) == 2)
        assert cloud.identities[1].epoch == Epoch(8, "bras-a")
        assert [item.epoch.counter for item in group.history.entries] == [1, 8]


async def test_what_the_cloud_refuses_is_counted_until_it_changes(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        cloud = Session()
        group.subscribed(cloud)
        group.put(user(1).key, user(1).encode())
        await until(group, 1)
        accept(group, cloud)
        receipt = stored(cloud.batches[0])
        bad = Quarantined(user(1).key, Version(group.member.epoch, 1), "no such leaf")
        with structlog.testing.capture_logs() as events:
            group.acknowledge(cloud.id, type(receipt)(GROUP, receipt.result, receipt.position, "", (bad,)))
        assert [event["event"] for event in events] == ["record-refused-by-cloud"]
        assert group.uplink.refused == 1
        group.put(user(1).key, user(1).encode())
        assert group.uplink.refused == 0


async def test_a_silent_cloud_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as group:
        cloud = Session()
        group.subscribed(cloud)
        accept(group, cloud)
        group.put(user(1).key, user(1).encode())
        await until(group, 1)
        assert not cloud.closed
        loop = asyncio.get_running_loop()
        later = loop.time() + 3 * group.config.link_timeout + 1
        monkeypatch.setattr(loop, "time", lambda: later)
        group.put(user(2).key, user(2).encode())
        await eventually(lambda: cloud.closed)
        assert "has not acknowledged" in cloud.closed


async def test_a_login_is_answered_once_it_is_durable(tmp_path: Path) -> None:
    answered: list[int] = []
    async with opened(tmp_path) as group:
        group.put(user(1).key, user(1).encode(), lambda: answered.append(1))
        assert answered == []
        await until(group, 1)
        assert answered == [1]


async def test_with_policy_cloud_a_login_waits_for_the_cloud(tmp_path: Path) -> None:
    answered: list[int] = []
    async with opened(tmp_path, acknowledgement=CLOUD) as group:
        cloud = Session()
        group.subscribed(cloud)
        accept(group, cloud)
        group.put(user(1).key, user(1).encode(), lambda: answered.append(1))
        await until(group, 1)
        assert answered == []
        await eventually(lambda: cloud.batches)
        group.acknowledge(cloud.id, stored(cloud.batches[0]))
        assert (answered, group.parking.unprotected) == ([1], 0)


async def test_a_full_disk_turns_logins_away_and_keeps_what_was_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Disk(SmallDisk):
        pass

    monkeypatch.setattr("router.journal.recovery.SegmentWriter", Disk)
    answered: list[int] = []
    async with opened(tmp_path) as group:
        group.put(user(1).key, user(1).encode())
        await until(group, 1)
        Disk.limit = group.journal.octets
        group.member.options = type(group.member.options)(pending_bytes=1000, retry_pause=0.01)
        with structlog.testing.capture_logs() as events:
            for number in range(2, 40):
                try:
                    group.put(user(number).key, user(number).encode(), lambda: answered.append(1))
                except JournalFullError:
                    break
            else:
                raise AssertionError("all logins were taken")
            await eventually(lambda: group.member.failure)
            assert group.refused_logins == 1
            assert answered == []
            Disk.limit = 1 << 60
            await group.room()
        assert {"journal-write-failed", "journal-writable-again"} <= {event["event"] for event in events}
        assert len(answered) == len(group.member.table) - 1


async def test_a_secondary_takes_batches_and_serves_nobody(tmp_path: Path) -> None:
    change = Change(user(1).key, Version(WRITER, 1), user(1).encode())
    bad = Change(user(2).key, Version(WRITER, 2), b"<poison/>")
    batch = Batch(GROUP, WRITER, Stream(ZERO, Version(WRITER, 2)), (change, bad))
    async with opened(tmp_path, Role.SECONDARY) as group:
        quarantined = (Quarantined(bad.key, bad.version, "no such element"),)
        receipts = await asyncio.gather(group.receive(batch, quarantined), group.receive(batch, ()))
        assert [receipt.result for receipt in receipts] == [Result.STORED, Result.STORED]
        assert receipts[0].quarantined == quarantined
        with pytest.raises(NotPrimaryError):
            group.put(user(3).key, b"")
        cloud = Session()
        group.subscribed(cloud)
        assert cloud.identities[0].role is Role.SECONDARY
        assert cloud.identities[0].position.cursor == Version(WRITER, 2)
    async with opened(tmp_path, Role.SECONDARY) as group:
        assert len(group.member.table) == 2
        assert set(group.member.quarantined) == {bad.key}


async def test_what_was_taken_is_written_before_it_stops(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        group.put(user(1).key, user(1).encode())
    async with opened(tmp_path) as group:
        assert user(1).key in group.member.table


async def test_users_are_served_once_the_batch_is_written_that_was_under_way(tmp_path: Path) -> None:
    """[0139]: the role moves at once, the running batch is finished first, then the subscribers begin."""
    async with opened(tmp_path, Role.SECONDARY) as group:
        told: list[bool] = []
        group.serving_changed = lambda: told.append(group.member.takes)
        change = Change(user(1).key, Version(WRITER, 1), user(1).encode())
        batch = Batch(GROUP, WRITER, Stream(ZERO, change.version), (change,))
        receiving = asyncio.create_task(group.receive(batch, ()))
        await asyncio.sleep(0)
        group.promote("asked by a test")
        assert not group.member.takes
        assert (await receiving).result is Result.STORED
        await group.written()
        assert told == [True]
        assert group.member.epoch > WRITER
