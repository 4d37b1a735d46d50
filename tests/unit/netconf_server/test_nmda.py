"""get-data and edit-data (RFC 8526), and datastores of NMDA in lock and validate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lxml import etree

from rui.netconf.errors import RpcError
from tests.integration.netconf_server_rig import TOY, Parts, toy_schema
from tests.unit.netconf_server.local_rig import DS, NMDA, LocalRig, plain

USERS = "<user><name>a</name><uid>1</uid></user><user><name>b</name></user>"
RUNNING = f'<system xmlns="{TOY}"><name>r</name>{USERS}</system>'
OR = "urn:ietf:params:xml:ns:yang:ietf-origin"


class Uptime:
    def read(self) -> etree._Element:
        return etree.fromstring(f'<uptime xmlns="{TOY}">7</uptime>')


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[LocalRig]:
    rig = LocalRig(toy_schema(), tmp_path, RUNNING)
    rig.server.register_tree("/toy:system/uptime", Uptime())
    rig.server.register_list("/toy:inventory/site/part", Parts(sites=1, parts=2))
    yield rig
    await rig.server.close()


async def get_data(rig: LocalRig, datastore: str, rest: str = "") -> etree._Element:
    text = f'<get-data xmlns="{NMDA}" {DS}><datastore>ds:{datastore}</datastore>{rest}</get-data>'
    return (await rig.rpc(text))[0]


SYSTEM = f'<subtree-filter><system xmlns="{TOY}"/></subtree-filter>'


@pytest.mark.parametrize("datastore", ["running", "candidate", "intended"])
async def test_a_configuration_datastore(rig: LocalRig, datastore: str) -> None:
    data = await get_data(rig, datastore, SYSTEM)
    assert data.tag == f"{{{NMDA}}}data"
    assert [plain(child) for child in data] == [RUNNING.replace(f' xmlns="{TOY}"', "")]


async def test_the_operational_datastore_has_state_and_the_defaults_in_use(rig: LocalRig) -> None:
    data = await get_data(rig, "operational", SYSTEM)
    (system,) = data
    assert (system.findtext(f"{{{TOY}}}uptime"), system.findtext(f"{{{TOY}}}mtu")) == ("7", "1500")
    explicit = await get_data(rig, "operational", f"{SYSTEM}<with-defaults>explicit</with-defaults>")
    assert explicit.find(f".//{{{TOY}}}mtu") is None


@pytest.mark.parametrize(
    ("config", "there", "gone"),
    [("true", ["name", "user", "mtu"], ["uptime"]), ("false", ["uptime"], ["name", "user", "mtu"])],
)
async def test_config_filter(rig: LocalRig, config: str, there: list[str], gone: list[str]) -> None:
    data = await get_data(rig, "operational", f"<config-filter>{config}</config-filter>")
    system = data.find(f"{{{TOY}}}system")
    assert system is not None
    assert [name for name in there if system.find(f"{{{TOY}}}{name}") is None] == []
    assert [name for name in gone if system.find(f"{{{TOY}}}{name}") is not None] == []
    parts = data.findall(f"{{{TOY}}}inventory/{{{TOY}}}site/{{{TOY}}}part")
    assert len(parts) == (0 if config == "true" else 2)


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        ("1", "<system/>"),
        ("2", "<system><name>r</name><user><name>a</name></user><user><name>b</name></user></system>"),
        (
            "3",
            "<system><name>r</name><user><name>a</name><uid>1</uid></user><user><name>b</name></user></system>",
        ),
        ("unbounded", RUNNING.replace(f' xmlns="{TOY}"', "")),
    ],
)
async def test_max_depth_counts_from_what_is_selected(rig: LocalRig, depth: str, expected: str) -> None:
    data = await get_data(rig, "running", f"{SYSTEM}<max-depth>{depth}</max-depth>")
    assert plain(data[0]) == expected


async def test_max_depth_with_an_expression(rig: LocalRig) -> None:
    rest = (
        f'<xpath-filter xmlns:t="{TOY}">/t:system/t:user[t:name="a"]</xpath-filter><max-depth>1</max-depth>'
    )
    data = await get_data(rig, "operational", rest)
    assert plain(data[0]) == "<system><user><name>a</name></user></system>"


async def test_with_origin(rig: LocalRig) -> None:
    data = await get_data(rig, "operational", f"{SYSTEM}<with-origin/>")
    (system,) = data
    origins = {etree.QName(item).localname: item.get(f"{{{OR}}}origin") for item in system.iter()}
    assert origins["system"] == "or:intended"
    assert (origins["mtu"], origins["name"], origins["uptime"]) == ("or:default", None, None)
    assert not any("default" in key for item in system.iter() for key in item.attrib)
    tagged = await get_data(
        rig, "operational", f"{SYSTEM}<with-origin/><with-defaults>report-all-tagged</with-defaults>"
    )
    mtu = tagged.find(f".//{{{TOY}}}mtu")
    assert mtu is not None
    assert sorted(etree.QName(key).localname for key in mtu.attrib) == ["default", "origin"]


@pytest.mark.parametrize(
    ("origins", "there", "gone"),
    [
        ("<origin-filter>or:intended</origin-filter>", ["name", "uptime"], ["mtu"]),
        ("<origin-filter>or:default</origin-filter>", ["mtu", "uptime"], ["name", "user"]),
        ("<negated-origin-filter>or:default</negated-origin-filter>", ["name", "user"], ["mtu"]),
        ("<origin-filter>or:learned</origin-filter>", ["uptime"], ["name", "mtu"]),
    ],
)
async def test_origin_filters(rig: LocalRig, origins: str, there: list[str], gone: list[str]) -> None:
    rest = SYSTEM + origins.replace("-filter>or:", f'-filter xmlns:or="{OR}">or:')
    (system,) = await get_data(rig, "operational", rest)
    assert [name for name in there if system.find(f"{{{TOY}}}{name}") is None] == []
    assert [name for name in gone if system.find(f"{{{TOY}}}{name}") is not None] == []


async def test_edit_data(rig: LocalRig) -> None:
    config = f'<config><system xmlns="{TOY}"><name>new</name></system></config>'
    edit = f'<edit-data xmlns="{NMDA}" {DS}><datastore>ds:candidate</datastore>{config}</edit-data>'
    await rig.rpc(edit)
    assert "<name>new</name>" in await rig.system("candidate")
    assert "<name>r</name>" in await rig.system("running")
    await rig.rpc(edit.replace("</datastore>", "</datastore><default-operation>replace</default-operation>"))
    assert await rig.system("candidate") == "<system><name>new</name></system>"


@pytest.mark.parametrize(
    ("operation", "tag", "path"),
    [
        ("<get-data {}><datastore>ds:startup</datastore></get-data>", "invalid-value", None),
        ("<get-data {}><datastore>ds:x</datastore></get-data>", "invalid-value", None),
        ("<get-data {}/>", "missing-element", None),
        (
            "<get-data {}><datastore>ds:running</datastore><with-origin/></get-data>",
            "invalid-value",
            None,
        ),
        (
            "<get-data {}><datastore>ds:running</datastore><max-depth>0</max-depth></get-data>",
            "invalid-value",
            "/ietf-netconf-nmda:get-data/ietf-netconf-nmda:max-depth",
        ),
        (
            "<get-data {}><datastore>ds:running</datastore><xpath-filter>/x:</xpath-filter></get-data>",
            "invalid-value",
            "/ietf-netconf-nmda:get-data/ietf-netconf-nmda:xpath-filter",
        ),
        (
            "<get-data {}><datastore>ds:running</datastore><xpath-filter>1</xpath-filter></get-data>",
            "invalid-value",
            None,
        ),
        ("<edit-data {}><datastore>ds:operational</datastore><config/></edit-data>", "invalid-value", None),
        ("<edit-data {}><datastore>ds:intended</datastore><config/></edit-data>", "invalid-value", None),
        (
            "<edit-data {}><datastore>ds:running</datastore></edit-data>",
            "missing-element",
            "/ietf-netconf-nmda:edit-data",
        ),
        (
            '<lock><target><datastore xmlns="' + NMDA + '">ds:operational</datastore></target></lock>',
            "invalid-value",
            None,
        ),
    ],
)
async def test_what_is_refused(rig: LocalRig, operation: str, tag: str, path: str | None) -> None:
    with pytest.raises(RpcError) as refused:
        await rig.rpc(operation.format(f'xmlns="{NMDA}" {DS}'))
    assert (refused.value.tag, refused.value.path) == (tag, path)


async def test_datastores_of_nmda_in_lock_and_validate(rig: LocalRig) -> None:
    datastore = f'<datastore xmlns="{NMDA}" {DS}>ds:running</datastore>'
    await rig.rpc(f"<lock><target>{datastore}</target></lock>")
    assert rig.datastores.locks.holder("running") is not None
    await rig.rpc(f"<unlock><target>{datastore}</target></unlock>")
    await rig.rpc(f"<validate><source>{datastore}</source></validate>")
