"""The startup files in examples/ are what the processes take, and fit each other."""

import functools
from pathlib import Path

import pytest
from lxml import etree

from manager import config as manager_config
from manager.homes import check_homes
from netconf_client import Target
from netconf_server import load_schema
from netconf_server.accounts import verify_password
from router import config as router_config
from router import startup as router_startup
from rui.schema import Schema
from tests.models import router_model

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MANAGERS = sorted(EXAMPLES.glob("manager*.xml"))
ROUTERS = sorted(EXAMPLES.glob("[ps]*.xml"))


@functools.cache
def schema(kind: str) -> Schema:
    return router_model() if kind == "router" else load_schema(manager_config.MODULES)


@functools.cache
def read_manager(path: Path) -> manager_config.ManagerConfig:
    running = etree.parse(path).getroot()
    return manager_config.read_config(schema("manager"), running, path.parent, path.parent / "data")


@functools.cache
def read_router(path: Path) -> router_config.RouterConfig:
    return router_startup.read_config(schema("router"), etree.parse(path).getroot(), path.parent)


def test_every_example_is_read_here() -> None:
    assert sorted([*MANAGERS, *ROUTERS]) == sorted(EXAMPLES.glob("*.xml"))
    assert len(MANAGERS) == 2
    assert len(ROUTERS) == 5


@pytest.mark.parametrize("path", MANAGERS, ids=lambda path: path.name)
def test_a_manager_takes_it_and_reaches_both_routers(path: Path) -> None:
    config = read_manager(path)
    check_homes(config)
    assert set(config.devices) == {"bras-a", "bras-b"}
    ports = {router.device: router.server.listen for router in map(read_router, ROUTERS)}
    for device in config.devices.values():
        listen = ports[device.device]
        assert listen is not None
        assert device.call_home or device.target.port == listen.port


@pytest.mark.parametrize("path", ROUTERS, ids=lambda path: path.name)
def test_a_router_takes_it_and_lets_the_manager_in(path: Path) -> None:
    config = read_router(path)
    (group,) = config.groups
    assert group.id == "access-1"
    assert (config.device, group.role.value) == (
        ("bras-a", "primary") if path.name.startswith("primary") else ("bras-b", "secondary")
    )
    hashes = {account.name: account.password_hash for account in config.server.accounts}
    for manager in map(read_manager, MANAGERS):
        target = manager.devices[config.device].target
        assert isinstance(target, Target)
        assert verify_password(target.password or "", hashes[target.username] or "")


def test_a_router_calls_where_the_manager_listens_and_downloads_from_it() -> None:
    manager = read_manager(EXAMPLES / "manager-call-home.xml")
    router = read_router(EXAMPLES / "secondary-call-home.xml")
    (call,) = router.server.call_home
    home = manager.server.call_home_listen
    assert home is not None
    assert (call.endpoints[0].address, call.endpoints[0].port) == (home.address, home.port)
    (cloud,) = router.cloud
    listen = manager.server.listen
    assert listen is not None
    assert (cloud.target.host, cloud.target.port) == (listen.address, listen.port)
    hashes = {account.name: account.password_hash for account in manager.server.accounts}
    assert verify_password(cloud.target.password or "", hashes[cloud.target.username] or "")


def test_the_variants_show_what_they_are_named_after() -> None:
    batch = read_router(EXAMPLES / "primary-batch.xml").groups[0]
    assert batch.upload_interval == 1.0
    assert isinstance(read_router(EXAMPLES / "primary-dhcp.xml").groups[0].source, router_config.DhcpSource)
    home = read_manager(EXAMPLES / "manager-call-home.xml")
    assert home.devices["bras-a"].driver == "vendor"
    assert home.devices["bras-b"].call_home
    assert home.profile("access-1").options.mode.value == "download"
