import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rui.backoff import Backoff, BackoffPolicy

STEADY = BackoffPolicy(initial=1.0, factor=2.0, maximum=10.0, jitter=0.0, stable_after=60.0)


def test_delays_grow_to_the_maximum_and_stay_there() -> None:
    backoff = Backoff(STEADY, random.Random(1))
    assert [backoff.failed(now=0.0) for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_connection_that_lasted_starts_anew() -> None:
    backoff = Backoff(STEADY, random.Random(1))
    for _ in range(4):
        backoff.failed(now=0.0)
    backoff.opened(now=100.0)
    assert backoff.failed(now=160.0) == 1.0


def test_a_connection_that_broke_at_once_counts_as_a_failure() -> None:
    backoff = Backoff(STEADY, random.Random(1))
    backoff.failed(now=0.0)
    backoff.opened(now=1.0)
    assert backoff.failed(now=2.0) == 2.0
    assert backoff.failed(now=100.0) == 4.0


@given(st.integers(), st.integers(0, 2000), st.floats(0.0, 0.99), st.floats(1.0, 3.0))
def test_every_delay_is_within_its_bounds(seed: int, failures: int, jitter: float, factor: float) -> None:
    policy = BackoffPolicy(initial=0.5, factor=factor, maximum=30.0, jitter=jitter)
    backoff = Backoff(policy, random.Random(seed))
    backoff.failures = failures
    assert 0 < backoff.failed(now=0.0) <= 30.0


def test_peers_with_other_seeds_do_not_retry_in_step() -> None:
    delays = {Backoff(BackoffPolicy(), random.Random(seed)).failed(now=0.0) for seed in range(20)}
    assert len(delays) == 20


@pytest.mark.parametrize(
    "wrong", [{"initial": 0.0}, {"initial": 40.0}, {"factor": 0.5}, {"jitter": 1.0}, {"jitter": -0.1}]
)
def test_a_policy_without_bounds_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no bounded"):
        BackoffPolicy(**wrong)
