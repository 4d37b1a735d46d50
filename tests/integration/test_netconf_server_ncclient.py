"""ncclient, a client that shares no code with the server, through every operation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from rui.netconf import names
from tests.integration.netconf_server_rig import PASSWORD, TOY, USER, Rig, serving, toy

Client: TypeAlias = manager.Manager


def config(inner: str) -> str:
    prefixes = f'xmlns:nc="{names.BASE}" xmlns:y="urn:ietf:params:xml:ns:yang:1" xmlns:t="{TOY}"'
    return f'<config xmlns="{names.BASE}"><system xmlns="{TOY}" {prefixes}>{inner}</system></config>'


def wanted(inner: str) -> tuple[str, str]:
    return ("subtree", f'<system xmlns="{TOY}">{inner}</system>')


def data(reply: object) -> etree._Element:
    """The data element of a reply to get or get-config."""
    found = etree.fromstring(reply.xml.encode()).find(names.DATA)  # type: ignore[attr-defined]
    assert found is not None
    return found


def texts(reply: object, name: str) -> list[str | None]:
    return [element.text for element in data(reply).iter(toy(name))]


async def run(rig: Rig, script: Callable[[Client], None]) -> None:
    """Run a script of ncclient calls beside the server's loop."""

    def connected() -> None:
        with manager.connect(
            host="127.0.0.1",
            port=rig.port,
            username=USER,
            password=PASSWORD,
            hostkey_verify=False,
            look_for_keys=False,
            allow_agent=False,
            timeout=20,
        ) as client:
            script(client)

    await asyncio.to_thread(connected)


