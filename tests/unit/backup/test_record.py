from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from rui.backup.record import RecordError, UserInfo, octets_text, read_leaves, subscriber_key, text_octets
from rui.schema import RecordChecker, Schema

FULL = UserInfo(
    mac_address="02:00:00:00:00:0A",
    outer_vlan=100,
    inner_vlan=7,
    ipv4_address="198.51.100.7",
    ipv6_address="2001:db8::7",
    ipv6_delegated_prefix="2001:db8:100::/56",
    address_pool="residential",
    dhcp_server="192.0.2.53",
    lease_start=1_790_000_000.5,
    lease_time=3600,
    lease_expiry=1_790_003_600.5,
    client_id=b"\x01\x02\x00\x00\x00\x00\x0a",
    option_82=b"\x01\x03<&>\x02\x02\x00\xff",
    circuit_id=b"<&>",
    remote_id=b"\x00\xff",
    logical_port="access-1",
    online_since=1_790_000_000.0,
)


@pytest.fixture(scope="module")
def checker() -> RecordChecker:
    return Schema.load(["rui-user-info"]).records("/rui-user-info:user-info/group/user")


@pytest.mark.parametrize("info", [FULL, UserInfo("02:00:00:00:00:01")])
def test_a_record_is_what_the_model_wants(checker: RecordChecker, info: UserInfo) -> None:
    assert checker.check(["g1"], [info.encode()], [info.key]) == []


def test_a_record_reads_back() -> None:
    again = UserInfo.decode(FULL.encode())
    assert again == UserInfo.decode(again.encode())
    assert (again.mac_address, again.lease_expiry, again.option_82) == (
        "02:00:00:00:00:0a",
        FULL.lease_expiry,
        FULL.option_82,
    )
    assert (again.circuit_id, again.remote_id) == (FULL.circuit_id, FULL.remote_id)


def test_the_key_is_lower_case() -> None:
    assert FULL.key == subscriber_key("02:00:00:00:00:0A", 100, 7) == b"02:00:00:00:00:0a/100/7"


def test_leaves_that_say_nothing_are_left_out() -> None:
    leaves = read_leaves(UserInfo("02:00:00:00:00:01").encode())
    assert leaves == {
        "mac-address": "02:00:00:00:00:01",
        "outer-vlan": "0",
        "inner-vlan": "0",
        "session-type": "dhcp",
        "state": "online",
    }


def test_nodes_of_an_augment_are_no_obstacle() -> None:
    record = FULL.encode().replace(b"</user>", b'<id xmlns="urn:example:pppoe">7</id></user>')
    assert UserInfo.decode(record) == UserInfo.decode(FULL.encode())


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (b"<user", "not well-formed"),
        (b"<user/>", "instead of user in"),
        (b'<user xmlns="urn:rui-cloud:yang:user-info"/>', "mac-address"),
        (FULL.encode().replace(b"<lease-time>3600", b"<lease-time>soon"), "soon"),
    ],
)
def test_what_is_no_record_is_refused_with_the_reason(record: bytes, why: str) -> None:
    with pytest.raises(RecordError, match=why):
        UserInfo.decode(record)


@given(st.binary(max_size=60))
def test_octets_read_back_from_their_text(octets: bytes) -> None:
    assert text_octets(octets_text(octets)) == octets


@given(st.text(max_size=40))
def test_any_text_makes_well_formed_xml(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    user = etree.fromstring(UserInfo("02:00:00:00:00:01", logical_port=text).encode())
    assert user.tag == "{urn:rui-cloud:yang:user-info}user"
