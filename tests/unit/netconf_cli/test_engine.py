"""Commands over a session of a server: what they say, change and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lxml import etree

from netconf_cli import Engine
from netconf_server import NetconfServer
from rui.schema import Schema
from tests.models import router_model
from tests.unit.netconf_cli.bench import Lines, Users, engine, refused, run, server

MANY = 20_000


@pytest.fixture(scope="module")
def schema() -> Schema:
    return router_model()


@pytest.fixture
def made(tmp_path: Path, schema: Schema) -> NetconfServer:
    return server(tmp_path, schema)


@pytest.fixture
def at(made: NetconfServer) -> Engine:
    return engine(made)


# --- configuration mode


async def test_set_compare_commit_and_show(at: Engine) -> None:
    await run(at, "configure", "set device group g1 static-role primary member r2 address 192.0.2.2")
    assert await run(at, "compare") == [
        "[edit device]",
        "+  group g1 {",
        "+      static-role primary;",
        "+      member r2 {",
        "+          address 192.0.2.2;",
        "+      }",
        "+  }",
    ]
    assert await run(at, "commit check") == ["configuration check succeeds"]
    assert await run(at, "commit and-quit") == ["commit complete", "Leaving configuration mode"]
    assert await run(at, "show configuration device group g1 member r2") == ["address 192.0.2.2;"]
    assert await run(at, "show configuration device group g1 | set") == [
        "set device group g1 static-role primary",
        "set device group g1 member r2 address 192.0.2.2",
    ]


async def test_set_lines_make_the_same_configuration_again(at: Engine) -> None:
    await run(at, "configure", "set device group g1 static-role primary member r2", "commit")
    lines = await run(at, "run show configuration device | set")
    await run(at, "delete device group g1")
    for line in lines:
        await run(at, line)
    assert await run(at, "compare") == []


async def test_places(at: Engine) -> None:
    await run(at, "configure", "edit device group g1")
    assert at.context.banner == "[edit device group g1]"
    await run(at, "set static-role secondary", "edit member r2")
    await run(at, "exit")
    assert at.context.banner == "[edit device group g1]"
    assert await run(at, "show") == ["static-role secondary;"]
    await run(at, "up")
    assert at.context.banner == "[edit device]"
    await run(at, "top", "rollback 0")
    assert await run(at, "compare") == []
    await run(at, "quit")
    assert at.context.edit is None


async def test_delete_and_its_refusals(at: Engine) -> None:
    await run(at, "configure", "delete device address")
    assert await run(at, "compare") == ["[edit device]", "-  address 192.0.2.1;"]
    assert "there is no device address" in await refused(at, "delete device address")
    assert "a key of 'group' is missing" in await refused(at, "delete device group")
    assert "is missing" in await refused(at, "delete")


async def test_an_invalid_configuration_is_refused_with_its_place(at: Engine) -> None:
    await run(at, "configure", "delete device device-id")
    why = await refused(at, "commit")
    assert "device-id" in why
    assert "at /" in why
    assert "device-id r1;" in await run(at, "run show configuration device")


async def test_a_locked_candidate_is_left_clean(at: Engine, made: NetconfServer) -> None:
    await run(at, "configure exclusive", "set device address 192.0.2.7")
    other = engine(made)
    assert "lock-denied" in await refused(other, "configure exclusive")
    await run(other, "configure")
    assert "in-use" in await refused(other, "set device address 192.0.2.8")
    await run(at, "exit")
    assert await run(other, "compare") == []


# --- data


async def test_a_million_users_would_be_read_as_they_come(at: Engine, made: NetconfServer) -> None:
    users = Users(MANY)
    made.register_list("/rui-user-info:user-info/group/user", users)
    out = Lines(most=150)
    assert await at.run("show users", out)
    assert out.paged
    assert len(out.lines) == 150
    assert users.made < 2000  # no more than a few pages were made, whatever the table holds
    assert "\x9b" not in "".join(out.lines)  # no value can give the terminal an order


async def test_every_form_holds_the_same(at: Engine, made: NetconfServer) -> None:
    made.register_list("/rui-user-info:user-info/group/user", Users(300))
    top = json.loads("\n".join(await run(at, "show users | json")))
    listed = top["rui-user-info:user-info"]["group"][0]
    assert listed["group-id"] == "g1"
    assert len(listed["user"]) == 300
    assert listed["user"][5]["outer-vlan"] == 5
    xml = etree.fromstring("\n".join(await run(at, "show users | xml")))
    assert len(list(xml.iter("{*}user"))) == 300
    assert await run(at, "show users | count") == ["Count: 300 lines"]
    assert len(await run(at, "show users mac 02:00:00:00:00:07")) == 2
    assert len(await run(at, "show users ip 10.0.0.7 group g1")) == 2
    assert await run(at, "show users group other") == []
    shown = await run(at, "show state user-info group g1 user 02:00:00:00:00:07 7 0")
    assert "ipv4-address 10.0.0.7;" in shown


async def test_the_lines_that_pipes_leave(at: Engine, made: NetconfServer) -> None:
    made.register_list("/rui-user-info:user-info/group/user", Users(30))
    assert len(await run(at, "show users | match 10.0.0.1")) == 11
    assert len(await run(at, "show users | except 10.0.0.1 | except group")) == 19
    assert len(await run(at, "show users | find 10.0.0.28")) == 2
    assert len(await run(at, "show users | last 3 | match 29")) == 1
    assert "no data" in await refused(at, "show commits | json")


# --- what may come next


async def names(at: Engine, text: str) -> list[str]:
    return [item.text for item in (await at.complete(text)).candidates]


async def test_completion_follows_the_model(at: Engine) -> None:
    await run(at, "configure", "set device group g1", "set device group g2")
    assert "device" in await names(at, "set ")
    assert (await at.complete("set dev")).insertion == "device "
    assert await names(at, "set device group ") == ["<id>", "g1", "g2"]
    assert await names(at, "set device group g1 static-role ") == ["<static-role>", "primary", "secondary"]
    assert await names(at, "set device group g1 static-role p") == ["primary"]
    assert "static-role" in await names(at, "set device group g1 initiator primary ")
    described = {item.text: item.help for item in (await at.complete("set device group g1 ")).candidates}
    assert described["initiator"]
    found = await at.complete("set device nothing-like-this")
    assert not found.candidates
    assert "nothing begins with" in found.problem


async def test_completion_of_commands_and_pipes(at: Engine, made: NetconfServer) -> None:
    made.register_list("/rui-user-info:user-info/group/user", Users(300_000))
    assert await names(at, "sh") == ["show"]
    assert (await at.complete("show use")).insertion == "users "
    assert "mac" in await names(at, "show users ")
    assert "count" in await names(at, "show users | ")
    assert await names(at, "show users | m") == ["match"]
    assert "configuration" in await names(at, "run sh") or await names(at, "monitor li") == ["links"]
    keys = await names(at, "show state user-info group g1 user ")
    assert 2 <= len(keys) <= 63  # of a table of any size only so many are looked for


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("shw", "there is no 'shw'"),
        ("show", "a word is missing"),
        ("show c", "ambiguous"),
        ("show users mac", "needs a mac"),
        ("show configuration nothing", "there is no 'nothing' here"),
        ("monitor links interval 0", "no number of seconds"),
        ("request digest-user-info group-id", "a value of 'group-id' is missing"),
    ],
)
async def test_what_cannot_be_is_refused(at: Engine, line: str, complaint: str) -> None:
    assert complaint in await refused(at, line)
