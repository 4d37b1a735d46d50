"""What differs between two configurations, small and large."""

from __future__ import annotations

import pytest

from netconf_server.difference import differences
from tests.unit.netconf_server.nacm_rig import GUARDED, config, house, room, schema

MANY = [room(f"r{number}", "<owner>o</owner>") for number in range(200)]


def garden(size: str) -> str:
    return f'<garden xmlns="{GUARDED}"><size>{size}</size></garden>'


def found(old: str, new: str) -> list[str]:
    return [
        f"{item.happened} {item.place.text}{' implied' if item.implied else ''}".replace("guarded:", "")
        for item in differences(config(old), config(new), schema().tree.data)
    ]


def many(**changed: str) -> str:
    """A long list with some entries written otherwise; an empty text leaves one out."""
    return house("".join(changed.get(f"r{number}", text) for number, text in enumerate(MANY)))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (house("<name>a</name>"), house("<name>a</name>"), []),
        (house("<name>a</name>"), house("<name>b</name>"), ["changed /house/name"]),
        ("", house("<name>a</name>"), ["created /house/name"]),
        (house("<name>a</name>"), "", ["deleted /house/name"]),
        ("", house("<debug/>"), ["created /house/debug"]),
        (house(room("a")), house(room("b")),
         ["deleted /house/room[name='a']", "created /house/room[name='b']"]),
        (house(room("a") + room("b")), house(room("b") + room("a")), []),  # the system orders these
        (
            house(room("a", "<guest>x</guest><guest>y</guest>")),
            house(room("a", "<guest>y</guest><guest>x</guest>")),
            ["moved /house/room[name='a']/guest[.='y']", "moved /house/room[name='a']/guest[.='x']"],
        ),
        (
            house(room("a", "<lamp>x</lamp>")),
            house(room("a", "<candle>x</candle>")),
            ["deleted /house/room[name='a']/lamp implied", "created /house/room[name='a']/candle"],
        ),
        (garden("1"), garden("01"), []),
        (many(), many(), []),
        (many(), many(r7=room("r7")), ["deleted /house/room[name='r7']/owner"]),
        (many(), many(r0="", r199=""),
         ["deleted /house/room[name='r0']", "deleted /house/room[name='r199']"]),
        (many(), many(r99=MANY[99] + room("new")), ["created /house/room[name='new']"]),
    ],
)  # fmt: skip
def test_what_differs(old: str, new: str, expected: list[str]) -> None:
    assert found(old, new) == expected


def test_a_prefix_that_means_something_else_is_another_text() -> None:
    entries = "".join(MANY)
    plain = f'<house xmlns="{GUARDED}">{entries}</house>'
    prefixed = f'<g:house xmlns:g="{GUARDED}" xmlns="{GUARDED}">{entries}</g:house>'
    assert found(plain, prefixed) == []


def test_other_nodes_among_many_entries_change_nothing() -> None:
    mixed = house("".join([*MANY[:100], "<name>n</name>", *MANY[100:]]))
    other = house("".join([*MANY[:100], "<name>m</name>", *MANY[100:]]))
    assert found(mixed, other) == ["changed /house/name"]
    gone = ["deleted /house/room[name='r100']/owner", "deleted /house/name"]
    assert found(mixed, many(r100=room("r100"))) == gone
