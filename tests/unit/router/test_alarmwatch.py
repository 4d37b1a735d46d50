"""What holds is raised at the next look, and cleared at the next look after it is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from netconf_server import load_schema
from router.alarms import Alarms
from router.alarmwatch import AlarmWatch
from router.group import Group
from router.journal import Quota
from router.rbs.failover import GroupFailover
from rui.backup.alarms import AlarmType
from rui.backup.member_outputs import JournalFullError
from rui.backup.messages import Position, Receipt, Result
from tests.models import router_model
from tests.unit.router.groups import GROUP, Session, accept, opened, stored, user


class NoSwitch:
    """A router without RBS channels."""

    groups: dict[str, GroupFailover] = {}  # noqa: RUF012 - never changed

    def links(self) -> dict[str, object]:
        return {}


def watch(group: Group, *, heard: bool = True, quota: Quota | None = None) -> AlarmWatch:
    switch = NoSwitch()
    return AlarmWatch(group.alarms, {GROUP: group}, switch, lambda: heard, quota or Quota(), conflicts={})  # type: ignore[arg-type]


def raised(alarms: Alarms) -> set[str]:
    return {alarm.key.type.value for alarm in alarms.book.alarms if alarm.cleared is None}


async def test_nothing_is_wrong_with_a_group_that_works(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        watch(group).look()
        assert raised(group.alarms) == set()


async def test_a_cloud_that_is_away(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        for heard, expected in (
            (False, {"cloud-unreachable"}),
            (False, {"cloud-unreachable"}),
            (True, set()),
        ):
            watch(group, heard=heard).look()
            assert raised(group.alarms) == expected
        assert [change.raised for change in group.alarms.book.history] == [True, False]


async def test_users_that_nobody_else_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as group:
        group.put(user(1).key, user(1).encode())
        await group.written()
        look = watch(group).look
        look()
        assert raised(group.alarms) == set()
        monkeypatch.setattr("router.alarmwatch._UNPROTECTED_AFTER", -1.0)
        look()
        assert raised(group.alarms) == {"unprotected-users"}
        (alarm,) = group.alarms.book.alarms
        assert alarm.text.startswith("1 users' changes are durable on this router only")
        monkeypatch.undo()
        session = Session()
        group.subscribed(session)
        accept(group, session)
        group.acknowledge(session.id, stored(session.batches[0]))
        look()
        assert raised(group.alarms) == set()


async def test_a_cloud_that_cannot_store(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        group.put(user(1).key, user(1).encode())
        await group.written()
        session = Session()
        group.subscribed(session)
        accept(group, session)
        look = watch(group).look
        group.acknowledge(session.id, Receipt(GROUP, Result.FAILED, Position(), "no space is left"))
        look()
        assert raised(group.alarms) == {"store-failing"}
        assert "no space is left" in group.alarms.book.alarms[0].text
        group.member.handle_timer(1e9)
        group.upload(True)
        look()
        assert raised(group.alarms) == {"store-failing"}, "tried again is not stored"
        group.acknowledge(session.id, stored(session.batches[-1]))
        look()
        assert raised(group.alarms) == set()


async def test_the_journals_bound(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        quota = Quota()
        quota.add(group.journal)
        look = watch(group, quota=quota).look
        quota.limit = quota.octets * 10 // 9
        look()
        assert raised(group.alarms) == {"journal-nearly-full"}
        quota.check()
        quota.limit = quota.octets
        with pytest.raises(JournalFullError, match="raise journal/max-size"):
            quota.check()
        quota.limit = quota.octets * 2
        look()
        assert raised(group.alarms) == set()


async def test_logins_are_refused_at_the_bound_and_logoffs_are_not(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        group.put(user(1).key, user(1).encode())
        await group.written()
        group._quota.limit = 1
        with pytest.raises(JournalFullError):
            group.put(user(2).key, user(2).encode())
        assert group.refused_logins == 1
        assert group.delete(user(1).key) is not None


async def test_what_is_read_fits_the_model(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        watch(group, heard=False).look()
        router_model().check_operational(group.alarms.read())
        load_schema(["rui-alarms"]).check_operational(group.alarms.read())
        assert group.alarms.book.raised(AlarmType.CLOUD_UNREACHABLE, peer="cloud")


async def test_a_journal_that_has_caught_up_with_the_cloud(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        group.put(user(1).key, user(1).encode())
        await group.written()
        session = Session()
        group.subscribed(session)
        accept(group, session)
        group.alarms.set(AlarmType.JOURNAL_BEHIND_CLOUD, True, "lost", group=GROUP, peer="cloud")
        look = watch(group).look
        look()
        assert raised(group.alarms) == {"journal-behind-cloud"}
        group.acknowledge(session.id, stored(session.batches[-1]))
        look()
        assert raised(group.alarms) == set()


async def test_what_was_heard_in_another_role_is_forgotten(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        group.audits.note("", group.member.durable, False)
        group.audits.note("cloud", group.member.durable, False)
        watch(group).look()
        (alarm,) = [alarm for alarm in group.alarms.book.alarms if alarm.cleared is None]
        assert alarm.key.peer == "cloud"
        group.audits.note("cloud", group.member.durable, True)
        assert raised(group.alarms) == set()
