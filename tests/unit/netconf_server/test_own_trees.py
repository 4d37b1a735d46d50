"""What the server says of itself holds against the models that define it (RFC 6022, RFC 8525, RFC 7895)."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
from lxml import etree

from netconf_server import partialops
from netconf_server.capabilities import server_capabilities
from rui.netconf import names
from rui.netconf.session import ServerSession
from rui.schema import Schema
from tests.integration.netconf_server_rig import BASE_11_HELLO, TOY
from tests.unit.netconf_server.local_rig import LocalRig, full_schema

MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"


@pytest.fixture(scope="module")
def schema() -> Schema:
    return full_schema()


async def read(rig: LocalRig, name: str, namespace: str) -> etree._Element:
    reply = await rig.rpc(f'<get><filter><{name} xmlns="{namespace}"/></filter></get>')
    (found,) = reply.iter(f"{{{namespace}}}{name}")
    return found


async def test_every_tree_is_valid(schema: Schema, tmp_path: Path) -> None:
    rig = LocalRig(schema, tmp_path, f'<system xmlns="{TOY}"><name>n</name></system>')
    await rig.rpc(f'<partial-lock xmlns="{partialops.NAMESPACE}"><select>/</select></partial-lock>')
    await rig.rpc("<lock><target><candidate/></target></lock>")
    state = await read(rig, "netconf-state", MONITORING)
    # A locked node is pointed to, so it is checked with the rest.
    whole = etree.Element(names.DATA)
    whole.extend([deepcopy(rig.datastores.running[0]), state])
    schema.check_operational(whole)
    for name in ("yang-library", "modules-state"):
        schema.check_operational(await read(rig, name, LIBRARY))
    schema.check_operational(await read(rig, "netconf", "urn:ietf:params:xml:ns:netmod:notification"))
    assert [item.text for item in state.iter(f"{{{MONITORING}}}capability")] == list(rig.server.capabilities)
    identifiers = {item.text for item in state.iter(f"{{{MONITORING}}}identifier")}
    assert {"toy", "ietf-netconf", "ietf-netconf-nmda", "ietf-netconf-partial-lock"} <= identifiers
    await rig.server.close()


async def test_the_library_lists_the_datastores_and_what_is_enabled(schema: Schema, tmp_path: Path) -> None:
    rig = LocalRig(schema, tmp_path)
    library = await read(rig, "yang-library", LIBRARY)
    stores = [item.findtext(f"{{{LIBRARY}}}name") for item in library.iterchildren(f"{{{LIBRARY}}}datastore")]
    assert stores == ["ds:running", "ds:candidate", "ds:startup", "ds:intended", "ds:operational"]
    modules = {item.findtext(f"{{{LIBRARY}}}name"): item for item in library.iter(f"{{{LIBRARY}}}module")}
    features = [item.text for item in modules["ietf-netconf"].iterchildren(f"{{{LIBRARY}}}feature")]
    assert {"candidate", "confirmed-commit", "startup", "url", "validate", "xpath"} <= set(features)
    content = library.findtext(f"{{{LIBRARY}}}content-id")
    assert any(f"content-id={content}" in text for text in server_capabilities(schema))
    await rig.server.close()


async def test_the_counters(schema: Schema, tmp_path: Path) -> None:
    rig = LocalRig(schema, tmp_path)
    other = rig.open()
    await rig.rpc(f"<kill-session><session-id>{other.info.id}</session-id></kill-session>")
    statistics = (await read(rig, "netconf-state", MONITORING)).find(f"{{{MONITORING}}}statistics")
    assert statistics is not None
    counted = {etree.QName(leaf).localname: leaf.text for leaf in statistics}
    assert (counted["in-sessions"], counted["dropped-sessions"], counted["in-bad-hellos"]) == ("2", "0", "0")
    assert (counted["in-rpcs"], counted["in-bad-rpcs"]) == ("2", "0")
    await rig.server.close()


@pytest.mark.parametrize(
    "message",
    [
        "<rpc",
        "<x/>",
        f'<rpc xmlns="{names.BASE}"><get/></rpc>',
        f'<rpc xmlns="{names.BASE}" message-id="1"/>',
    ],
)
def test_what_is_no_rpc_is_counted_and_the_session_goes_on(message: str) -> None:
    session = ServerSession(1, (names.CAP_BASE_1_0, names.CAP_BASE_1_1))
    session.start(0.0)
    session.receive_data(BASE_11_HELLO.encode(), 0.0)
    session.data_to_send()
    data = message.encode()
    assert session.receive_data(b"\n#%d\n%s\n##\n" % (len(data), data), 0.0) == []
    assert session.bad_rpcs == 1
    assert b"<rpc-error" in session.data_to_send()
    good = f'<rpc xmlns="{names.BASE}" message-id="2"><get/></rpc>'.encode()
    assert len(session.receive_data(b"\n#%d\n%s\n##\n" % (len(good), good), 0.0)) == 1
    assert session.bad_rpcs == 1
