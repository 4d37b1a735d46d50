"""From a startup file to values; what only this room can refuse is named with its place."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, ip_network
from pathlib import Path

import pytest
from lxml import etree

from router.config import AcknowledgementPolicy, DhcpSource, RouterConfig, SimulatedSource
from router.startup import read_config
from rui.backup.identity import Role
from rui.netconf import names
from rui.schema import DataError, Schema
from rui.schema.leaves import ConfigError
from tests.models import router_model

WHOLE = """
<device-id>bras-a</device-id>
<address>192.0.2.1</address>
<netconf-server>
  <listen><address>192.0.2.1</address><port>1830</port></listen>
  <call-home><name>nms</name><address>192.0.2.9</address><reconnect><first-wait>100</first-wait></reconnect></call-home>
</netconf-server>
<cloud-endpoint>
  <name>c</name><address>192.0.2.9</address><username>bras-a</username><password-file>pw</password-file>
  <known-hosts-file>known</known-hosts-file>
</cloud-endpoint>
<group>
  <id>g1</id><static-role>primary</static-role>
  <member><device-id>bras-b</device-id><address>192.0.2.2</address></member>
  <access-port><interface>eth1</interface><logical-port>line-1</logical-port><outer-vlan>100</outer-vlan></access-port>
  <access-port><interface>eth2</interface></access-port>
  <address-pool><name>p</name><prefix>10.0.0.0/16</prefix></address-pool>
  <address-pool><name>p6</name><prefix>2001:db8::/32</prefix></address-pool>
  <virtual-giaddr>10.0.0.1</virtual-giaddr>
  <upload><mode>batch</mode><batch-interval>250</batch-interval></upload>
  <acknowledgement><policy>cloud</policy><max-wait>150</max-wait></acknowledgement>
  <dhcp><server>198.51.100.7</server><server-port>1067</server-port><giaddr>10.0.0.2</giaddr></dhcp>
</group>
<group>
  <id>g2</id><static-role>secondary</static-role>
  <simulated><seed>7</seed><arrivals>2.5</arrivals></simulated>
</group>
"""


@pytest.fixture(scope="module")
def schema() -> Schema:
    return router_model()


@pytest.fixture
def read(schema: Schema, tmp_path: Path) -> Callable[[str], RouterConfig]:
    tmp_path.joinpath("pw").write_text("secret\n")

    def reading(content: str) -> RouterConfig:
        device = f'<device xmlns="urn:rui-cloud:yang:device">{content}</device>'
        root = etree.fromstring(f'<config xmlns="{names.BASE}">{device}</config>')
        return read_config(schema, root, tmp_path)

    return reading


def test_all_that_is_configured_arrives(read: Callable[[str], RouterConfig], tmp_path: Path) -> None:
    config = read(WHOLE)
    assert (config.device, config.address) == ("bras-a", "192.0.2.1")
    assert config.server.listen is not None
    assert config.server.listen.port == 1830
    assert (config.server.call_home[0].endpoints[0].port, config.server.call_home[0].reconnect.initial) == (
        4334,
        0.1,
    )
    target = config.cloud[0].target
    assert (target.password, target.port) == ("secret", 830)
    first, second = config.groups
    assert (first.role, second.role) == (Role.PRIMARY, Role.SECONDARY)
    assert first.members == {"bras-b": "192.0.2.2"}
    assert [(port.logical_port, port.outer_vlan) for port in first.ports] == [("line-1", 100), ("eth2", 0)]
    assert [pool.network for pool in first.pools] == [ip_network("10.0.0.0/16"), ip_network("2001:db8::/32")]
    assert (first.upload_interval, second.upload_interval) == (0.25, 0.0)
    assert first.acknowledgement.policy is AcknowledgementPolicy.CLOUD
    assert first.acknowledgement.max_wait == 0.15


def test_the_sources_of_users(read: Callable[[str], RouterConfig]) -> None:
    dhcp, simulated = (group.source for group in read(WHOLE).groups)
    assert isinstance(dhcp, DhcpSource)
    assert (dhcp.relay.giaddr, dhcp.relay.virtual_address) == (
        IPv4Address("10.0.0.2"),
        IPv4Address("10.0.0.1"),
    )
    assert dhcp.relay.servers == (IPv4Address("198.51.100.7"),)
    assert [pool.name for pool in dhcp.relay.pools] == ["p"]
    assert (dhcp.server_port, dhcp.client_port, dhcp.listen.port) == (1067, 68, 67)
    assert isinstance(simulated, SimulatedSource)
    assert (simulated.seed, simulated.arrivals, simulated.hold_time) == (7, 2.5, 3600.0)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<password-file>pw<", "<password-file>none<", r"\[name='c'\]/password-file: .*none cannot be read"),
        (
            "<password-file>pw</password-file>",
            "<private-key-file>k</private-key-file>",
            "/private-key-file: ",
        ),
        ("<known-hosts-file>known</known-hosts-file>", "<host-key>ssh-rsa AAAA</host-key>", r"/host-key: "),
        ("<server>198.51.100.7<", "<server>10.0.0.2<", r"group\[id='g1'\]/dhcp: "),
    ],
)
def test_what_cannot_work_is_named(
    read: Callable[[str], RouterConfig], old: str, new: str, said: str
) -> None:
    assert old in WHOLE
    with pytest.raises(ConfigError, match=said):
        read(WHOLE.replace(old, new))


def test_an_empty_password_file(read: Callable[[str], RouterConfig], tmp_path: Path) -> None:
    tmp_path.joinpath("pw").write_text("\n")
    with pytest.raises(ConfigError, match="its first line is the password"):
        read(WHOLE)


def test_a_router_that_nobody_reaches(read: Callable[[str], RouterConfig]) -> None:
    with pytest.raises(ConfigError, match="neither listens nor calls home"):
        read("<device-id>bras-a</device-id>")


def test_another_kind_of_configuration(schema: Schema) -> None:
    with pytest.raises(ConfigError, match="no startup file of a router"):
        read_config(schema, etree.fromstring(f'<config xmlns="{names.BASE}"/>'), Path())


def test_a_cloud_endpoint_with_nothing_to_log_in_with(read: Callable[[str], RouterConfig]) -> None:
    with pytest.raises(DataError, match=r"cloud-endpoint\[name='c'\].*set password-file or private-key-file"):
        read(WHOLE.replace("<password-file>pw</password-file>", ""))


def test_what_the_model_refuses(read: Callable[[str], RouterConfig]) -> None:
    with pytest.raises(DataError, match="giaddr"):
        read(
            WHOLE.replace("<giaddr>10.0.0.2</giaddr>", "").replace(
                "<virtual-giaddr>10.0.0.1</virtual-giaddr>", ""
            )
        )


def test_without_an_address_it_is_where_it_listens(read: Callable[[str], RouterConfig]) -> None:
    assert read(WHOLE.replace("<address>192.0.2.1</address>\n<net", "<net")).address == "192.0.2.1"


def test_a_dead_session_is_found_within_the_link_timeout(read: Callable[[str], RouterConfig]) -> None:
    limits = read(WHOLE).server.limits
    assert (limits.keepalive_interval, limits.keepalive_count) == (1.0, 3)
    slow = WHOLE.replace(
        "<upload>", "<timers><link-timeout>30000</link-timeout><max-wait>30000</max-wait></timers><upload>"
    )
    assert read(slow).server.limits.keepalive_interval == 1.0
    only = slow[: slow.index("<group>\n  <id>g2")]
    assert read(only).server.limits.keepalive_interval == 10.0
