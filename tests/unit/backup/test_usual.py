"""Reading and checking at once comes to the same as one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rui.backup.inspection import Inspector
from rui.backup.messages import Change
from rui.backup.record import UserInfo
from rui.backup.version import Epoch, Version
from rui.schema import Schema
from tests.models import router_model
from tests.unit.backup.histories import A, version
from tests.unit.backup.reading import at_once, message, one_after_the_other, parts

B = Epoch(2, "bras-b")


def record(number: int, **leaves: object) -> bytes:
    return UserInfo(f"02:00:00:00:00:{number:02x}", 100, number, **leaves).encode()  # type: ignore[arg-type]


def key(number: int) -> bytes:
    return b"02:00:00:00:00:%02x/100/%d" % (number, number)


def change(number: int, content: bytes | None, at: Version) -> bytes:
    what = b"<deleted/>" if content is None else b"<record>%b</record>" % content
    return b"<change><key>%b</key><version>%b</version>%b</change>" % (key(number), str(at).encode(), what)


RECORDS = st.sampled_from(
    [
        lambda number: record(number, lease_time=60, option_82=b"\x01\x02\xff", ipv6_address="2001:db8::1"),
        lambda number: record(number, logical_port="a & b", remote_id=b"\xc3\xbc"),
        lambda number: record(number).replace(b"><", b"> <"),
        lambda number: record(number).replace(b"</user>", b'<color xmlns="urn:c">red</color></user>'),
        lambda number: record(number, lease_time=60).replace(b"60", b"sixty"),
        lambda number: record(number).replace(b"</user>", b"<change>x</change></user>"),
        lambda number: record(number + 1),
        lambda number: record(number).replace(b"</user>", b""),
        lambda _: None,
    ]
)
BETWEEN = st.sampled_from([b""] * 12 + [b"\n", b"<x/>", b"<change/>", b"text", b"<change></change>"])
ODD = st.sampled_from(
    [(b"", b"")] * 8
    + [(b"<version>1@", b"<version>01@"), (b"/100/", b"/5000/"), (b"<key>", b"<key> "), (b"</version>", b"")]
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    body = b""
    for seq in range(1, draw(st.integers(1, 8)) + 1):
        number = draw(st.integers(0, 3))
        at = version(seq, draw(st.sampled_from([A, A, A, B])))
        body += change(number, draw(RECORDS)(number), at).replace(*draw(ODD)) + draw(BETWEEN)
    return body


@pytest.fixture(scope="module")
def inspector() -> Inspector:
    return Inspector(router_model())


@settings(max_examples=150, deadline=None)
@given(messages())
def test_it_comes_to_the_same(inspector: Inspector, body: bytes) -> None:
    raw = message(body)
    assert at_once(inspector, raw) == one_after_the_other(inspector, raw)


def test_what_a_primary_writes_is_read_at_once(inspector: Inspector) -> None:
    body = b"".join(change(n, record(n, lease_time=60, circuit_id=b"p/1"), version(n)) for n in range(1, 4))
    batch = inspector.read(*parts(message(body)))
    assert batch.unchecked == []
    assert [one.key for one in batch.changes] == [key(n) for n in range(1, 4)]


def test_what_is_unusual_is_looked_at_by_itself(inspector: Inspector) -> None:
    poisoned = record(2, lease_time=60).replace(b"60", b"sixty")
    body = change(1, record(1), version(1)) + change(2, poisoned, version(2)) + change(3, None, version(1, B))
    batch = inspector.read(*parts(message(body)))
    assert batch.unchecked == [1, 2]
    assert [bad.key for bad in inspector.refused(batch)] == [key(2)]
    assert batch.changes[2] == Change(key(3), version(1, B), None)


def test_in_a_group_that_cannot_be_all_are_looked_at(inspector: Inspector) -> None:
    raw = message(change(1, record(1), version(1)), group="x" * 300)
    assert len(inspector.refused(inspector.read(*parts(raw)))) == 1
    assert at_once(inspector, raw) == one_after_the_other(inspector, raw)


def test_what_stands_between_the_changes_is_seen(inspector: Inspector) -> None:
    both = change(1, record(1), version(1)), change(2, record(2), version(2))
    batch = inspector.read(*parts(message(b"\n".join(both))))
    assert batch.unchecked is None
    assert len(batch.changes) == 2


def test_records_that_take_too_long_to_match_are_looked_at_one_by_one(
    inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned = record(3, lease_time=60).replace(b"60", b"sixty")
    bodies = [
        change(1, record(1), version(1)),
        change(2, record(2), version(2)),
        change(3, poisoned, version(3)),
    ]
    raw, asked = message(b"".join(bodies)), []

    def end(text: bytes, begin: int, end: int) -> int | None:
        asked.append(begin)
        return None

    assert inspector._usual is not None
    monkeypatch.setattr(inspector._usual.__self__._run, "end", end)  # type: ignore[attr-defined]
    batch = inspector.read(*parts(raw))
    assert batch.unchecked == [0, 1, 2]
    assert len(asked) == 1
    assert [bad.key for bad in inspector.refused(batch)] == [key(3)]


def test_leaves_that_look_like_the_tags_around_a_record_are_the_record_s(tmp_path: Path) -> None:
    leaves = "".join(f"<{name}>x</{name}>" for name in ("key", "version", "record", "change"))
    model = """module rui-user-info { yang-version 1.1; namespace "urn:rui-cloud:yang:user-info"; prefix ui;
      container user-info { config false; list group { key group-id; leaf group-id { type string; }
        list user { key "mac-address outer-vlan inner-vlan"; leaf mac-address { type string; }
          leaf outer-vlan { type uint16; } leaf inner-vlan { type uint16; }
          leaf key { type string; } leaf version { type string; } leaf record { type string; }
          leaf change { type string; } } } } }"""
    (tmp_path / "rui-user-info.yang").write_text(model)
    inspector = Inspector(Schema.load(["rui-user-info"], [tmp_path]))
    entries = [
        f'<user xmlns="urn:rui-cloud:yang:user-info"><mac-address>02:00:00:00:00:{number:02x}</mac-address>'
        f"<outer-vlan>100</outer-vlan><inner-vlan>{number}</inner-vlan>{leaves}</user>".encode()
        for number in range(3)
    ]
    raw = message(b"".join(change(n, entry, version(n + 1)) for n, entry in enumerate(entries)))
    batch = inspector.read(*parts(raw))
    assert inspector.refused(batch) == ()
    assert batch.changes == tuple(Change(key(n), version(n + 1), entry) for n, entry in enumerate(entries))
