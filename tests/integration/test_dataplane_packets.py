"""The data plane with real packets: who is forwarded for, which way, and when no longer."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.requirements import find
from tests.integration.dataplane_rig import POOL, SERVER6, USERS, Router, Town

NEEDED = ("ip", "nft", "ping")
MISSING = [name for name in NEEDED if find(name) is None and shutil.which(name) is None]
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for network namespaces"),
    pytest.mark.skipif(bool(MISSING) and "CI" not in os.environ, reason=f"needs {' and '.join(MISSING)}"),
]


Pair = tuple[Router, Router]


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with Namespaces(f"dp{os.getpid()}") as namespaces:
        made = Town(namespaces)
        try:
            yield made
        finally:
            for router in made.routers.values():
                router.end()


@pytest.fixture
def routers(town: Town) -> Iterator[Pair]:
    """Both routers, secondary of both groups and knowing nobody."""
    starting = [router for router in town.routers.values() if not router.running]
    for router in starting:
        router.start()
    for router in starting:
        router.opened()
    yield town.routers["ra"], town.routers["rb"]
    for router in town.routers.values():
        if router.running:
            router.ask("reset")


def put(router: Router, user: str) -> None:
    mac, ipv4, ipv6 = USERS[user]
    router.ask("put", "g1", user, mac, ipv4, ipv6)


def until(holds: Callable[[], bool]) -> None:
    """Wait for what no event tells of."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def test_only_online_users_are_forwarded_for(town: Town, routers: Pair) -> None:
    ra, _ = routers
    ra.ask("primary", "g1")
    put(ra, "alice")
    assert town.reaches("alice")
    assert town.reaches("alice", SERVER6)
    assert town.misses("bob")
    assert town.misses("bob", SERVER6)
    put(ra, "bob")
    assert town.reaches("bob")
    assert ra.ask("delete", "g1", "alice") == 1
    assert town.misses("alice")
    # An address alone is not enough: bob's, at another MAC
    ra.ask("put", "g1", "bob", "02:00:00:00:00:99", *USERS["bob"][1:])
    assert town.misses("bob")


def test_tables_that_somebody_removes_come_back(town: Town, routers: Pair) -> None:
    ra, _ = routers
    put(ra, "alice")
    ra.ask("primary", "g1")
    town.run("ra", "nft", "flush", "ruleset")
    until(lambda: "rui_ra" in town.run("ra", "nft", "list", "tables"))
    assert town.reaches("alice")
    assert town.misses("bob")


def test_nobody_is_asked_for_a_mac_that_is_known(town: Town, routers: Pair) -> None:
    ra, _ = routers
    put(ra, "alice")
    ra.ask("primary", "g1")
    put(ra, "bob")
    permanent = ("ip", "neigh", "show", "nud", "permanent")
    until(lambda: all(USERS[user][0] in town.run("ra", *permanent) for user in USERS))
    ra.ask("delete", "g1", "bob")
    until(lambda: USERS["bob"][0] not in town.run("ra", *permanent))
    assert USERS["alice"][0] in town.run("ra", *permanent)


@pytest.mark.peer
@pytest.mark.skipif(find("bird") is None and "CI" not in os.environ, reason="needs bird")
def test_a_routing_daemon_finds_the_pool_to_advertise(town: Town, routers: Pair, tmp_path: Path) -> None:
    ra, _ = routers
    control = tmp_path / "bird.ctl"
    tmp_path.joinpath("bird.conf").write_text(
        "router id 10.9.0.1;\nprotocol device {}\nprotocol kernel {\nlearn;\n"
        "ipv4 { import where krt_source = 217; export none; };\n}\n"
    )
    files = ("-c", str(tmp_path / "bird.conf"), "-s", str(control), "-P", str(tmp_path / "bird.pid"))
    bird = town.namespaces.start("ra", ["bird", "-f", *files], tmp_path / "bird.log")
    try:
        until(control.exists)
        ask = ("birdc", "-r", "-s", str(control), "show", "route")
        ra.ask("primary", "g1")
        until(lambda: POOL in town.run("ra", *ask))
        ra.ask("secondary", "g1")
        until(lambda: POOL not in town.run("ra", *ask))
    finally:
        town.namespaces.stop(bird)


