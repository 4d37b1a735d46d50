"""docs/vrrp.md has the table of the states."""

from __future__ import annotations

import re
from pathlib import Path

from rui.vrrp.states import TRANSITIONS, Event, State
from tests.unit.vrrp.test_states import EVENTS

TEXT = (Path(__file__).resolve().parents[3] / "docs/vrrp.md").read_text()


def name(event: type[Event]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", event.__name__).lower()


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells behind each event."""
    _, _, below = text.partition("| event | initialize | backup | master |\n")
    lines = [line for line in below.partition("\n\n")[0].splitlines() if not line.startswith("|--")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def expected() -> dict[str, list[str]]:
    order = (State.INITIALIZE, State.BACKUP, State.MASTER)
    found = {event: [TRANSITIONS.get((state, event)) for state in order] for event in EVENTS}
    return {name(event): [state.value if state else "-" for state in row] for event, row in found.items()}


def test_the_table_is_the_one_in_the_code() -> None:
    assert rows(TEXT) == expected()


def test_a_wrong_cell_is_found() -> None:
    row = "| master-silent | - | master | - |"
    assert row in TEXT
    assert rows(TEXT.replace(row, "| master-silent | - | backup | - |")) != expected()
