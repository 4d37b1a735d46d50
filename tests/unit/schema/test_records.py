from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rui.backup.record import UserInfo
from rui.schema import RecordChecker, Schema, UnknownNodeError
from tests.unit.schema.test_load import AUGMENT, write

LIST = "/rui-user-info:user-info/group/user"


def user(number: int, **leaves: object) -> UserInfo:
    mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
    return UserInfo(mac_address=mac, outer_vlan=100, ipv4_address="192.0.2.1", **leaves)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def checker(router: Schema) -> RecordChecker:
    return router.records(LIST)


def test_a_batch_that_holds(checker: RecordChecker) -> None:
    users = [user(number) for number in range(100)]
    assert checker.check(["g1"], [one.encode() for one in users], [one.key for one in users]) == []
    assert checker.check(["g1"], []) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"192.0.2.1", b"192.0.2.300", "192.0.2.300"),
        (b"<state>online", b"<state>asleep", "asleep"),
        (b"</user>", b"<lease-time>-1</lease-time></user>", "-1"),
        (b"</user>", b"<option-82>!</option-82></user>", "Base64"),
        (b"</user>", b"", "not well-formed"),
        (b"user xmlns", b"looser xmlns", "not well-formed"),
        (b"user-info", b"user-information", "{urn:rui-cloud:yang:user-information}user"),
        (b"<outer-vlan>100</outer-vlan>", b"", 'missing its key "outer-vlan"'),
        (b"<outer-vlan>100<", b"<outer-vlan>100</outer-vlan><outer-vlan>101<", "key"),
        (b"</user>", b"</user><user/>", "not well-formed"),
        (b"02:00", b"02-00", "not of 02:00:00:00:00:03/100/0"),
    ],
)
def test_a_poisoned_record_is_named_and_the_rest_holds(
    checker: RecordChecker, old: bytes, new: bytes, words: str
) -> None:
    users = [user(number) for number in range(8)]
    records = [one.encode() for one in users]
    records[3] = records[3].replace(old, new)
    (issue,) = checker.check(["g1"], records, [one.key for one in users])
    assert issue.index == 3
    assert words in str(issue)


def test_the_key_must_be_the_announced_one(checker: RecordChecker) -> None:
    one, other = user(1), user(2)
    (issue,) = checker.check(["g1"], [one.encode(), other.encode()], [one.key, one.key])
    assert (issue.index, issue.message) == (
        1,
        "the record is of 02:00:00:00:00:02/100/0, not of 02:00:00:00:00:01/100/0",
    )


def test_a_key_may_occur_again_in_a_batch(checker: RecordChecker) -> None:
    users = [user(1), user(2), user(1, lease_time=5), user(1, lease_time=6)]
    records = [one.encode() for one in users]
    assert checker.check(["g1"], records, [one.key for one in users]) == []
    records[2] = records[2].replace(b">5<", b">five<")
    assert [issue.index for issue in checker.check(["g1"], records)] == [2]


def test_a_record_cannot_reach_into_its_neighbour(checker: RecordChecker) -> None:
    bad = user(2).encode().replace(b"192.0.2.1", b"nonsense")
    opening = user(1).encode() + b"<!--"
    closing = bad + b"-->"
    assert [issue.index for issue in checker.check(["g1"], [opening, closing])] == [0, 1]


def test_other_ways_to_write_a_record_hold_too(checker: RecordChecker) -> None:
    prefixed = (
        b'<u:user xmlns:u="urn:rui-cloud:yang:user-info">\n <u:ipv4-address>192.0.2.1</u:ipv4-address>'
        b"<!-- keys last --><u:inner-vlan>0</u:inner-vlan><u:outer-vlan>100</u:outer-vlan>"
        b"<u:mac-address>02:00:00:00:00:01</u:mac-address></u:user>"
    )
    assert checker.key(prefixed) == user(1).key
    assert checker.check(["g1"], [prefixed, user(2).encode()], [user(1).key, user(2).key]) == []


def test_unknown_nodes_are_passed_over(checker: RecordChecker) -> None:
    extra = b'<color xmlns="urn:acme:color">red</color><later-leaf>1</later-leaf></user>'
    assert checker.check(["g1"], [user(1).encode().replace(b"</user>", extra)]) == []


def test_an_augment_brings_its_leaf_with_no_code_changed(folder: Path, checker: RecordChecker) -> None:
    write(folder, "acme-color", AUGMENT)
    schema = Schema.load(["rui-user-info", "acme-color"], [folder])
    with_color = [
        user(number).encode().replace(b"</user>", b'<color xmlns="urn:acme:color">%s</color></user>' % color)
        for number, color in enumerate((b"red", b"blue", b"green"))
    ]
    (issue,) = schema.records(LIST).check(["g1"], with_color)
    assert issue.index == 2
    assert issue.path.endswith("/acme-color:color")
    assert checker.check(["g1"], with_color) == []


def test_only_a_list_with_keys_can_be_checked(router: Schema) -> None:
    with pytest.raises(UnknownNodeError, match="not a list"):
        router.records("/rui-user-info:user-info")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "x", "<&>\"'", "ü€", "]]>", "\x01"]), st.binary(max_size=20)),
        max_size=12,
    )
)
def test_whatever_octets_a_client_sends_make_a_valid_record(
    checker: RecordChecker, values: list[tuple[str, bytes]]
) -> None:
    users = [
        user(number, logical_port=text, circuit_id=octets, option_82=octets, remote_id=octets)
        for number, (text, octets) in enumerate(values)
    ]
    assert checker.check(["g1"], [one.encode() for one in users], [one.key for one in users]) == []
