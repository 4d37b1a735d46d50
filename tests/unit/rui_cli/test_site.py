"""A throw-away site: what it writes is valid configuration, and every client knows its server."""

from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from netconf_client import PinnedKey
from netconf_server.accounts import verify_password
from netconf_server.persist import read_config
from rui.schema import Schema
from rui_cli.site import CLOUD_NAMESPACE, DEVICE_NAMESPACE, MANAGER, Group, Site, configuration

GROUP = Group("access-1", "bras-a", ("bras-b",), simulated={"arrivals": "50", "seed": "7"})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("site"), [GROUP])
    site.write()
    return site


def text(tree: etree._Element, path: str, namespace: str = DEVICE_NAMESPACE) -> str | None:
    return tree.findtext("/".join(f"{{{namespace}}}{step}" for step in path.split("/")))


def test_the_startup_files_are_valid_configuration(site: Site) -> None:
    assert site.devices == (MANAGER, "bras-a", "bras-b")
    assert (
        read_config(site.startup(MANAGER), Schema.load(["rui-cloud", "ietf-netconf-acm"])).find(
            f"{{{CLOUD_NAMESPACE}}}cloud"
        )
        is not None
    )
    for router in site.routers:
        tree = read_config(site.startup(router), Schema.load(["rui-device", "ietf-netconf-acm"]))
        assert text(tree, "device/device-id") == router


def test_one_router_is_primary_and_both_know_the_simulated_source(site: Site) -> None:
    roles = {}
    for router in site.routers:
        tree = etree.parse(site.startup(router)).getroot()
        roles[router] = text(tree, "device/group/static-role")
        assert text(tree, "device/group/simulated/arrivals") == "50"
    assert roles == {"bras-a": "primary", "bras-b": "secondary"}


def test_the_clients_have_the_accounts_keys_and_ports_of_their_servers(site: Site) -> None:
    manager = etree.parse(site.startup(MANAGER)).getroot()
    router = etree.parse(site.startup("bras-a")).getroot()
    password = (site.folder / MANAGER / "client.password").read_text().strip()
    account = next(
        a
        for a in router.iter(f"{{{DEVICE_NAMESPACE}}}account")
        if a.findtext(f"{{{DEVICE_NAMESPACE}}}name") == MANAGER
    )
    assert verify_password(password, account.findtext(f"{{{DEVICE_NAMESPACE}}}password-hash") or "")
    pinned = text(manager, "cloud/device/host-key", CLOUD_NAMESPACE)
    assert pinned is not None
    key = asyncssh.read_private_key(site.data("bras-a") / "host-key")
    assert asyncssh.import_public_key(pinned).public_data == key.public_data
    assert text(manager, "cloud/device/port", CLOUD_NAMESPACE) == str(site.ports["bras-a"])


def test_an_operator_pins_the_key_and_its_password_is_not_shown(site: Site) -> None:
    target = site.target("bras-b")
    assert target.port == site.ports["bras-b"]
    assert isinstance(target.host_key, PinnedKey)
    assert target.password is not None
    assert target.password not in repr(target)


def test_secrets_are_readable_by_their_owner_only(site: Site) -> None:
    for name in site.devices:
        assert (site.folder / name / "client.password").stat().st_mode & 0o077 == 0
        assert (site.data(name) / "host-key").stat().st_mode & 0o077 == 0


def test_a_site_never_shares_its_passwords(tmp_path: Path) -> None:
    first, second = (Site(tmp_path / name, [GROUP]) for name in "ab")
    for site in (first, second):
        site.write()
    assert first.target(MANAGER).password != second.target(MANAGER).password


def test_configuration_writes_lists_containers_and_empty_leaves() -> None:
    tree = configuration("urn:x", "a", {"b": [{"c": "1"}, {"c": "2"}], "d": None})
    top = tree[0]
    assert [etree.QName(child).localname for child in top] == ["b", "b", "d"]
    assert [child.findtext("{urn:x}c") for child in top] == ["1", "2", None]
