"""The capability :startup (RFC 6241 8.7), which a server has when its schema enables the feature."""

from __future__ import annotations

from pathlib import Path

import pytest

from netconf_server.capabilities import server_capabilities
from netconf_server.datastores import Datastores
from netconf_server.persist import before_file
from rui.netconf.errors import RpcError
from rui.schema import Schema
from tests.integration.netconf_server_rig import TOY, toy, toy_schema
from tests.unit.netconf_server.local_rig import LocalRig, full_schema


@pytest.fixture(scope="module")
def schema() -> Schema:
    return full_schema()


def system(inner: str) -> str:
    return f'<system xmlns="{TOY}">{inner}</system>'


def copy(source: str, target: str) -> str:
    return f"<copy-config><target>{target}</target><source>{source}</source></copy-config>"


EDIT = f"<edit-config><target><running/></target><config>{system('<name>new</name>')}</config></edit-config>"


def test_it_is_announced_only_where_it_is_there(schema: Schema) -> None:
    capability = "urn:ietf:params:netconf:capability:startup:1.0"
    assert capability in server_capabilities(schema)
    assert capability not in server_capabilities(toy_schema())


async def test_only_a_copy_outlasts_a_restart(schema: Schema, tmp_path: Path) -> None:
    file = tmp_path / "startup.xml"
    rig = LocalRig(schema, tmp_path, system("<name>old</name>"), file=file)
    await rig.rpc(EDIT)
    assert not file.exists()
    assert "old" in await rig.system("startup")
    await rig.rpc(copy("<running/>", "<startup/>"))
    assert "new" in await rig.system("startup")
    again = Datastores.load(schema, file, file=file)
    assert again.running.findtext(f"{toy('system')}/{toy('name')}") == "new"
    assert again.tree("startup") is again.running
    await rig.server.close()


async def test_a_confirmed_commit_keeps_no_file(schema: Schema, tmp_path: Path) -> None:
    file = tmp_path / "startup.xml"
    rig = LocalRig(schema, tmp_path, system("<name>old</name>"), file=file)
    await rig.rpc(EDIT.replace("running", "candidate"))
    await rig.rpc("<commit><confirmed/></commit>")
    assert not before_file(file).exists()
    await rig.rpc("<cancel-commit/>")
    assert "old" in await rig.system("running")
    await rig.server.close()


async def test_delete_empties_it(schema: Schema, tmp_path: Path) -> None:
    file = tmp_path / "startup.xml"
    rig = LocalRig(schema, tmp_path, system("<name>old</name>"), file=file)
    await rig.rpc(copy("<running/>", "<startup/>"))
    await rig.rpc("<delete-config><target><startup/></target></delete-config>")
    assert await rig.system("startup") == ""
    assert not file.exists()
    await rig.server.close()


async def test_it_is_locked_validated_and_copied_from(schema: Schema, tmp_path: Path) -> None:
    rig = LocalRig(schema, tmp_path, system("<name>old</name>"))
    other = rig.open()
    await rig.rpc("<lock><target><startup/></target></lock>", other)
    with pytest.raises(RpcError) as refused:
        await rig.rpc(copy("<running/>", "<startup/>"))
    assert refused.value.tag == "in-use"
    other.close("over")
    await rig.rpc("<validate><source><startup/></source></validate>")
    await rig.rpc(copy("<startup/>", "<candidate/>"))
    monitoring = '<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring">'
    state = await rig.rpc(f"<get><filter>{monitoring}<datastores/></netconf-state></filter></get>")
    assert [name.text for name in state.iter("{*}name")] == ["running", "candidate", "startup"]
    await rig.server.close()


@pytest.mark.parametrize(
    ("source", "tag"),
    [(f"<config>{system('<mtu>1</mtu>')}</config>", "invalid-value"), ("<startup/>", "invalid-value")],
)
async def test_what_it_refuses(schema: Schema, tmp_path: Path, source: str, tag: str) -> None:
    rig = LocalRig(schema, tmp_path)
    with pytest.raises(RpcError) as refused:
        await rig.rpc(copy(source, "<startup/>"))
    assert refused.value.tag == tag
    await rig.server.close()


async def test_without_it_startup_is_no_datastore(tmp_path: Path) -> None:
    rig = LocalRig(toy_schema(), tmp_path)
    for operation, tag in (
        (copy("<running/>", "<startup/>"), "unknown-element"),
        ("<delete-config><target><startup/></target></delete-config>", "operation-not-supported"),
        ("<delete-config><target><running/></target></delete-config>", "operation-not-supported"),
    ):
        with pytest.raises(RpcError) as refused:
            await rig.rpc(operation)
        assert refused.value.tag == tag
    await rig.server.close()
