"""Which operations, notifications and nodes a policy opens (RFC 8341 3.4)."""

from __future__ import annotations

import pytest
from lxml import etree

from netconf_server.nacmaccess import Access, Scope
from netconf_server.nacmhear import Hearing
from netconf_server.nacmpath import PathError, instance_of, parse_path
from netconf_server.nacmrules import PolicyError, Right, read_policy
from rui.netconf import names
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

ROOM = "/guarded:house/room"
ALL_OPEN = "<exec-default>permit</exec-default><write-default>permit</write-default>"
EVERY_RPC = {"ring", "get", "destroy", "kill-session", "delete-config"}
CLOSED = "<read-default>deny</read-default><exec-default>deny</exec-default>"


def calls(who: Access, name: str, namespace: str = GUARDED) -> bool:
    tag = f"{{{namespace}}}{name}"
    return who.may_call(tag, schema().tree.rpcs.get(tag))


@pytest.mark.parametrize(
    ("policy", "open_rpcs"),
    [
        ("", {"ring", "get"}),  # the defaults of the module
        (nacm(leaves=ALL_OPEN), {"ring", "get"}),
        (nacm(leaves=CLOSED), set()),
        (nacm(permit(rpc_name="destroy")), {"ring", "get", "destroy"}),
        (nacm(permit(module_name="guarded")), {"ring", "get", "destroy"}),
        (nacm(permit(rpc_name="*", module_name="guarded"), leaves=CLOSED), {"ring", "destroy"}),
        (nacm(permit(rpc_name="kill-session")), {"ring", "get", "kill-session"}),
        (nacm(deny(rpc_name="ring"), permit()), {"get", "destroy", "kill-session", "delete-config"}),
        (nacm(deny(rpc_name="ring", access_operations="read")), {"ring", "get"}),
        (nacm(deny(rpc_name="ring", access_operations="read exec")), {"get"}),
        (nacm(deny(module_name="toy")), {"ring", "get"}),
        (nacm(permit(), group="other"), {"ring", "get"}),
        (nacm(permit(), group="*"), EVERY_RPC),
        (nacm(leaves="<enable-nacm>false</enable-nacm>"), EVERY_RPC),
    ],
)  # fmt: skip
def test_operations(policy: str, open_rpcs: set[str]) -> None:
    who = access(policy)
    found = {name for name in ("ring", "destroy") if calls(who, name)}
    found |= {name for name in ("get", "kill-session", "delete-config") if calls(who, name, names.BASE)}
    assert found == open_rpcs
    assert calls(who, "close-session", names.BASE)


def test_who_is_in_no_group_has_the_defaults_even_of_rules_for_all() -> None:
    assert not calls(access(nacm(permit(), group="*"), "eve"), "destroy")


def test_a_recovery_session_may_do_all() -> None:
    who = access(nacm(deny()), unlimited=True)
    assert calls(who, "destroy")
    assert who.scope(schema().node("/guarded:house/code"), Right.UPDATE) is Scope.ALL


def scope(policy: str, path: str, right: str = "read") -> str:
    return access(policy).scope(schema().node(path), Right(right)).value


@pytest.mark.parametrize(
    ("policy", "path", "right", "extent"),
    [
        ("", "/guarded:garden", "read", "all"),
        ("", "/guarded:garden", "create", "none"),
        ("", "/guarded:house", "read", "part"),  # its code is closed
        ("", "/guarded:house/code", "read", "none"),
        (nacm(leaves=ALL_OPEN), "/guarded:house/code", "update", "none"),
        (nacm(leaves=ALL_OPEN), ROOM + "/safe/content", "update", "none"),  # closed with all below it
        (nacm(leaves=ALL_OPEN), ROOM + "/safe/content", "read", "all"),
        (nacm(permit(path="/g:house")), "/guarded:house", "read", "all"),
        (nacm(permit(path="/g:house")), "/guarded:house", "delete", "all"),
        (nacm(permit(path="/")), "/guarded:meters", "read", "all"),
        (nacm(permit(path="/g:house/g:room", access_operations="create")), ROOM, "create", "all"),
        (nacm(permit(path="/g:house/g:room", access_operations="create")), ROOM, "delete", "none"),
        (nacm(permit(path="/g:house/g:room", access_operations="create")), ROOM + "/owner", "create", "all"),
        (nacm(permit(path="/g:house/g:room[g:name='hall']")), ROOM, "create", "part"),
        (nacm(deny(path="/g:house/g:room[g:name='hall']")), ROOM, "create", "none"),  # denied anyway
        (nacm(permit(path="/g:house/g:room[g:name='hall']"), permit(path="/g:house")), ROOM, "create", "all"),
        (nacm(deny(path="/g:house/g:name"), permit(module_name="guarded")), "/guarded:house", "read", "part"),
        (nacm(permit(module_name="toy", path="/g:house")), "/guarded:house", "create", "none"),
        (nacm(permit(path="/g:cellar")), "/guarded:house", "create", "none"),  # no module defines it
    ],
)  # fmt: skip
def test_data_nodes_are_decided_on_the_schema(policy: str, path: str, right: str, extent: str) -> None:
    assert scope(policy, path, right) == extent


