"""What operators read fits the model, and one user is found without looking at the others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from functools import cache
from pathlib import Path

import pytest

from router.linkstatus import CloudLink
from router.operational import IdentityTree, UserInfoTree, Users
from rui.backup.identity import Role
from rui.backup.messages import Batch, Change, Quarantined, Stream
from rui.backup.version import ZERO, Epoch, Version
from rui.schema import Schema
from tests.integration.router_rig import texts
from tests.models import router_model
from tests.unit.router.groups import GROUP, opened, user

WRITER = Epoch(4, "bras-a")


@cache
def schema() -> Schema:
    return router_model()


def batch(count: int) -> Batch:
    """Return so many users as one batch."""
    changes = [Change(user(n).key, Version(WRITER, n), user(n).encode()) for n in range(1, count + 1)]
    return Batch(GROUP, WRITER, Stream(ZERO, changes[-1].version), tuple(changes))


@pytest.mark.parametrize("role", Role)
async def test_identities(role: Role, tmp_path: Path) -> None:
    async with opened(tmp_path, role) as group:
        tree = IdentityTree({GROUP: group}, "bras-x", "192.0.2.1").read()
        schema().check_operational(tree)
        assert texts(tree, "group/role") == [role.value]
        assert texts(tree, "group/epoch") == (["1@bras-a"] if role is Role.PRIMARY else [""])
        assert texts(tree, "group/member/device-id") == ["bras-x", "bras-b"]
        assert texts(tree, "group/history/index") == ["1"]


async def test_users_are_given_in_their_own_bytes_and_found_by_any_key(tmp_path: Path) -> None:
    async with opened(tmp_path, Role.SECONDARY) as group:
        bad = Quarantined(user(3).key, Version(WRITER, 3), "no such leaf")
        await group.receive(batch(9), (bad,))
        users = Users({GROUP: group})

        def found(keys: Mapping[str, Mapping[str, str]]) -> list[bytes]:
            return [entry.xml for entry in users.read(keys)]

        assert found({}) == [user(n).encode() for n in (1, 2, 4, 5, 6, 7, 8, 9)]
        assert found({"group": {"group-id": "g9"}}) == []
        whole = {"mac-address": "02:00:00:00:00:07", "outer-vlan": "0", "inner-vlan": "0"}
        assert found({"group": {"group-id": GROUP}, "user": whole}) == [user(7).encode()]
        assert found({"user": {"mac-address": "02:00:00:00:00:07"}}) == [user(7).encode()]
        assert found({"user": {"outer-vlan": "5"}}) == []
        assert found({"user": {**whole, "outer-vlan": "x"}}) == []
        tree = UserInfoTree({GROUP: group}).read()
        schema().check_operational(tree)
        assert (texts(tree, "group/users"), texts(tree, "group/quarantined/reason")) == (
            ["8"],
            ["no such leaf"],
        )


async def test_users_may_go_while_they_are_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as group:
        for number in range(5):
            group.put(user(number).key, user(number).encode())
        reading = iter(Users({GROUP: group}).read({}))
        assert next(reading).xml == user(0).encode()
        group.delete(user(1).key)
        group.put(user(9).key, user(9).encode())
        assert [entry.xml for entry in reading] == [user(number).encode() for number in (2, 3, 4)]
        assert group.unprotected_users() <= len(group.member.table)


def test_the_link_is_up_while_any_session_is_there() -> None:
    link = CloudLink()
    assert link.state == "unknown"
    assert [link.opened(1, "a"), link.opened(2, "b"), link.closed(1, "c"), link.closed(2, "d")] == [
        True, False, False, True,
    ]  # fmt: skip
    assert (link.state, link.flaps, link.reason) == ("down", 2, "d")
    assert link.changed.tzinfo is UTC


async def test_changes_of_users_are_told_with_what_they_were(tmp_path: Path) -> None:
    async with opened(tmp_path, Role.SECONDARY) as group:
        users, told = Users({GROUP: group}), list[tuple[str, bytes | None]]()
        end = users.watch(lambda keys, before: told.append((keys["user"]["mac-address"], before)))
        await group.receive(batch(2), (Quarantined(user(2).key, Version(WRITER, 2), "no such leaf"),))
        writer, last = Version(WRITER, 2), Version(WRITER, 5)
        changes = (
            Change(user(1).key, Version(WRITER, 3), b"<user/>"),
            Change(user(2).key, Version(WRITER, 4), user(2).encode()),
            Change(user(1).key, last, None),
        )
        await group.receive(Batch(GROUP, WRITER, Stream(writer, last), changes), ())
        one, two = "02:00:00:00:00:01", "02:00:00:00:00:02"
        # What the model had refused was not shown before.
        assert told == [(one, None), (two, None), (one, user(1).encode()), (two, None), (one, b"<user/>")]
        end()
        assert group.member.table.watchers == ()
