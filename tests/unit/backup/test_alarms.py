"""An alarm is raised once and cleared once, whoever says so how often; the model knows them all."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from rui.backup.alarms import SEVERITIES, AlarmBook, AlarmKey, AlarmType
from rui.backup.alarms_wire import NAMESPACE, encode_alarms, encode_change
from rui.schema import Schema
from tests.models import router_model

HOUSE = Path(__file__).resolve().parents[3]
KEY = AlarmKey(AlarmType.NEEDS_SNAPSHOT, "g1", "bras-b")


@cache
def schema() -> Schema:
    return router_model()


def raised(book: AlarmBook, key: AlarmKey = KEY, at: float = 1.0) -> None:
    assert book.set(key, True, "so and so", at) is not None


def test_it_is_raised_once_and_cleared_once() -> None:
    book = AlarmBook()
    assert book.set(KEY, False, "", 0.0) is None
    change = book.set(KEY, True, "so and so", 1.0)
    assert change is not None
    assert (change.index, change.raised, change.at) == (1, True, 1.0)
    assert book.set(KEY, True, "so and so", 2.0) is None
    assert book.alarms == [change.alarm]
    cleared = book.set(KEY, False, "", 3.0)
    assert cleared is not None
    assert (cleared.raised, cleared.alarm.text, cleared.alarm.cleared) == (False, "so and so", 3.0)
    assert book.set(KEY, False, "", 4.0) is None
    assert [change.index for change in book.history] == [1, 2]
    assert book.active == 0


def test_another_text_is_no_event() -> None:
    book = AlarmBook()
    raised(book)
    assert book.set(KEY, True, "worse", 2.0) is None
    (alarm,) = book.alarms
    assert (alarm.text, alarm.raised, alarm.changed) == ("worse", 1.0, 2.0)
    assert len(book.history) == 1


def test_raised_again_it_keeps_its_first_time() -> None:
    book = AlarmBook()
    raised(book)
    book.set(KEY, False, "", 2.0)
    raised(book, at=3.0)
    (alarm,) = book.alarms
    assert (alarm.created, alarm.raised, alarm.cleared) == (1.0, 3.0, None)


def test_groups_and_peers_are_told_apart() -> None:
    book = AlarmBook()
    for key in (KEY, KEY._replace(peer="bras-c"), KEY._replace(group="g2"), KEY._replace(group="", peer="")):
        raised(book, key)
    assert book.active == 4
    assert book.raised(AlarmType.NEEDS_SNAPSHOT, "g1", "bras-c")
    assert not book.raised(AlarmType.NEEDS_SNAPSHOT, "g1")
    assert [key.resource for key in book.raised_of(AlarmType.NEEDS_SNAPSHOT)] == [
        "group/g1/peer/bras-b", "group/g1/peer/bras-c", "group/g2/peer/bras-b", "device",
    ]  # fmt: skip


def test_what_is_over_is_forgotten_in_its_order() -> None:
    book = AlarmBook(cleared=2, history=3)
    for name in ("a", "b", "c"):
        key = AlarmKey(AlarmType.DELIVERY_FAILING, "g1", name)
        raised(book, key)
        book.set(key, False, "", 2.0)
    assert [alarm.key.peer for alarm in book.alarms] == ["b", "c"]
    assert [change.index for change in book.history] == [4, 5, 6]


@pytest.mark.parametrize("type_", AlarmType)
def test_each_type_fits_the_model(type_: AlarmType) -> None:
    book = AlarmBook()
    for group, peer in (("", ""), ("g1", ""), ("", "cloud"), ("g1", "bras-b")):
        change = book.set(AlarmKey(type_, group, peer), True, "so <and> so", 1_800_000_000.0)
        assert change is not None
        schema().check_notification(encode_change(change))
    change = book.set(AlarmKey(type_, "g1", "bras-b"), False, "", 1_800_000_001.0)
    assert change is not None
    schema().check_notification(encode_change(change))
    tree = encode_alarms(book)
    schema().check_operational(tree)
    assert [entry.text for entry in tree.iterfind(f"{{{NAMESPACE}}}alarm/{{{NAMESPACE}}}is-cleared")] == [
        "false", "false", "false", "true",
    ]  # fmt: skip


def test_the_model_and_the_handbook_name_the_same_types_and_severities() -> None:
    model = (HOUSE / "yang/rui-alarms.yang").read_text()
    named = re.findall(r"^ {6}enum ([\w-]+)", model.split("typedef severity")[0], re.MULTILINE)
    assert named == [type_.value for type_ in AlarmType]
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \|", (HOUSE / "docs/operations.md").read_text(), re.MULTILINE)
    assert rows == [(type_.value, SEVERITIES[type_].value) for type_ in AlarmType]
