"""The capability :url (RFC 6241 8.8): what files can be named, and the operations that take them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lxml import etree

from netconf_server.persist import empty_config
from netconf_server.urls import UrlFolder
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Schema
from tests.integration.netconf_server_rig import TOY, toy_schema
from tests.unit.netconf_server.local_rig import LocalRig, full_schema

SYSTEM = f'<system xmlns="{TOY}"><name>n</name></system>'
CONFIG = f'<config xmlns="{names.BASE}">{SYSTEM}</config>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files, and things around it that are out of reach."""
    inside = tmp_path / "urls"
    (inside / "sub").mkdir(parents=True)
    inside.joinpath("a.xml").write_text(CONFIG)
    inside.joinpath("sub", "b c.xml").write_text(CONFIG)
    inside.joinpath(".hidden").write_text(CONFIG)
    inside.joinpath("bad.xml").write_text("<config")
    inside.joinpath("doctype.xml").write_text(f'<!DOCTYPE x [<!ENTITY e "e">]>{CONFIG}')
    inside.joinpath("big.xml").write_bytes(b" " * 5000)
    os.mkfifo(inside / "fifo")
    tmp_path.joinpath("secret.xml").write_text(CONFIG)
    inside.joinpath("link.xml").symlink_to(tmp_path / "secret.xml")
    inside.joinpath("linked").symlink_to(tmp_path)
    return inside


@pytest.mark.parametrize("url", ["file:///a.xml", "file:///sub/b%20c.xml", " file://localhost/a.xml "])
async def test_files_of_the_folder_are_read(folder: Path, url: str) -> None:
    tree = await UrlFolder(folder, 4096).read(url)
    assert tree.tag == names.base("config")
    assert [etree.QName(child).localname for child in tree] == ["system"]


@pytest.mark.parametrize(
    ("url", "tag"),
    [
        ("file:///../secret.xml", "invalid-value"),
        ("file:///sub/../../secret.xml", "invalid-value"),
        ("file:///%2e%2e/secret.xml", "invalid-value"),
        ("file:///sub%2f..%2f..%2fsecret.xml", "invalid-value"),
        ("file:///.hidden", "invalid-value"),
        ("file:///", "invalid-value"),
        ("file://elsewhere/a.xml", "invalid-value"),
        ("http://localhost/a.xml", "invalid-value"),
        ("a.xml", "invalid-value"),
        ("file:///a.xml?x", "invalid-value"),
        ("file:///1/2/3/4/5/6/7/8/9", "invalid-value"),
        ("file:///a%00.xml", "invalid-value"),
        ("file:///link.xml", "operation-failed"),
        ("file:///linked/secret.xml", "operation-failed"),
        ("file:///fifo", "operation-failed"),
        ("file:///sub", "operation-failed"),
        ("file:///big.xml", "operation-failed"),
        ("file:///bad.xml", "invalid-value"),
        ("file:///doctype.xml", "invalid-value"),
        ("file:///nothing.xml", "data-missing"),
        ("file:///nothing/a.xml", "data-missing"),
    ],
)
async def test_nothing_else_is_read(folder: Path, url: str, tag: str) -> None:
    with pytest.raises(RpcError) as refused:
        await UrlFolder(folder, 4096).read(url)
    assert refused.value.tag == tag


async def test_nothing_else_is_written_or_deleted(folder: Path) -> None:
    urls = UrlFolder(folder)
    tree = etree.fromstring(CONFIG)
    for url in ("file:///../new.xml", "file:///linked/new.xml", "file:///.hidden"):
        with pytest.raises(RpcError):
            await urls.write(url, tree)
        with pytest.raises(RpcError):
            await urls.delete(url)
    await urls.delete("file:///link.xml")
    secret = folder.parent / "secret.xml"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["secret.xml", "urls"]
    assert secret.read_text() == CONFIG


async def test_a_link_is_replaced_and_not_followed(folder: Path) -> None:
    await UrlFolder(folder).write(
        "file:///link.xml", etree.fromstring(CONFIG.replace("n</name>", "m</name>"))
    )
    assert not folder.joinpath("link.xml").is_symlink()
    assert folder.parent.joinpath("secret.xml").read_text() == CONFIG


