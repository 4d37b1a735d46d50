"""The table of states is total, and is that of RFC 5880."""

from itertools import product
from pathlib import Path

import pytest

from rui.bfd.packet import State
from rui.bfd.states import DIAGNOSTICS, HEARD, IGNORED, TRANSITIONS, Trigger


def test_every_pair_moves_or_is_ignored_on_purpose() -> None:
    pairs = set(product(State, Trigger))
    assert set(TRANSITIONS) | IGNORED == pairs
    assert not set(TRANSITIONS) & IGNORED
    assert set(HEARD) == set(State)


def test_no_transition_stays_where_it_is() -> None:
    assert not [pair for pair, state in TRANSITIONS.items() if pair[0] is state]


# Rows: our state; columns: what the remote system says (RFC 5880 section 6.8.6).
HEARD_TABLE = {
    State.DOWN: {State.DOWN: State.INIT, State.INIT: State.UP},
    State.INIT: {State.ADMIN_DOWN: State.DOWN, State.INIT: State.UP, State.UP: State.UP},
    State.UP: {State.ADMIN_DOWN: State.DOWN, State.DOWN: State.DOWN},
    State.ADMIN_DOWN: {},
}


@pytest.mark.parametrize(("ours", "theirs"), list(product(State, State)))
def test_what_is_heard_moves_as_the_rfc_says(ours: State, theirs: State) -> None:
    assert TRANSITIONS.get((ours, HEARD[theirs]), ours) is HEARD_TABLE[ours].get(theirs, ours)


def test_every_way_down_has_its_diagnostic() -> None:
    for (_, trigger), state in TRANSITIONS.items():
        if state in (State.DOWN, State.ADMIN_DOWN) and trigger is not Trigger.ENABLE:
            assert trigger in DIAGNOSTICS


def test_the_document_shows_the_table() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "bfd.md").read_text()
    section = text.partition("## States")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line
    ]
    triggers = [*HEARD.values(), Trigger.EXPIRED, Trigger.DISABLE, Trigger.ENABLE]

    def name(state: State | None) -> str:
        return "-" if state is None else state.name.lower().replace("_", "-")

    assert rows[0] == ["state", *map(name, State), "silence", "disable", "enable"]
    assert rows[2:] == [[name(s), *(name(TRANSITIONS.get((s, t))) for t in triggers)] for s in State]
