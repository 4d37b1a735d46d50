"""docs/failover.md says what the tables in the code say."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from rui.backup import decision, failover, links
from rui.backup.decision import Links, Policy, decide
from rui.backup.identity import Role
from rui.backup.links import LinkEvent, LinkState

HOUSE = Path(__file__).resolve().parents[2]
TEXT = (HOUSE / "docs/failover.md").read_text()


def table(head: str, text: str = TEXT) -> list[list[str]]:
    """Return the cells of the table whose heading row begins so; its last heading row excluded."""
    lines = text.split(f"\n| {head}", 1)[1].splitlines()[2:]
    rows = list(itertools.takewhile(lambda line: line.startswith("|"), lines))
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def states(cell: str) -> set[LinkState]:
    return set(LinkState) if cell == "any" else {LinkState(word) for word in cell.split(", ")}


def wrong_rows(text: str) -> list[Links]:
    """Return the combinations that have not exactly one row, or of which the row is not the decision."""
    rows = table("c | a | b", text)
    wrong = []
    for a, b, c in itertools.product(LinkState, repeat=3):
        found = [row for row in rows if c in states(row[0]) and a in states(row[1]) and b in states(row[2])]
        seen = Links(a, b, c)
        decided = [
            [
                decide(seen, Policy.CONFIRM, waited=False).value,
                decide(seen, Policy.CONFIRM, waited=True).value,
            ],
            [
                decide(seen, Policy.CONFIRM, waited=False).value,
                decide(seen, Policy.IMMEDIATE, waited=False).value,
            ],
        ]
        if len(found) != 1 or any(found[0][3:] != pair for pair in decided):
            wrong.append(seen)
    return wrong


def test_the_decision_table_is_the_decision() -> None:
    assert wrong_rows(TEXT) == []


def test_a_wrong_row_is_found() -> None:
    assert "| up | down | up | reestablishing | local |" in TEXT
    planted = TEXT.replace("| up | down | up | reestablishing |", "| up | down | up | waiting |")
    assert wrong_rows(planted) == [Links(LinkState.DOWN, LinkState.UP, LinkState.UP)]


def test_what_a_path_means() -> None:
    rows = [row[:4] for row in table("path | in")]
    said = {True: "yes", False: "no"}
    assert rows == [[path.value, path.in_use, said[path.uploads], said[path.local]] for path in decision.Path]


def test_how_a_link_is_judged() -> None:
    rows = {row[0]: row[1:] for row in table("state | heard")}
    assert set(rows) == {state.value for state in LinkState}
    for state, event in itertools.product(LinkState, LinkEvent):
        after = links.TRANSITIONS.get((state, event))
        cell = rows[state.value][list(LinkEvent).index(event)]
        assert cell == ("-" if after is None else after.value), (state, event)


def test_the_step_of_every_move() -> None:
    rows = table("what happens")
    told = {
        (role, row[0]): row[1 + i] for row in rows for i, role in enumerate((Role.PRIMARY, Role.SECONDARY))
    }
    assert told == failover.STEPS


def test_every_step_of_the_figures_has_one_row() -> None:
    rows = [(row[0], row[1]) for row in table("figure | step")]
    last = {"6-a": 7, "6-b": 4, "7-a": 5, "7-b": 9, "8-a": 2, "8-b": 3, "9-a": 2, "9-b": 3}
    expected = [
        (figure, f"S{figure[0]}{number:02d}{figure[-1]}")
        for figure, count in last.items()
        for number in range(1, count + 1)
    ]
    assert rows == expected


def test_every_message_of_the_model_is_named() -> None:
    model = (HOUSE / "yang/rui-failover.yang").read_text()
    messages = set(re.findall(r"^  (?:rpc|notification) ([\w-]+)", model, re.MULTILINE))
    assert messages - {"link-probe"} <= {row[0].strip("`") for row in table("message | kind")}
    assert "`link-probe`" in TEXT


@pytest.mark.parametrize("row", table("leaf | default"), ids=lambda row: row[0].strip("`"))
def test_the_defaults_are_the_model_s(row: list[str]) -> None:
    model = (HOUSE / "yang/rui-device.yang").read_text()
    name, default = row[0].strip("`"), row[1].split(" ")[0]
    (leaf,) = re.findall(
        rf"^ +leaf {name} {{(.*?)\n +description", model.split("grouping thresholds")[1], re.M | re.S
    )
    if default == "a":
        assert "default" not in leaf
    else:
        assert f'default "{default}"' in leaf


def test_every_event_of_the_log_is_in_the_code_and_every_one_of_the_procedures_in_the_table() -> None:
    files = [*sorted((HOUSE / "router/rbs").glob("*.py")), HOUSE / "router/listener.py"]
    sources = "\n".join(path.read_text() for path in files)
    logged = set(re.findall(r'log\.\w+\(\s*"([\w-]+)"', sources))
    told = {row[0].strip("`") for row in table("event | when")}
    assert told <= logged
    stepped = set(re.findall(r'log\.\w+\(\s*"([\w-]+)",\s*step=', sources))
    assert stepped <= told
