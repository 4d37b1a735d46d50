"""Changes are held against the rights of who makes them, node by node (RFC 8341 3.2.5 to 3.2.8)."""

from __future__ import annotations

import pytest

from netconf_server.change import Change
from netconf_server.edit import Operation, apply_edit
from netconf_server.nacmwrite import check_change, check_request
from rui.netconf.errors import RpcError
from tests.unit.netconf_server.nacm_rig import (
    GUARDED,
    access,
    config,
    deny,
    house,
    nacm,
    permit,
    room,
    schema,
)

BEFORE = house(
    "<name>n</name><code>c</code>"
    + room("ann", "<owner>o</owner><lamp>l</lamp><guest>b</guest><guest>c</guest>")
    + room("hall", "<safe><content>gold</content></safe>")
)
ROOM, HALL, BATH = "/g:house/g:room", "/g:house/g:room[g:name='hall']", "/g:house/g:room[g:name='bath']"
SAFE = "/g:house/g:room/g:safe"
OWN_ROOM = "/g:house/g:room[g:name=$USER]"
BASE = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"'


def outcome(policy: str, edit: str, *, default: str = "merge", before: str = BEFORE) -> str:
    """`ok`, or the path of what was denied."""
    old, new, request = config(before), config(before), config(house(edit) if "<house" not in edit else edit)
    top, who = schema().tree.data, access(policy)
    try:
        check_request(who, request, Operation(default), top)
        apply_edit(top, new, request, Operation(default))
        check_change(who, Change(old, new, None), top)
    except RpcError as error:
        path = (error.path or "/").replace("guarded:", "")
        return path if error.tag == "access-denied" else error.tag
    return "ok"


def edit(operation: str, name: str, text: str = "") -> str:
    return f'<{name} {BASE} nc:operation="{operation}">{text}</{name}>'


@pytest.mark.parametrize(
    ("policy", "request_", "expected"),
    [
        ("", "<name>n</name>", "ok"),  # nothing changes
        ("", "<name>m</name>", "/house/name"),
        (nacm(permit()), "<name>m</name><code>d</code>", "ok"),
        (nacm(permit(path="/g:house/g:name")), "<name>m</name>", "ok"),
        (nacm(permit(path="/g:house/g:name", access_operations="create")), "<name>m</name>", "/house/name"),
        (nacm(permit(path="/g:house/g:name", access_operations="update")), "<name>m</name>", "ok"),
        # who may not read a node is not told of it
        (nacm(leaves="<write-default>permit</write-default>"), "<code>d</code>", "/house"),
        (nacm(leaves="<write-default>permit</write-default>"), "<name>m</name>", "ok"),
        (nacm(permit(path=OWN_ROOM)), room("ann", "<owner>x</owner>"), "ok"),
        (nacm(permit(path=OWN_ROOM)), room("hall", "<owner>x</owner>"), "/house/room[name='hall']/owner"),
        (nacm(permit(path=OWN_ROOM)), room("bath"), "/house/room[name='bath']"),
        # a new entry with something in it that is closed
        (nacm(permit(path=BATH)), room("bath", "<safe><content>x</content></safe>"), "ok"),
        (nacm(deny(path=SAFE), permit(path=ROOM)), room("bath", "<safe><content>x</content></safe>"),
         "/house/room[name='bath']"),
        # what goes takes along what is in it
        (nacm(permit(path=HALL)), edit("delete", "room", "<name>hall</name>"), "ok"),
        (nacm(deny(path=SAFE, access_operations="delete"), permit(path=ROOM)),
         edit("delete", "room", "<name>hall</name>"), "/house/room[name='hall']/safe/content"),
        # of a safe that he may not read he is not told
        (nacm(deny(path=SAFE), permit(path=ROOM)), edit("delete", "room", "<name>hall</name>"),
         "/house/room[name='hall']"),
        # what goes because another case comes needs no right
        (nacm(permit(path="/g:house/g:room/g:candle")), room("ann", "<candle>x</candle>"), "ok"),
        (nacm(permit(path="/g:house/g:room/g:candle")), room("ann", edit("remove", "lamp")),
         "/house/room[name='ann']/lamp"),
        # a list that users order
        (nacm(permit(path="/g:house/g:room/g:guest", access_operations="create")),
         room("ann", "<guest>d</guest>"), "ok"),
        (nacm(permit(path="/g:house/g:room/g:guest", access_operations="create")),
         room("ann", '<guest xmlns:y="urn:ietf:params:xml:ns:yang:1" y:insert="first">c</guest>'),
         "/house/room[name='ann']/guest[.='c']"),
        # a container with presence is a node, one without is none
        ("", "<debug/>", "/house/debug"),
        (nacm(permit(path="/g:house/g:debug")), "<debug/>", "ok"),
    ],
)  # fmt: skip
def test_an_edit(policy: str, request_: str, expected: str) -> None:
    assert outcome(policy, request_) == expected


@pytest.mark.parametrize("operation", ["create", "delete"])
@pytest.mark.parametrize("there", ["ann", "nobody"])
def test_nobody_is_told_what_exists(operation: str, there: str) -> None:
    request = edit(operation, "room", f"<name>{there}</name>")
    assert outcome("", request) == f"/house/room[name='{there}']"


def test_a_container_without_presence_needs_no_right() -> None:
    policy = nacm(permit(path="/g:garden/g:size"))
    assert (
        outcome(policy, f'<garden xmlns="{GUARDED}"><size>1</size></garden><house xmlns="{GUARDED}"/>')
        == "ok"
    )


def test_replacing_all_of_it_needs_the_rights_for_what_goes() -> None:
    policy = nacm(deny(path="/g:house/g:code"), permit())
    assert outcome(policy, "<name>n</name>", default="replace") == "/house"
    assert outcome(nacm(permit()), "<name>n</name>", default="replace") == "ok"
