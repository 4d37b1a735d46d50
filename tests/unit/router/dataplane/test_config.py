"""The data plane out of a startup file, by the model."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

import pytest
from lxml import etree

from router.dataplane import DataPlaneConfig, GroupPlane, Tunnel, read_dataplane
from rui.netconf import names
from rui.schema import DataError, Schema
from rui.schema.leaves import ConfigError
from tests.models import router_model

PLANE = '<data-plane xmlns="urn:rui-cloud:yang:dataplane">{}</data-plane>'
POOL = "<address-pool><name>p</name><prefix>10.1.0.0/16</prefix></address-pool>"
Read = Callable[..., DataPlaneConfig | None]


@pytest.fixture(scope="module")
def schema() -> Schema:
    return router_model()


@pytest.fixture(scope="module")
def read(schema: Schema) -> Read:
    def reading(*groups: str, device: str = "") -> DataPlaneConfig | None:
        entries = "".join(
            f"<group><id>g{number}</id><static-role>primary</static-role>{content}</group>"
            for number, content in enumerate(groups, start=1)
        )
        text = (
            f'<config xmlns="{names.BASE}"><device xmlns="urn:rui-cloud:yang:device">'
            f"<device-id>bras-a</device-id>{entries}{device}</device></config>"
        )
        found = schema.complete_config(etree.fromstring(text)).find("{urn:rui-cloud:yang:device}device")
        assert found is not None
        return read_dataplane(found)

    return reading


def access(name: str, more: str = "") -> str:
    return PLANE.format(f"<access-interface>{name}</access-interface>{more}")


def test_a_router_need_not_forward(read: Read) -> None:
    assert read(POOL) is None


def test_the_model_holds_the_defaults(read: Read) -> None:
    giaddr = "<virtual-giaddr>10.1.0.1</virtual-giaddr>"
    assert read(POOL + giaddr + access("eth1"), POOL) == DataPlaneConfig(
        "bras-a", (GroupPlane("g1", "eth1", (ip_network("10.1.0.0/16"),), ("10.1.0.1",)),), 2.0
    )


def test_everything_that_can_be_set_is_read(read: Read) -> None:
    more = (
        "<virtual-address>10.1.0.2</virtual-address><virtual-address>fe80::1</virtual-address>"
        "<virtual-mac>00:00:5e:00:01:01</virtual-mac><virtual-interface>vrrp1</virtual-interface>"
        "<tunnel><local-address>10.9.0.1</local-address><remote-address>10.9.0.2</remote-address>"
        "<vni>7</vni><port>14789</port></tunnel>"
    )
    config = read(POOL + access("eth1", more), device=PLANE.format("<gate-timeout>250</gate-timeout>"))
    assert config is not None
    (group,) = config.groups
    assert config.gate_timeout == 0.25
    assert set(group.virtual_addresses) == {"10.1.0.2", "fe80::1"}
    assert (group.virtual_mac, group.virtual_interface) == ("00:00:5e:00:01:01", "vrrp1")
    assert group.tunnel == Tunnel("10.9.0.1", "10.9.0.2", 7, 14789)


@pytest.mark.parametrize(
    ("groups", "complaint"),
    [
        ([access("eth1")], r"id='g1'.*add an address-pool"),
        ([POOL + access("eth1"), POOL + access("eth1")], r"id='g2'.*group g1 has eth1 already"),
    ],
)
def test_what_only_this_room_can_refuse(read: Read, groups: list[str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read(*groups)


@pytest.mark.parametrize(
    "plane",
    [
        access("an-interface-too-long"),
        access('e"1'),
        access("eth1", "<virtual-interface>v1</virtual-interface>"),
        access("eth1", "<virtual-mac>00-00-5e-00-01-01</virtual-mac>"),
        access("eth1", "<tunnel><local-address>10.9.0.1</local-address></tunnel>"),
        access(
            "eth1",
            "<tunnel><local-address>10.9.0.1</local-address><remote-address>10.9.0.1</remote-address></tunnel>",
        ),
        PLANE.format("<virtual-address>10.1.0.1</virtual-address>"),
    ],
)
def test_what_the_model_refuses(read: Read, plane: str) -> None:
    with pytest.raises(DataError):
        read(POOL + plane)