def test_a_path_with_keys_is_decided_by_the_instance() -> None:
    who = access(nacm(permit(path="/g:house/g:room[g:name=$USER]/g:guest")))
    tree = config(house(room("ann", "<guest>bob</guest>") + room("hall", "<guest>bob</guest>")))
    node = schema().node(ROOM + "/guest")
    found = {}
    for element in tree.iter(f"{{{GUARDED}}}guest"):
        trail = [instance_of(part) for part in (*reversed(list(element.iterancestors())[:-1]), element)]
        name = trail[1][1](f"{{{GUARDED}}}name")
        found[name] = who.permits(node, Right.CREATE, trail)
    assert found == {"ann": True, "hall": False}


@pytest.mark.parametrize(
    ("policy", "heard"),
    [
        ("", {"visit"}),
        (nacm(leaves=CLOSED), set()),
        (nacm(permit(notification_name="theft")), {"visit", "theft"}),
        (nacm(deny(notification_name="*")), set()),
        (nacm(permit(notification_name="theft", access_operations="exec")), {"visit"}),
        (nacm(permit(module_name="guarded")), {"visit", "theft"}),
    ],
)
def test_notifications(policy: str, heard: set[str]) -> None:
    hearing, who = Hearing(schema()), access(policy)
    for name in ("visit", "theft"):
        text = f'<x:{name} xmlns:y="urn:y" xmlns:x="{GUARDED}"/>'.encode()
        for content in (text, [text[:9], text[9:]], etree.fromstring(text)):
            assert hearing.permits(who, content) == (name in heard)


def test_a_replay_always_ends() -> None:
    space = "urn:ietf:params:xml:ns:netmod:notification"
    assert Hearing(schema()).permits(access(""), f'<replayComplete xmlns="{space}"/>'.encode())


def test_a_notification_in_data_needs_the_data_too() -> None:
    hearing = Hearing(schema())
    alarm = house(room("hall", "<alarm><text>!</text></alarm>")).encode()
    assert hearing.permits(access(""), alarm)
    assert not hearing.permits(access(nacm(deny(path="/g:house/g:room/g:alarm"))), alarm)
    assert not hearing.permits(access(nacm(deny(path="/g:house/g:room[g:name='hall']"))), alarm)
    assert hearing.permits(access(nacm(deny(path="/g:house/g:room[g:name='bath']"))), alarm)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("house", "is no path"),
        ("/x:house", "declare the prefix"),
        ("/house", "says no namespace"),
        ("", "empty"),
        ("/g:house/g:room[1]", "is no predicate"),
        ("/g:house/g:room[g:owner='x']", "names no key"),
        ("/g:house[g:name='x']", "names no key"),
        ("/g:house/g:room[g:name='x'", "is no path"),
    ],
)
def test_a_path_that_cannot_be_read_is_told(path: str, says: str) -> None:
    with pytest.raises(PathError, match=says):
        parse_path(path, {"g": GUARDED}, schema())


def test_steps_inherit_the_namespace_and_values_may_hold_brackets() -> None:
    path = parse_path("/g:house/room[name = \"a]'b\"]/guest[.='x']", {"g": GUARDED}, schema())
    assert path.target == ROOM + "/guest"
    assert [test.text for _, tests in path.steps for test in tests] == ["a]'b", "x"]


def test_a_rule_that_cannot_be_read_names_itself() -> None:
    with pytest.raises(PolicyError, match=r"rule-list\[name='l'\]/rule\[name='r0'\]/path"):
        read_policy(schema(), config(nacm(permit(path="/nowhere:x"))))