@pytest.fixture(scope="module")
def schema() -> Schema:
    return full_schema()


@pytest.fixture
async def rig(schema: Schema, folder: Path, tmp_path: Path) -> AsyncIterator[LocalRig]:
    rig = LocalRig(schema, tmp_path, url_folder=folder)
    yield rig
    await rig.server.close()


def url(name: str) -> str:
    return f"<url>file:///{name}</url>"


async def test_the_operations_that_take_a_url(rig: LocalRig, folder: Path) -> None:
    await rig.rpc(f"<validate><source>{url('a.xml')}</source></validate>")
    await rig.rpc(f"<edit-config><target><running/></target>{url('a.xml')}</edit-config>")
    assert await rig.system("running") == "<system><name>n</name></system>"
    await rig.rpc(
        f"<copy-config><target>{url('sub/new.xml')}</target><source><running/></source></copy-config>"
    )
    written = etree.fromstring(folder.joinpath("sub", "new.xml").read_bytes())
    assert written.findtext(f"{{{TOY}}}system/{{{TOY}}}name") == "n"
    await rig.rpc(
        f"<copy-config><target>{url('c.xml')}</target><source>{url('a.xml')}</source></copy-config>"
    )
    await rig.rpc(f"<copy-config><target><candidate/></target><source>{url('c.xml')}</source></copy-config>")
    await rig.rpc(f"<delete-config><target>{url('c.xml')}</target></delete-config>")
    assert not folder.joinpath("c.xml").exists()


async def test_a_copy_to_a_file_can_show_defaults(rig: LocalRig, folder: Path) -> None:
    mode = '<with-defaults xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults">{}</with-defaults>'
    copy = f"<copy-config><target>{url('d.xml')}</target><source><running/></source>{mode}</copy-config>"
    await rig.rpc(copy.format("report-all-tagged"))
    mtu = etree.fromstring(folder.joinpath("d.xml").read_bytes()).find(f".//{{{TOY}}}mtu")
    assert mtu is not None
    assert mtu.get("{urn:ietf:params:xml:ns:netconf:default:1.0}default") == "true"
    # what is tagged comes back as what it is: not set
    await rig.rpc(f"<edit-config><target><running/></target>{url('d.xml')}</edit-config>")
    assert await rig.system("running") == ""


async def test_faults_of_a_file_are_refused_as_those_of_the_request(rig: LocalRig, folder: Path) -> None:
    folder.joinpath("wrong.xml").write_text(CONFIG.replace("<name>n</name>", "<mtu>1</mtu>"))
    with pytest.raises(RpcError) as refused:
        await rig.rpc(f"<validate><source>{url('wrong.xml')}</source></validate>")
    assert (refused.value.tag, refused.value.path) == ("invalid-value", "/toy:system/toy:mtu")
    same = f"<copy-config><target>{url('a.xml')}</target><source>{url('a.xml')}</source></copy-config>"
    with pytest.raises(RpcError, match="both file:"):
        await rig.rpc(same)


async def test_without_the_capability_there_are_no_files(tmp_path: Path) -> None:
    rig = LocalRig(toy_schema(), tmp_path)
    with pytest.raises(RpcError) as refused:
        await rig.rpc(f"<validate><source>{url('a.xml')}</source></validate>")
    assert refused.value.tag == "unknown-element"
    with pytest.raises(RpcError) as refused:
        await UrlFolder(None).read("file:///a.xml")
    assert refused.value.tag == "operation-not-supported"
    await rig.server.close()


async def test_a_folder_that_is_missing_is_called_one(tmp_path: Path) -> None:
    urls = UrlFolder(tmp_path)
    with pytest.raises(RpcError, match="no such folder") as caught:
        await urls.write("file:///sub/a.xml", empty_config())
    assert caught.value.tag == "data-missing"
    with pytest.raises(RpcError, match="no such file"):
        await urls.read("file:///sub/a.xml")