def test_many_users_are_loaded_and_replaced(town: Town, routers: Pair) -> None:
    ra, _ = routers
    ra.ask("primary", "g1")
    put(ra, "alice")
    assert ra.ask("load", "g1", "10.1.4.0", "20000") == 20000
    assert town.misses("alice")
    assert ra.ask("forwarding") == ["g1"]
    put(ra, "alice")
    assert town.reaches("alice")


def test_the_pool_is_advertised_while_a_group_uses_it(town: Town, routers: Pair) -> None:
    ra, rb = routers
    assert town.pool_routes("ra") == []
    ra.ask("primary", "g1")
    (route,) = town.pool_routes("ra")
    assert route.startswith(f"{POOL} dev rv")
    ra.ask("primary", "g2")
    assert town.pool_routes("ra") == [route]
    ra.ask("secondary", "g1")
    (other,) = town.pool_routes("ra")
    assert other.startswith(f"{POOL} dev rv")
    assert other != route
    ra.ask("secondary", "g2")
    until(lambda: town.pool_routes("ra") == town.pool_routes("rb") == [])
    rb.ask("primary", "g1")
    assert len(town.pool_routes("rb")) == 1


def test_a_pool_that_is_left_leads_into_the_tunnel_until_the_network_knows(town: Town, routers: Pair) -> None:
    ra, rb = routers
    for router in routers:
        put(router, "alice")
    ra.ask("primary", "g1")
    assert town.reaches("alice")
    rb.ask("primary", "g1")
    ra.ask("secondary", "g1")
    (route,) = town.pool_routes("ra")
    assert route.startswith(f"{POOL} via 169.254.82.1 dev rt")
    until(lambda: town.pool_routes("ra") == [])


def test_moved_users_are_reached_through_the_tunnel(town: Town, routers: Pair) -> None:
    ra, rb = routers
    for router in routers:
        put(router, "alice")
    ra.ask("primary", "g1")
    ra.ask("primary", "g2")
    assert town.reaches("alice")
    ra.ask("secondary", "g1")
    assert town.misses("alice")
    rb.ask("primary", "g1")
    # The server still sends to ra, which holds the pool's route for g2
    assert town.reaches("alice")
    assert town.reaches("alice", SERVER6)
    rb.ask("secondary", "g1")
    ra.ask("primary", "g1")
    assert town.reaches("alice")


def test_a_frozen_router_stops_and_its_users_move(town: Town, routers: Pair) -> None:
    ra, rb = routers
    for router in routers:
        put(router, "alice")
    ra.ask("primary", "g1")
    assert town.reaches("alice")
    assert "eth1" in town.gate("ra")
    ra.signal(signal.SIGSTOP)
    until(lambda: town.gate("ra") == [])
    assert town.misses("alice")
    # The frozen router's kernel hands on what still comes to it
    rb.ask("primary", "g1")
    assert town.reaches("alice")
    ra.signal(signal.SIGCONT)
    until(lambda: ra.ask("forwarding") == [])
    assert town.gate("ra") == []
    assert town.reaches("alice")


def test_a_killed_router_stops_and_its_successor_clears_up(town: Town, routers: Pair) -> None:
    ra, _ = routers
    put(ra, "alice")
    ra.ask("primary", "g1")
    assert town.reaches("alice")
    before = town.run("ra", "ip", "-o", "link")
    ra.end()
    until(lambda: town.gate("ra") == [])
    assert town.misses("alice")
    # Its addresses end by themselves, and the routes with them
    until(lambda: town.pool_routes("ra") == [])
    assert "10.1.0.1/" not in town.run("ra", "ip", "addr")
    ra.start()
    ra.opened()
    assert town.pool_routes("ra") == []
    assert len(town.run("ra", "ip", "-o", "link").splitlines()) == len(before.splitlines())
    ra.ask("primary", "g1")
    assert town.misses("alice")
    put(ra, "alice")
    assert town.reaches("alice")


def test_closing_leaves_nothing(town: Town, routers: Pair) -> None:
    ra, _ = routers
    ra.ask("primary", "g1")
    put(ra, "alice")
    ra.ask("close")
    ra.end()
    assert town.run("ra", "nft", "list", "ruleset") == ""
    assert "217" not in town.run("ra", "ip", "rule")
    assert town.run("ra", "ip", "route", "show", "table", "all", "proto", "217") == ""
    assert "macvlan" not in town.run("ra", "ip", "-d", "link")
    assert "vxlan" not in town.run("ra", "ip", "-d", "link")
