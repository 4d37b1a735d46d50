from __future__ import annotations

import base64
from ipaddress import IPv4Address, ip_network

import pytest

from router.config import AddressPool, PortConfig, SimulatedSource
from router.subscribers.invented import LIMIT, Inventor
from rui.backup.inspection import Inspector
from rui.backup.messages import Batch, Change, Stream
from rui.backup.record import UserInfo
from rui.backup.version import ZERO, Epoch, Version
from tests.models import router_model

NOW = 1_700_000_000.0


def source(**changes: object) -> SimulatedSource:
    values: dict[str, object] = {
        "seed": 1, "arrivals": 10.0, "hold_time": 60.0, "initial_population": 0, "max_population": 1000,
        "first_ipv4_address": IPv4Address("10.0.0.1"), "ipv6": True, "lease_time": 3600,
    }  # fmt: skip
    return SimulatedSource(**{**values, **changes})  # type: ignore[arg-type]


PORTS = (PortConfig("eth1", "line 1", 200, 7), PortConfig("eth2", "100%@<&>", 300, 0))
POOLS = (AddressPool("wide", ip_network("10.0.0.0/8")),)


@pytest.mark.parametrize("ports", [(), PORTS])
@pytest.mark.parametrize("number", [0, 1, 3999, 4000, 65_534, 65_535, 1_000_000, LIMIT - 1])
def test_a_record_is_what_the_serialiser_makes_and_the_model_takes(
    number: int, ports: tuple[PortConfig, ...]
) -> None:
    inventor = Inventor("g1", source(), ports, POOLS)
    record = inventor.record(number, NOW)
    user = UserInfo.decode(record)
    assert user.key == inventor.key(number)
    assert user.ipv4_address == str(IPv4Address(0x0A000001 + number))
    assert (user.lease_start, user.lease_expiry, user.online_since) == (NOW, NOW + 3600, NOW)
    assert user.address_pool == "wide"
    assert user.option_82 == b"\x01%c%b\x02\x11%b" % (
        len(user.circuit_id), user.circuit_id, user.mac_address.encode(),
    )  # fmt: skip
    if not ports or number % 2 == 0:
        assert user.encode() == record
    change = Change(user.key, Version(Epoch(1, "a"), 1), record)
    batch = Batch("g1", Epoch(1, "a"), Stream(ZERO, change.version), (change,))
    assert Inspector(router_model()).refused(batch) == ()


def test_a_number_is_found_again_by_its_key_only() -> None:
    inventor = Inventor("g1", source())
    assert [inventor.number(inventor.key(number)) for number in (0, 5, 70_000)] == [0, 5, 70_000]
    assert inventor.number(b"02:01:00:00:00:05/1/1") is None
    assert inventor.number(b"02:02:00:00:00:05/100/6") is None
    assert Inventor("g1", source(), PORTS[:1]).number(b"02:01:ff:ff:ff:ff/200/7") is None


def test_a_renewal_changes_the_lease_and_nothing_else() -> None:
    inventor = Inventor("g1", source())
    record = inventor.record(5, NOW).replace(b"</user>", b'<x:vip xmlns:x="urn:x">yes</x:vip></user>')
    renewed = inventor.renewed(record, NOW + 1800)
    user = UserInfo.decode(renewed)
    assert (user.lease_start, user.lease_expiry, user.online_since) == (NOW + 1800, NOW + 5400, NOW)
    assert inventor.renewed(renewed, NOW) == record


def test_without_ipv6_there_is_none() -> None:
    user = UserInfo.decode(Inventor("g1", source(ipv6=False)).record(5, NOW))
    assert (user.ipv6_address, user.ipv6_delegated_prefix) == ("", "")


def test_it_is_about_as_long_as_a_real_one() -> None:
    assert 750 < len(Inventor("g1", source()).record(70_000, NOW)) < 900
    assert base64.b64encode(UserInfo.decode(Inventor("g1", source()).record(1, NOW)).client_id)
