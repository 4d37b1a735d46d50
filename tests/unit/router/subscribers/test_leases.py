from __future__ import annotations

import math
from ipaddress import IPv4Address

from router.dhcp.values import HeldLease, LeaseFacts
from router.subscribers.leases import Leases
from rui.backup.messages import Change
from rui.backup.record import UserInfo
from rui.backup.table import Table
from rui.backup.version import Epoch, Version

EPOCH_OFFSET = 1_700_000_000.0
KEY = b"02:00:00:00:00:01/100/0"


def facts(**changes: object) -> LeaseFacts:
    values: dict[str, object] = {
        "mac": "02:00:00:00:00:01", "outer_vlan": 100, "inner_vlan": 0, "ipv4": IPv4Address("10.0.0.5"),
        "start": 50.0, "lease_time": 600, "expiry": 650.0, "client_id": b"\x01\x02",
        "option_82": b"\x01\x02g1", "circuit_id": b"g1", "remote_id": b"", "interface": "eth1",
        "logical_port": "line-1", "pool": "p", "server": IPv4Address("198.51.100.7"),
    }  # fmt: skip
    return LeaseFacts(**{**values, **changes})  # type: ignore[arg-type]


def table_of(record: bytes | None) -> Table:
    table = Table()
    table.apply(Change(KEY, Version(Epoch(1, "a"), 1), record))
    return table


def leases(table: Table) -> Leases:
    return Leases(table, lambda: EPOCH_OFFSET)


def test_a_lease_becomes_a_record_and_is_read_back() -> None:
    record = leases(Table()).record_of(facts(), None)
    user = UserInfo.decode(record)
    assert (user.lease_start, user.lease_expiry) == (EPOCH_OFFSET + 50, EPOCH_OFFSET + 650)
    assert (user.lease_time, user.online_since) == (600, EPOCH_OFFSET + 50)
    assert (user.option_82, user.circuit_id, user.client_id) == (b"\x01\x02g1", b"g1", b"\x01\x02")
    assert (user.logical_port, user.address_pool) == ("line-1", "p")
    held = leases(table_of(record))
    assert held.lease(KEY) == HeldLease(IPv4Address("10.0.0.5"), 650.0, IPv4Address("198.51.100.7"))
    assert held.online_since(KEY) == EPOCH_OFFSET + 50
    assert list(held.all()) == [(KEY, 650.0)]
    assert held.longest_renewal() == 300.0


def test_a_renewal_keeps_since_when() -> None:
    record = leases(Table()).record_of(facts(start=100.0), 7.0)
    assert UserInfo.decode(record).online_since == 7.0


def test_a_lease_without_end_has_no_expiry() -> None:
    record = leases(Table()).record_of(facts(lease_time=0xFFFFFFFF, expiry=math.inf), None)
    assert UserInfo.decode(record).lease_expiry is None
    held = leases(table_of(record)).lease(KEY)
    assert held is not None
    assert math.isinf(held.expiry)


def test_nothing_is_held_of_who_is_gone_or_has_no_ipv4_address() -> None:
    assert leases(table_of(None)).lease(KEY) is None
    assert leases(Table()).lease(KEY) is None
    only_ipv6 = UserInfo(mac_address="02:00:00:00:00:01", outer_vlan=100, ipv6_address="2001:db8::1").encode()
    assert leases(table_of(only_ipv6)).lease(KEY) is None
