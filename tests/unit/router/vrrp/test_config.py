"""From a group's configuration, through the model, to values."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest
from lxml import etree

from router.vrrp import VrrpConfig, read_vrrp
from router.vrrp.interface import InterfaceConfig, InterfaceTransport
from router.vrrp.unicast import UnicastConfig, UnicastTransport
from rui.netconf import names
from rui.schema import DataError, Schema
from rui.schema.leaves import ConfigError
from rui.vrrp.values import Source

UNICAST = (
    "<unicast><local-address>127.0.0.1</local-address><local-port>1001</local-port>"
    "<peer><address>127.0.0.1</address><port>1002</port></peer></unicast>"
)
PLAIN = f"<vrid>7</vrid><virtual-address>10.0.0.1</virtual-address>{UNICAST}"
WHOLE = """
<vrid>7</vrid><priority>150</priority><advertise-interval-centi-sec>10</advertise-interval-centi-sec>
<v2-compatible>true</v2-compatible><preempt><enabled>false</enabled><hold-time>5</hold-time></preempt>
<accept-mode>false</accept-mode><virtual-mac>false</virtual-mac><ipv4-pseudo-header>false</ipv4-pseudo-header>
<virtual-address>10.0.0.1</virtual-address><virtual-address>10.0.1.1</virtual-address>
<carried-address>fe80::1</carried-address><interface>eth1</interface>
"""
Read = Callable[[str], VrrpConfig | None]


@pytest.fixture
def read(schema: Schema) -> Read:
    def reading(role: str) -> VrrpConfig | None:
        group = f"<group><id>g1</id>{role}</group>"
        device = f'<device xmlns="urn:rui-cloud:yang:device"><device-id>a</device-id>{group}</device>'
        complete = schema.complete_config(etree.fromstring(f'<config xmlns="{names.BASE}">{device}</config>'))
        entry = complete.find(".//{urn:rui-cloud:yang:device}group")
        assert entry is not None
        return read_vrrp(entry)

    return reading


def vrrp(content: str) -> str:
    return f'<vrrp xmlns="urn:rui-cloud:yang:vrrp">{content}</vrrp>'


def test_all_that_is_configured_arrives(read: Read) -> None:
    config = read(vrrp(WHOLE))
    assert config is not None
    options = config.options
    assert (config.group, options.vrid, options.priority, options.interval) == ("g1", 7, 150, 10)
    assert (options.version, options.compatible, options.preempt, options.preempt_delay) == (
        3,
        True,
        False,
        5.0,
    )
    assert options.addresses == (IPv4Address("10.0.0.1"), IPv4Address("10.0.1.1"))
    assert config.link == InterfaceConfig(
        "eth1",
        7,
        options.addresses,
        carried=(IPv6Address("fe80::1"),),
        accept_mode=False,
        virtual_mac=False,
        pseudo_header=False,
        silence=0.4,
    )
    assert isinstance(config.transport(), InterfaceTransport)
    assert config.virtual_interface == ""


def test_the_data_plane_can_name_the_virtual_interface(read: Read) -> None:
    whole = WHOLE.replace("<virtual-mac>false", "<virtual-mac>true")
    config, other = (
        read(vrrp(whole)),
        read(vrrp(whole.replace("eth1", "eth123456789012").replace(">7<", ">255<"))),
    )
    assert config is not None
    assert other is not None
    assert config.virtual_interface.startswith("vrrp4-7-")
    assert config.virtual_interface != other.virtual_interface
    assert len(other.virtual_interface) <= 15


def test_the_defaults(read: Read) -> None:
    config = read(vrrp(PLAIN))
    assert config is not None
    options = config.options
    assert (options.version, options.priority, options.interval, options.preempt) == (3, 100, 100, True)
    assert config.link == UnicastConfig(
        Source(IPv4Address("127.0.0.1"), 1001), (Source(IPv4Address("127.0.0.1"), 1002),)
    )
    assert isinstance(config.transport(), UnicastTransport)
    assert not options.yield_needs_grant
    assert config.yielding().options.yield_needs_grant


def test_a_group_with_a_static_role_has_none(read: Read) -> None:
    assert read("<static-role>primary</static-role>") is None


def test_an_owner_takes_what_is_sent_to_its_addresses(read: Read) -> None:
    config = read(vrrp(WHOLE.replace(">150<", ">255<")))
    assert config is not None
    assert isinstance(config.link, InterfaceConfig)
    assert config.link.accept_mode


@pytest.mark.parametrize("priority", ["255", "254"])
def test_a_group_that_yields_has_no_owner(read: Read, priority: str) -> None:
    config = read(vrrp(f"<priority>{priority}</priority>{PLAIN}"))
    assert config is not None
    with pytest.raises(ConfigError, match=r"group\[id='g1'\]/rui-vrrp:vrrp/priority: .*set 2 to 253"):
        config.yielding()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("10.0.0.1", "2001:db8::1", "must be link-local"),
        ("10.0.0.1", "fe80::1", "give an IPv6 address"),
        ("1002", "1001", "is this router itself"),
    ],
)
def test_what_only_this_room_refuses(read: Read, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"group\[id='g1'\]/rui-vrrp:vrrp.*{said}"):
        read(vrrp(PLAIN.replace(old, new)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<static-role>primary</static-role>" + vrrp(PLAIN), "cases"),
        (vrrp(PLAIN.replace("<vrid>7</vrid>", "")), "vrid"),
        (vrrp(PLAIN.replace(UNICAST, "")), "transport"),
        (vrrp(PLAIN + "<interface>eth1</interface>"), "cases"),
        (vrrp(PLAIN.replace("<vrid>7<", "<vrid>0<")), "vrid"),
        (
            vrrp("<version>vrrp-v2</version><v2-compatible>true</v2-compatible>" + PLAIN),
            "v2-compatible false",
        ),
        (
            vrrp("<advertise-interval-centi-sec>5000</advertise-interval-centi-sec>" + PLAIN),
            "up to 4095 centiseconds",
        ),
        (
            vrrp(
                "<version>vrrp-v2</version>"
                "<advertise-interval-centi-sec>150</advertise-interval-centi-sec>" + PLAIN
            ),
            "whole seconds",
        ),
        (vrrp(PLAIN + "<virtual-address>fe80::1</virtual-address>"), "one family"),
        (vrrp(PLAIN + "<carried-address>10.0.0.1</carried-address>"), "not both"),
    ],
)
def test_what_the_model_refuses(read: Read, content: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(content)


def test_tracked_sessions_have_names_and_decrements(schema: Schema) -> None:
    track = "<track-session><session>{}</session></track-session>"
    session = (
        '<bfd xmlns="urn:rui-cloud:yang:bfd"><session><name>core-1</name><role>core</role>'
        "<local-address>192.0.2.1</local-address><remote-address>192.0.2.2</remote-address></session></bfd>"
    )

    def tracked(name: str) -> dict[str, int]:
        group = f"<group><id>g1</id>{vrrp(WHOLE + track.format(name))}</group>"
        device = (
            f'<device xmlns="urn:rui-cloud:yang:device"><device-id>a</device-id>{session}{group}</device>'
        )
        tree = etree.fromstring(f'<config xmlns="{names.BASE}">{device}</config>')
        schema.check_config(tree)
        entry = schema.complete_config(tree).find(".//{urn:rui-cloud:yang:device}group")
        assert entry is not None
        config = read_vrrp(entry)
        assert config is not None
        return dict(config.tracks)

    assert tracked("core-1") == {"core-1": 60}
    with pytest.raises(DataError, match="core-2"):
        tracked("core-2")
