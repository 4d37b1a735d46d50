"""The quick yes must never be a yes where libyang says no."""

import base64
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rui.backup.record import UserInfo
from rui.schema import RecordChecker, Schema
from rui.schema.acceptor import usual_form
from rui.schema.libyang import Purpose
from rui.schema.xsdpattern import python_pattern
from tests.unit.schema.test_load import write

LIST = "/rui-user-info:user-info/group/user"
TYPES = {
    "v4": "inet:ipv4-address", "v4n": "inet:ipv4-address-no-zone", "v4p": "inet:ipv4-prefix",
    "v6": "inet:ipv6-address", "v6n": "inet:ipv6-address-no-zone", "v6p": "inet:ipv6-prefix",
    "ip": "inet:ip-address-no-zone", "mac": "yang:mac-address", "when": "yang:date-and-time",
    "host": "inet:host", "hex": "yang:hex-string",
    "u8": "uint8", "i8": "int8", "u64": "uint64", "odd": 'uint16 { range "7..93 | 100..4094"; }',
    "text": 'string { length "2..5"; }', "coded": "string { pattern '[a-z]{2}(-[0-9]+)?'; length '1..6'; }",
    "negated": "string { pattern '[^x]*'; }", "any": "string { pattern '.+z'; }",
    "not": "string { pattern '[a-z]*' { modifier invert-match; } }",
    "bin": "binary", "short": 'binary { length "2..4"; }', "flag": "boolean", "none": "empty",
    "pick": "enumeration { enum one; enum two; enum 'with space'; }", "kind": "identityref { base basis; }",
    "either": "union { type uint8; type enumeration { enum all; } }",
    "twice": "small-letters { pattern '.*a.*'; }",
}  # fmt: skip
MODULE = """module zoo { yang-version 1.1; namespace "urn:zoo"; prefix z;
  import ietf-inet-types { prefix inet; } import ietf-yang-types { prefix yang; }
  identity basis; identity derived { base basis; } identity further { base derived; }
  typedef small-letters { type string { pattern '[a-z]*'; } }
  container zoo { config false; list animal { key id; leaf id { type uint8; }
    %s } } }"""
EXAMPLE_LINES = """
0 00 7 93 94 99 100 127 128 255 256 -1 +1 4094 4095 65535 18446744073709551615 18446744073709551616
true True one derived further basis all
192.0.2.1 192.0.2.256 192.0.2.01 0.0.0.0 10.0.0.0/8 10.1.2.3/32 10.0.0.0/33
:: ::1 1:: 2001:db8::1 2001:db8::1:2 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:: 1:2:3:4:5:6::8 1:2:3:4:5::7:8
1:2:3:4::6:7:8 1:2:3:4:5:6:7:8:9 1::2::3 2001:db8::/32 2001:db8::1/128 2001:db8::/129 fe80::1%eth0
02:00:00:00:00:01 02:AA:00:00:00:01
2024-02-28T00:00:00Z 2024-02-29T00:00:00Z 2023-02-29T00:00:00Z 2024-04-31T00:00:00Z 2024-12-31T23:59:60Z
2024-12-31T23:59:59.999999999+09:59 2024-12-31T24:00:00Z 2024-01-01T00:00:00-00:00 2024-01-01T00:00:00.Z
AA== AB== AAA= AAAA AAAAAA== AAA A===
ab ab-1 ab- abcz xz z bab a&amp;b a]]>b a>b
"""
VALUES = st.one_of(
    st.sampled_from([*EXAMPLE_LINES.split(), "", "with space", "AAAA\n", " 1", "\u00fc", "a b"]),
    st.from_regex(r"[0-9a-f:.\-/TZ+]{1,24}", fullmatch=True),
    st.integers(-300, 70000).map(str),
    st.binary(max_size=6).map(lambda octets: base64.b64encode(octets).decode()),
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.ip_addresses().map(str),
    st.text(st.characters(codec="utf-8", exclude_characters="<&\x00"), max_size=6),
)
USUAL = """
v4 192.0.2.255, v6 2001:db8::1, v6 1:2:3:4:5:6:7:8, v6p 2001:db8:1::/56, ip 2001:db8::1, ip 10.0.0.1,
mac 02:00:00:00:00:01, when 2026-11-23T05:00:00.123Z, when 2026-01-31T05:00:00+02:00, u8 255,
u64 18446744073709551615, odd 4094, odd 7, text abcde, coded ab-12, negated abc, any abz, bin AAE=, flag true,
pick two, kind further, either all, twice bab
"""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> RecordChecker:
    folder = tmp_path_factory.mktemp("zoo")
    leaves = "".join(
        f"leaf {name} {{ type {kind}{'' if '}' in kind else ';'} }}\n" for name, kind in TYPES.items()
    )
    write(folder, "zoo", MODULE % leaves)
    return Schema.load(["zoo"], [folder]).records("/zoo:zoo/animal")


def usual(checker: RecordChecker, record: bytes) -> bool:
    assert checker._usual is not None
    return checker._usual.end(record, 0, len(record)) == len(record)


def holds(checker: RecordChecker, record: bytes) -> bool:
    return checker._context.holds(checker._wrap((), record), Purpose.RECORDS)


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(sorted(TYPES)), VALUES)
@example("none", "")
def test_a_quick_yes_is_a_yes_of_libyang(zoo: RecordChecker, leaf: str, value: str) -> None:
    record = f'<animal xmlns="urn:zoo"><id>1</id><{leaf}>{value}</{leaf}></animal>'.encode()
    assert zoo.usual is not None
    assert usual(zoo, record) == (re.fullmatch(zoo.usual.alone().encode(), record) is not None)
    if usual(zoo, record):
        assert holds(zoo, record), record


