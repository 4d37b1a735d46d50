"""What a router refuses to start with: each said in two lines, without a traceback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from netconf_client import connect
from rui.netconf.errors import RpcError
from rui_cli.errors import ExitCode
from rui_cli.launch import Launched, LaunchError
from rui_cli.site import DEVICE_NAMESPACE, Content, Site, configuration
from tests.integration.router_rig import PRIMARY, SECONDARY, make_site, process, running


async def refused(router: Launched) -> str:
    """Start a router that refuses; return what it said."""
    with pytest.raises(LaunchError, match=f"exit code {ExitCode.REFUSED:d} before it was ready"):
        await router.start()
    said = router.log.read_text()
    assert "Traceback" not in said
    assert "rui: the router cannot start" in said
    assert "remedy: " in said
    return said


def edit(site: Site, old: str, new: str) -> None:
    startup = site.startup(PRIMARY)
    text = startup.read_text()
    assert old in text
    startup.write_text(text.replace(old, new, 1))


async def test_a_value_that_the_model_refuses_is_named_with_its_line(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    edit(site, "<static-role>primary<", "<static-role>boss<")
    said = await refused(process(site, PRIMARY))
    assert f"{site.startup(PRIMARY)}: line " in said
    assert "static-role" in said


async def test_a_startup_file_that_is_no_xml(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    edit(site, "</config>", "")
    said = await refused(process(site, PRIMARY))
    assert "not well-formed XML" in said


async def test_no_startup_file(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    site.startup(PRIMARY).unlink()
    assert "there is no such file" in await refused(process(site, PRIMARY))


async def test_a_startup_file_of_a_manager(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    site.startup(PRIMARY).write_text(site.startup("cloud").read_text())
    assert "cloud" in await refused(process(site, PRIMARY))


async def test_a_password_file_that_is_not_there(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    (site.folder / PRIMARY / "client.password").unlink()
    said = await refused(process(site, PRIMARY))
    assert "cloud-endpoint[name='cloud']/password-file" in said


async def test_a_busy_port(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        edit(site, "<port>0<", f"<port>{port}<")
        said = await refused(process(site, PRIMARY))
    assert f"cannot listen on 127.0.0.1 port {port}" in said


async def test_a_data_directory_in_use(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    first = process(site, PRIMARY)
    async with running(first):
        said = await refused(Launched("second", site.words(PRIMARY), tmp_path / "second.log"))
        assert f"in use by process {first.pid}" in said


async def test_a_data_directory_of_another_device(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    async with running(process(site, SECONDARY)):
        pass
    words = ("router", "--startup", str(site.startup(PRIMARY)), "--data-dir", str(site.data(SECONDARY)))
    said = await refused(Launched("wrong", words, tmp_path / "wrong.log"))
    assert f"belongs to device {SECONDARY}" in said


async def test_a_host_key_that_others_can_read(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    (site.data(PRIMARY) / "host-key").chmod(0o644)
    assert "chmod 600" in await refused(process(site, PRIMARY))


async def test_an_account_key_that_cannot_be_read_is_not_committed(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    router = process(site, PRIMARY)
    account: Content = {"name": "new", "authorized-key": "ssh-ed25519 AAAA"}
    change = configuration(DEVICE_NAMESPACE, "device", {"netconf-server": {"account": account}})
    async with running(router):
        session = await connect(site.target(PRIMARY), timeout=10)
        with pytest.raises(RpcError, match="account 'new': an authorized key cannot be read") as refusal:
            await session.edit_config(change[0], target="running")
        assert refusal.value.tag == "invalid-value"
        await session.close()
    assert "<name>new</name>" not in site.startup(PRIMARY).read_text()


async def test_sigterm_stops_it_in_order(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    router = process(site, PRIMARY)
    async with running(router):
        await router.stop()
        assert "router-stopped" in router.log.read_text()
        assert await router.wait_ended() == 0
