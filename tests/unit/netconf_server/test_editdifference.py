"""What an edit has changed is what a comparison of the whole says, wherever the edit speaks."""

from __future__ import annotations

import copy
import random

import pytest

from netconf_server.difference import Difference, differences
from netconf_server.edit import Operation, apply_edit
from netconf_server.editdifference import edit_differences
from rui.netconf import names
from tests.unit.netconf_server.nacm_rig import GUARDED, config, house, room, schema

BASE = house(
    "<name>a</name>"
    + room("a", "<owner>x</owner><lamp>1</lamp><guest>p</guest><guest>q</guest>")
    + room("b", "<owner>x</owner>")
    + room("c")
)


def room_edit(name: str, operation: str, text: str = "") -> str:
    return f'<room xmlns:nc="{names.BASE}" nc:operation="{operation}"><name>{name}</name>{text}</room>'


def whole(operation: str, text: str = "") -> str:
    return f'<house xmlns="{GUARDED}" xmlns:nc="{names.BASE}" nc:operation="{operation}">{text}</house>'


def told(found: Difference) -> str:
    return f"{found.happened} {found.place.text} {found.implied}"


def both_ways(edit: str, default: Operation = Operation.MERGE) -> tuple[list[str], list[str]]:
    """What is told by the edit, and by the trees."""
    top = schema().tree.data
    old, asked = config(BASE), config(edit)
    new = copy.deepcopy(old)
    apply_edit(top, new, asked, default)
    return (
        sorted(map(told, edit_differences(old, new, asked, top))),
        sorted(map(told, differences(old, new, top))),
    )


@pytest.mark.parametrize(
    ("edit", "count"),
    [
        (house("<name>b</name>"), 1),
        (house("<name>a</name>"), 0),
        (house(room("b", "<owner>y</owner>")), 1),
        (house(room("d", "<owner>y</owner>") + room("b", "<owner>x</owner>")), 1),
        (house(room_edit("a", "delete")), 1),
        (house(room_edit("a", "replace", "<owner>x</owner>")), 3),
        (house(room_edit("z", "remove")), 0),
        (house(room("a", "<candle>2</candle>")), 2),
        (house("".join(room(name, "<owner>y</owner>") for name in "abcd")), 4),
        (house(room("b", "<guest>p</guest>")), 1),
        (whole("replace", "<name>a</name>"), 3),
        (whole("remove"), 4),
    ],
)  # fmt: skip
def test_the_edit_tells_what_the_trees_tell(edit: str, count: int) -> None:
    by_edit, by_trees = both_ways(edit)
    assert by_edit == by_trees
    assert len(by_trees) == count


def test_any_edit_tells_what_the_trees_tell() -> None:
    rng = random.Random(5)
    leafs = ("<owner>x</owner>", "<owner>y</owner>", "<lamp>2</lamp>", "<candle>2</candle>",
             "<guest>q</guest>", "<guest>r</guest>")  # fmt: skip
    for _ in range(300):
        parts = []
        for name in rng.sample("abcd", rng.randint(1, 4)):
            inside = {text[:4]: text for text in rng.sample(leafs, rng.randint(0, 3))}
            if "<lam" in inside:
                inside.pop("<can", None)
            text = "".join(inside.values())
            operation = rng.choice(["", "merge", "replace", "remove"])
            parts.append(
                room_edit(name, operation, "" if operation == "remove" else text)
                if operation
                else room(name, text)
            )
        by_edit, by_trees = both_ways(house("".join(parts)))
        assert by_edit == by_trees, parts