@pytest.mark.parametrize(("leaf", "value"), [pair.split() for pair in USUAL.split(",")])
def test_usual_values_are_taken_quickly(zoo: RecordChecker, leaf: str, value: str) -> None:
    record = f'<animal xmlns="urn:zoo"><id>1</id><{leaf}>{value}</{leaf}></animal>'.encode()
    assert usual(zoo, record)
    assert holds(zoo, record)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 70000), st.integers(0, 70000), st.integers(0, 99999))
def test_ranges_are_exact(low: int, high: int, value: int) -> None:
    from rui.schema.acceptor import _integers
    from rui.schema.tree import TypeSpec

    low, high = min(low, high), max(low, high)
    expression = _integers(TypeSpec("uint32", "uint32", ranges=((str(low), str(high)),)))
    assert expression is not None
    assert bool(re.fullmatch(expression, str(value))) is (low <= value <= high)
    assert re.fullmatch(expression, str(low))
    assert re.fullmatch(expression, str(high))


def test_what_the_primary_writes_is_of_the_usual_shape(router: Schema) -> None:
    checker = router.records(LIST)
    full = UserInfo(
        mac_address="02:00:00:00:00:01", outer_vlan=4094, inner_vlan=7, ipv4_address="192.0.2.1",
        ipv6_address="2001:db8::1", ipv6_delegated_prefix="2001:db8:1::/56", address_pool="pool",
        dhcp_server="192.0.2.254", lease_start=1.8e9, lease_time=3600, lease_expiry=1.8e9 + 3600,
        client_id=b"\x01\x02", option_82=bytes(range(255)), circuit_id=b"g/p:1.2", remote_id=b"\xff",
        logical_port="p", online_since=1.8e9,
    )  # fmt: skip
    for user in (full, UserInfo(mac_address="02:00:00:00:00:02")):
        assert usual(checker, user.encode())
        assert checker.key(user.encode()) == user.key
        assert not usual(checker, 2 * user.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "must 'a or b';",
        "leaf c { type string; mandatory true; must '. != 1'; }",
        "choice d { mandatory true; leaf d1 { type empty; } }",
        "container e { leaf f { type string; mandatory true; } }",
        "container g { must '../a'; leaf h { type string; } }",
        "unique 'a';",
        "max-elements 3;",
        "leaf-list i { type string; min-elements 1; }",
        "container j { choice k { mandatory true; leaf k1 { type empty; } } }",
    ],
)
def test_constraints_over_several_nodes_leave_every_entry_to_libyang(folder: Path, statement: str) -> None:
    write(
        folder,
        "strict",
        'module strict { yang-version 1.1; namespace "urn:strict"; prefix s; container top { config false; '
        f"list item {{ {statement} key id; leaf id {{ type string; }} leaf a {{ type string; }} "
        "leaf b { type string; } } } }",
    )
    schema = Schema.load(["strict"], [folder])
    assert usual_form([schema.node("/strict:top"), schema.node("/strict:top/item")]) is None


def test_a_mandatory_leaf_is_asked_for(folder: Path) -> None:
    write(
        folder,
        "needs",
        'module needs { yang-version 1.1; namespace "urn:needs"; prefix n; container top { config false; '
        "list item { key id; leaf id { type string; } leaf a { type uint8; mandatory true; } } } }",
    )
    checker = Schema.load(["needs"], [folder]).records("/needs:top/item")
    (issue,) = checker.check([], [b'<item xmlns="urn:needs"><id>1</id></item>'])
    assert '"a"' in issue.message
    assert checker.check([], [b'<item xmlns="urn:needs"><id>1</id><a>2</a></item>']) == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"[a-z]{2}(-\d+)?", r"(?:[a-z]{2}(?:-[0-9]+)?)"),
        ("a^b$", r"(?:a\^b\$)"),
        ("[^x]*", "(?:[^<x]*)"),
        (r"\p{L}+", None),
        (r"[\p{N}]", None),
        ("[a-z-[aeiou]]", None),
        ("[ -~]", None),
        ("a<b", None),
        (r"\w", None),
        ("a++", None),
        ("ü", None),
        ("[a", None),
        ("(?=a)", None),
    ],
)
def test_patterns_are_read_only_where_that_is_sure(pattern: str, expected: str | None) -> None:
    assert python_pattern(pattern, barrier="<") == expected


@pytest.mark.parametrize("length", ["", 'length "1..50";', 'length "0..255";', 'length "2..60";'])
def test_octets_of_every_length_are_taken_as_far_as_they_may_be_there(length: str) -> None:
    import re

    from rui.schema.acceptor import _binary
    from rui.schema.tree import TypeSpec

    stated = re.findall(r"(\d+)\.\.(\d+)", length)
    expression = _binary(TypeSpec("binary", "binary", lengths=tuple(stated)))
    low, high = (int(stated[0][0]), int(stated[0][1])) if stated else (0, 400)
    for octets in range(400):
        value = base64.b64encode(bytes(octets)).decode() + "<"
        taken = bool(re.match(f"(?:{expression})<", value))
        assert not taken or low <= octets <= high
        if max(low, 1) + 2 <= octets <= high // 3 * 3:
            assert taken, octets
