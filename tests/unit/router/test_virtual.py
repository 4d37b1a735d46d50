"""One virtual MAC and one interface for VRRP, data plane and relay together."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_network

import pytest

from router.config import DhcpSource, Endpoint
from router.dataplane import DataPlaneConfig, GroupPlane
from router.dataplane.values import Names
from router.dhcp.values import AccessPort, RelayConfig
from router.virtual import hear_virtual, join_plane
from router.vrrp import VrrpConfig
from router.vrrp.interface import InterfaceConfig
from rui.schema.leaves import ConfigError
from rui.vrrp.values import VrrpOptions
from tests.unit.router.groups import config

VIRTUAL = IPv4Address("10.1.0.1")
PLANE = GroupPlane("g1", "eth1", (ip_network("10.1.0.0/16"),), ("10.1.0.1",), "02:00:00:00:00:99")


def vrrp(interface: str, *, virtual_mac: bool = True) -> VrrpConfig:
    link = InterfaceConfig(interface, 51, (VIRTUAL,), virtual_mac=virtual_mac)
    return VrrpConfig("g1", VrrpOptions(51, (VIRTUAL,), interval=20), link)


def joined(election: VrrpConfig, gate: float = 0.5) -> GroupPlane:
    groups = [replace(config(), vrrp=election)]
    return join_plane(DataPlaneConfig("bras-a", (PLANE,), gate), groups).groups[0]


def test_the_data_plane_uses_the_interface_and_mac_of_vrrp_on_its_access_interface() -> None:
    election = vrrp("eth1")
    plane = joined(election)
    assert plane.virtual_interface == election.virtual_interface != ""
    assert plane.virtual_mac == "00:00:5e:00:01:33"


def test_without_a_virtual_mac_both_use_the_access_interface() -> None:
    plane = joined(vrrp("eth1", virtual_mac=False))
    assert (plane.virtual_interface, plane.virtual_mac) == ("", "")


def test_vrrp_elsewhere_changes_nothing() -> None:
    assert joined(vrrp("eth2")) == PLANE


def test_a_gate_that_outlasts_a_silent_master_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"gate-timeout: 0\.7 s is longer than VRRP of group g1 waits"):
        joined(vrrp("eth1"), gate=0.7)


@pytest.mark.parametrize("election", [vrrp("eth1"), None], ids=["vrrp", "own"])
def test_the_relay_hears_what_comes_in_by_the_virtual_interface(election: VrrpConfig | None) -> None:
    relay = RelayConfig("g1", VIRTUAL, (IPv4Address("192.0.2.2"),), (AccessPort("eth1", "p"),))
    source = DhcpSource(relay, Endpoint("0.0.0.0", 67), 67, 68)
    plane = DataPlaneConfig("bras-a", (PLANE,), 0.5)
    found = hear_virtual(replace(config(), vrrp=election, source=source), plane).source
    assert isinstance(found, DhcpSource)
    expected = election.virtual_interface if election else Names(plane).interface(PLANE)
    assert found.relay.ports[0].virtual_interface == expected
