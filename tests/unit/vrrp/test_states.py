from itertools import product
from typing import get_args

import pytest

from rui.vrrp.states import IGNORED, TRANSITIONS, Event, State, Thawed

EVENTS: tuple[type[Event], ...] = get_args(Event)


@pytest.mark.parametrize(("state", "event"), list(product(State, EVENTS)))
def test_every_pair_is_a_transition_or_ignored_and_not_both(state: State, event: type[Event]) -> None:
    assert ((state, event) in TRANSITIONS) != ((state, event) in IGNORED)


def test_every_state_can_be_reached_and_left() -> None:
    changes = {(old, new) for (old, _), new in TRANSITIONS.items() if old is not new}
    assert {new for _, new in changes} == set(State) == {old for old, _ in changes}


def test_no_master_becomes_one_again_after_standing_still() -> None:
    assert TRANSITIONS[State.MASTER, Thawed] is State.BACKUP
    assert TRANSITIONS[State.BACKUP, Thawed] is State.BACKUP
