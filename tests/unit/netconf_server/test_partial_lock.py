"""partial-lock (RFC 5717): what is locked, whom it stops, and what it shares with the lock of everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lxml import etree

from netconf_server import LocalSession
from rui.netconf.errors import RpcError
from tests.integration.netconf_server_rig import TOY, toy_schema
from tests.unit.netconf_server.local_rig import LocalRig

PL = "urn:ietf:params:xml:ns:netconf:partial-lock:1.0"
USERS = "<user><name>a</name><uid>1</uid></user><user><name>b</name><uid>2</uid></user>"
RUNNING = f'<system xmlns="{TOY}"><name>r</name><tag>x</tag>{USERS}</system>'


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[LocalRig]:
    rig = LocalRig(toy_schema(), tmp_path, RUNNING)
    yield rig
    await rig.server.close()


async def lock(
    rig: LocalRig, *selects: str, session: LocalSession | None = None
) -> tuple[str | None, list[str | None]]:
    inner = "".join(f"<select>{select}</select>" for select in selects)
    reply = await rig.rpc(f'<partial-lock xmlns="{PL}">{inner}</partial-lock>', session)
    return reply.findtext(f"{{{PL}}}lock-id"), [
        node.text for node in reply.iterchildren(f"{{{PL}}}locked-node")
    ]


def edit(inner: str) -> str:
    return (
        f'<edit-config><target><running/></target><config xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">'
        f'<system xmlns="{TOY}">{inner}</system></config></edit-config>'
    )


A = "/t:system/t:user[t:name='a']"
DELETE_A = '<user nc:operation="delete"><name>a</name></user>'


async def refusal(rig: LocalRig, operation: str, session: LocalSession | None = None) -> RpcError:
    with pytest.raises(RpcError) as refused:
        await rig.rpc(operation, session)
    return refused.value


async def test_the_reply_names_the_lock_and_its_nodes(rig: LocalRig) -> None:
    assert await lock(rig, A, "/t:system/t:tag") == (
        "1",
        ["/toy:system/toy:user[toy:name='a']", "/toy:system/toy:tag[.='x']"],
    )


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ("<user><name>a</name><uid>9</uid></user>", True),
        ("<user><name>a</name><address><city>x</city></address></user>", True),
        (DELETE_A, True),
        ("<user><name>b</name><uid>9</uid></user>", False),
        ("<user><name>a</name><uid>1</uid></user>", False),  # changes nothing
        ("<user><name>c</name></user><name>new</name>", False),
    ],
)
async def test_others_may_not_change_what_is_locked(rig: LocalRig, change: str, refused: bool) -> None:
    other = rig.open()
    await lock(rig, A)
    if refused:
        error = await refusal(rig, edit(change), other)
        assert (error.tag, error.path) == ("in-use", "/toy:system/toy:user[toy:name='a']")
    else:
        await rig.rpc(edit(change), other)
    await rig.rpc(edit(change))


async def test_neither_by_commit_nor_by_copy(rig: LocalRig) -> None:
    other = rig.open()
    await lock(rig, A)
    await rig.rpc(edit(DELETE_A).replace("<running/>", "<candidate/>"), other)
    assert (await refusal(rig, "<commit/>", other)).tag == "in-use"
    copy = "<copy-config><target><running/></target><source><config/></source></copy-config>"
    assert (await refusal(rig, copy, other)).tag == "in-use"
    await rig.rpc("<commit/>")


async def test_it_is_given_back_by_its_id_or_with_the_session(rig: LocalRig) -> None:
    other = rig.open()
    number, _ = await lock(rig, A)
    unlock = f'<partial-unlock xmlns="{PL}"><lock-id>{number}</lock-id></partial-unlock>'
    assert (await refusal(rig, unlock, other)).tag == "invalid-value"
    await rig.rpc(unlock)
    await rig.rpc(edit(DELETE_A), other)
    assert (await refusal(rig, unlock)).tag == "invalid-value"
    await lock(rig, "/t:system", session=other)
    other.close("over")
    await rig.rpc(edit("<name>n</name>"))


@pytest.mark.parametrize("select", [A, f"{A}/t:uid", "/t:system", "/"])
async def test_parts_that_overlap_are_locked_by_one_session_only(rig: LocalRig, select: str) -> None:
    other = rig.open()
    await lock(rig, A)
    await lock(rig, A)  # a second one of the same session
    operation = f'<partial-lock xmlns="{PL}"><select>{select}</select></partial-lock>'
    error = await refusal(rig, operation, other)
    assert (error.tag, error.info_text("session-id")) == ("lock-denied", str(rig.session.info.id))
    await lock(rig, "/t:system/t:user[t:name='b']", session=other)


async def test_the_lock_of_everything_and_partial_locks_exclude_each_other(rig: LocalRig) -> None:
    other = rig.open()
    whole = "<lock><target><running/></target></lock>"
    await lock(rig, A)
    assert (await refusal(rig, whole, other)).tag == "lock-denied"
    await rig.rpc(whole)
    error = await refusal(rig, f'<partial-lock xmlns="{PL}"><select>/</select></partial-lock>', other)
    assert error.tag == "lock-denied"


async def test_not_while_another_session_s_commit_waits(rig: LocalRig) -> None:
    other = rig.open()
    await rig.rpc("<commit><confirmed/></commit>")
    error = await refusal(rig, f'<partial-lock xmlns="{PL}"><select>{A}</select></partial-lock>', other)
    assert error.tag == "lock-denied"
    await rig.rpc("<commit/>")


@pytest.mark.parametrize(
    ("select", "tag", "app_tag"),
    [
        ("/t:system/t:user[t:name='z']", "operation-failed", "no-matches"),
        ("count(/t:system)", "invalid-value", "not-a-node-set"),
        ("/t:system[", "invalid-value", None),
        ("/x:system", "invalid-value", None),
    ],
)
async def test_what_is_refused(rig: LocalRig, select: str, tag: str, app_tag: str | None) -> None:
    error = await refusal(rig, f'<partial-lock xmlns="{PL}"><select>{select}</select></partial-lock>')
    assert (error.tag, error.app_tag) == (tag, app_tag)


async def test_monitoring_shows_it(rig: LocalRig) -> None:
    await lock(rig, A)
    monitoring = '<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"><datastores/>'
    reply = await rig.rpc(f"<get><filter>{monitoring}</netconf-state></filter></get>")
    shown = reply.find(".//{*}partial-lock")
    assert shown is not None
    texts = {etree.QName(leaf).localname: leaf.text for leaf in shown}
    assert texts.pop("locked-time")
    assert texts == {
        "lock-id": "1",
        "locked-by-session": str(rig.session.info.id),
        "select": A,
        "locked-node": "/toy:system/toy:user[toy:name='a']",
    }
