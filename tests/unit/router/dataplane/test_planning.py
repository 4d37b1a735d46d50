"""Rules, routes and names, as they are planned before any of them is asked of a kernel."""

from __future__ import annotations

from ipaddress import ip_network

from router.dataplane import DataPlaneConfig, GroupPlane, Tunnel, ruleset
from router.dataplane.kernel import tunnel_mac
from router.dataplane.routes import Route, wanted
from router.dataplane.values import MAIN_TABLE, Names

POOL, POOL6 = ip_network("10.1.0.0/16"), ip_network("2001:db8::/64")
TUNNEL = Tunnel("10.9.0.1", "10.9.0.2", 8193)
G1 = GroupPlane(
    "g1", "eth1", (POOL, POOL6), ("10.1.0.1", "fe80::1"), "00:00:5e:00:01:01", "vrrp1", tunnel=TUNNEL
)
G2 = GroupPlane("g2", "eth2", (POOL,), ("10.1.0.1",))
CONFIG = DataPlaneConfig("bras-a", (G1, G2))
NAMES = Names(CONFIG)
CLOSED = {
    Route(NAMES.closed_mark("g1"), ip_network("0.0.0.0/0"), NAMES.tunnel(G1), "169.254.82.1"),
    Route(NAMES.closed_mark("g1"), ip_network("::/0"), NAMES.tunnel(G1), "fe80::52:1"),
}


def to_users(group: GroupPlane, table: int) -> Route:
    return Route(table, POOL, NAMES.interface(group), source="10.1.0.1")


def test_a_secondary_leads_only_into_the_tunnel() -> None:
    assert wanted(CONFIG, NAMES, ()) == CLOSED


def test_a_primary_leads_to_its_users_and_advertises_the_pool() -> None:
    routes = wanted(CONFIG, NAMES, {"g2"})
    assert routes - CLOSED == {to_users(G2, NAMES.mark("g2")), to_users(G2, MAIN_TABLE)}


def test_a_pool_of_two_groups_is_advertised_once() -> None:
    both = wanted(CONFIG, NAMES, {"g1", "g2"})
    assert {route for route in both if route.table == MAIN_TABLE and route.destination == POOL} == {
        to_users(G1, MAIN_TABLE)
    }
    assert to_users(G2, NAMES.mark("g2")) in both
    left = wanted(CONFIG, NAMES, {"g2"})
    # The same place leads elsewhere: there is no moment without a route
    assert to_users(G2, MAIN_TABLE) in left
    assert to_users(G1, MAIN_TABLE).place == to_users(G2, MAIN_TABLE).place


def test_each_family_has_its_own_source() -> None:
    (route,) = (
        route
        for route in wanted(CONFIG, NAMES, {"g1"})
        if route.destination == POOL6 and route.table == MAIN_TABLE
    )
    assert route.source == "fe80::1"


def test_the_rules_are_made_from_nothing_each_time() -> None:
    text = ruleset.base(CONFIG, NAMES)
    assert text.startswith(ruleset.removal(NAMES))
    assert text.count("{") == text.count("}")


def test_only_an_interface_of_its_own_is_silent_behind_a_closed_gate() -> None:
    text = ruleset.base(CONFIG, NAMES)
    # eth2 also carries what is not the group's: VRRP, BFD, DHCP
    assert 'iifname "vrrp1" iifname != @gate drop' in text
    assert 'iifname "eth2" iifname != @gate drop' not in text


def test_only_a_group_with_a_tunnel_is_marked_as_closed() -> None:
    text = ruleset.base(CONFIG, NAMES)
    assert f"meta mark set {NAMES.closed_mark('g1'):#x}" in text
    assert f"{NAMES.closed_mark('g2'):#x}" not in text


def test_every_name_carries_the_device() -> None:
    other = Names(DataPlaneConfig("bras-b", (G1, G2)))
    assert NAMES.table == "rui_bras_a" != other.table
    assert NAMES.alias("g1").startswith(NAMES.alias_prefix)
    assert NAMES.alias_prefix not in other.alias("g1")
    assert NAMES.owns(NAMES.mark("g1"))
    assert NAMES.owns(NAMES.closed_mark("g2"))
    assert not NAMES.owns(other.mark("g1"))
    assert not NAMES.owns(0)


def test_interfaces_have_names_that_linux_takes() -> None:
    own = GroupPlane("g" * 63, "eth1", (POOL,), virtual_mac="00:00:5e:00:01:01")
    assert NAMES.interface(G1) == "vrrp1"
    assert NAMES.interface(G2) == "eth2"
    assert len(NAMES.interface(own)) <= 15
    assert len(NAMES.tunnel(G1)) <= 15
    assert NAMES.tunnel(G2) == ""


def test_either_end_of_a_tunnel_knows_the_others_mac() -> None:
    assert tunnel_mac("10.9.0.2") == "02:52:0a:09:00:02"
    assert tunnel_mac("fd00::1:2") == "02:52:00:01:00:02"