async def test_edit_of_the_candidate_and_commit(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        with client.locked("candidate"):
            client.edit_config(config("<name>r1</name><mtu>1400</mtu>"), target="candidate")
            assert texts(client.get_config("running"), "name") == []
            assert texts(client.get_config("candidate"), "name") == ["r1"]
            client.validate("candidate")
            client.commit()
        assert texts(client.get_config("running", wanted("<mtu/>")), "mtu") == ["1400"]
        assert texts(client.get_config("running", wanted("<mtu/>")), "name") == []
        client.edit_config(config("<name>r2</name>"), target="candidate")
        client.discard_changes()
        assert texts(client.get_config("candidate"), "name") == ["r1"]

    async with serving(tmp_path) as rig:
        await run(rig, script)
        assert b"r1" in (tmp_path / "running.xml").read_bytes()


async def test_edits_of_running_in_every_kind_of_node(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        for number in (1, 2, 3):
            client.edit_config(
                config(f"<rule><kind>k</kind><number>{number}</number></rule>"), target="running"
            )
        key = "[t:kind='k'][t:number='1']"
        moved = f'<rule y:insert="before" y:key="{key}"><kind>k</kind><number>3</number></rule>'
        client.edit_config(config(moved), target="running")
        assert texts(client.get_config("running"), "number") == ["3", "1", "2"]
        client.edit_config(config("<tcp-port>22</tcp-port>"), target="running")
        client.edit_config(config("<unix>/run/x</unix>"), target="running")
        assert texts(client.get_config("running"), "tcp-port") == []
        client.edit_config(config("<debug/>"), target="running")
        assert texts(client.get_config("running"), "debug") == [None]
        client.edit_config(config('<debug nc:operation="delete"/>'), target="running")
        mtu = config("<mtu>1400</mtu>")
        none = refused(lambda: client.edit_config(mtu, target="running", default_operation="none"))
        assert none.tag == "data-missing"
        client.edit_config(config("<name>r</name>"), target="running", default_operation="replace")
        assert [child.tag for child in data(client.get_config("running"))[0]] == [toy("name")]

    async with serving(tmp_path) as rig:
        await run(rig, script)


def refused(call: Callable[[], object]) -> RPCError:
    try:
        call()
    except RPCError as error:
        return error
    raise AssertionError("the server took it")


async def test_errors_say_what_and_where(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        error = refused(lambda: client.edit_config(config("<mtu>9</mtu>"), target="running"))
        assert (error.tag, error.path.strip()) == ("invalid-value", "/toy:system/toy:mtu")
        deep = config("<timers><hold>200</hold></timers>")
        error = refused(lambda: client.edit_config(deep, target="running"))
        assert (error.tag, error.app_tag, error.message) == (
            "operation-failed",
            "hold-above-max",
            "hold is above max",
        )
        gone = config('<user nc:operation="delete"><name>a</name></user>')
        error = refused(lambda: client.edit_config(gone, target="candidate"))
        assert (error.tag, error.path.strip()) == ("data-missing", "/toy:system/toy:user[toy:name='a']")
        both = config("<user><name>a</name><uid>1</uid></user><user><name>b</name><uid>1</uid></user>")
        error = refused(lambda: client.edit_config(both, target="running"))
        assert (error.tag, error.app_tag) == ("operation-failed", "data-not-unique")

    async with serving(tmp_path) as rig:
        await run(rig, script)


async def test_copy_config(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        client.edit_config(config("<name>r1</name>"), target="candidate")
        client.copy_config("candidate", "running")
        assert texts(client.get_config("running"), "name") == ["r1"]
        source = etree.Element(names.base("source"))
        source.append(etree.fromstring(config("<name>r2</name>")))
        client.copy_config(source, "candidate")
        assert texts(client.get_config("candidate"), "name") == ["r2"]
        assert refused(lambda: client.delete_config("running")).tag == "operation-not-supported"

    async with serving(tmp_path) as rig:
        await run(rig, script)


async def test_monitoring_and_schemas(tmp_path: Path) -> None:
    state = f"{{{names.MONITORING}}}"
    seen: list[etree._Element] = []

    def script(client: Client) -> None:
        client.lock("running")
        found = data(client.get(("subtree", f'<netconf-state xmlns="{names.MONITORING}"/>')))
        seen.append(found)
        schemas = [entry.text for entry in found.iter(f"{state}identifier")]
        assert {"toy", "ietf-netconf", "ietf-yang-types"} <= set(schemas)
        assert [user.text for user in found.iter(f"{state}username")] == [USER]
        assert [lock.text for lock in found.iter(f"{state}locked-by-session")] == [client.session_id]
        text = client.get_schema("toy", "2026-11-23").data
        assert text.startswith("module toy {")
        assert refused(lambda: client.get_schema("toy", "1999-01-01")).tag == "invalid-value"

    async with serving(tmp_path) as rig:
        await run(rig, script)
        rig.server.schema.check_operational(seen[0])


async def test_what_the_hello_says(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        told = list(client.server_capabilities)
        for capability in ("candidate:1.0", "writable-running:1.0", "validate:1.1", "rollback-on-error:1.0"):
            assert f"urn:ietf:params:netconf:capability:{capability}" in told
        assert any("yang-library:1.1?revision=2019-01-04&content-id=" in capability for capability in told)
        assert any("module=ietf-netconf-monitoring&revision=" in capability for capability in told)
        # A YANG 1.1 module is told of by the library only (RFC 7950 5.6.4).
        assert not any("module=toy" in capability for capability in told)

    async with serving(tmp_path) as rig:
        await run(rig, script)


async def test_rpcs_of_the_model(tmp_path: Path) -> None:
    def script(client: Client) -> None:
        reply = client.dispatch(etree.fromstring(f'<add xmlns="{TOY}"><a>3</a><b>-5</b></add>'))
        assert etree.fromstring(reply.xml.encode()).findtext(toy("sum")) == "-2"

    async with serving(tmp_path) as rig:
        await run(rig, script)


async def test_a_session_is_killed(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, rig.raw() as victim:
        await run(rig, lambda client: client.kill_session("1"))
        assert await victim.closed() == b""


async def test_notifications(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig:
        alarm = f'<alarm xmlns="{TOY}"><severity>major</severity><text>ü</text></alarm>'.encode()
        rig.server.stream("NETCONF").on_subscribed(lambda subscription: subscription.notify(alarm))

        def script(client: Client) -> None:
            client.create_subscription()
            notification = client.take_notification(timeout=10)
            assert notification is not None
            assert notification.notification_ele.findtext(f".//{toy('text')}") == "ü"
            # The session serves rpcs all the same (interleave).
            assert client.get_config("running").ok

        await run(rig, script)
