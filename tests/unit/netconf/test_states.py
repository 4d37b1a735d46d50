from itertools import product

import pytest

from rui.netconf.states import IGNORED, TRANSITIONS, State, Trigger


@pytest.mark.parametrize(("state", "trigger"), list(product(State, Trigger)))
def test_every_pair_is_a_transition_or_ignored_and_not_both(state: State, trigger: Trigger) -> None:
    assert ((state, trigger) in TRANSITIONS) != ((state, trigger) in IGNORED)


def test_every_state_can_be_reached_and_left_but_the_last() -> None:
    assert set(TRANSITIONS.values()) == set(State) - {State.NEW}
    assert {old for old, _ in TRANSITIONS} == set(State) - {State.CLOSED}


def test_nothing_leads_back() -> None:
    order = list(State)
    assert all(order.index(new) > order.index(old) for (old, _), new in TRANSITIONS.items())


def test_every_state_that_is_not_over_ends_with_its_transport() -> None:
    for state in set(State) - {State.CLOSED}:
        assert TRANSITIONS[state, Trigger.EOF] is State.CLOSED
        assert TRANSITIONS[state, Trigger.FAIL] is State.CLOSED
