from __future__ import annotations

import pytest

from router import parking as module
from router.config import Acknowledgement, AcknowledgementPolicy
from router.parking import Parking
from rui.backup.version import ZERO, Epoch, Version


def at(seq: int) -> Version:
    return Version(Epoch(1, "a"), seq)


def parked(policy: AcknowledgementPolicy, *seqs: int) -> tuple[Parking, list[int]]:
    """Park answers at time 10.0 with a wait of at most 0.2 s."""
    parking, released = Parking(Acknowledgement(policy, 0.2)), []
    for seq in seqs:
        parking.park(at(seq), lambda seq=seq: released.append(seq), 10.0)  # type: ignore[misc]
    return parking, released


@pytest.mark.parametrize("policy", AcknowledgementPolicy)
def test_nothing_leaves_before_it_is_durable_here(policy: AcknowledgementPolicy) -> None:
    parking, released = parked(policy, 1, 2)
    parking.settle(ZERO, at(9), 99.0)
    assert released == []
    assert parking.next_deadline(ZERO) is None


def test_async_answers_what_is_durable() -> None:
    parking, released = parked(AcknowledgementPolicy.ASYNC, 1, 2, 3)
    parking.settle(at(2), ZERO, 10.0)
    assert (released, len(parking), parking.unprotected) == ([1, 2], 1, 0)


def test_cloud_waits_for_the_cloud_and_no_longer_than_the_wait() -> None:
    parking, released = parked(AcknowledgementPolicy.CLOUD, 1, 2, 3)
    parking.settle(at(2), at(1), 10.0)
    assert released == [1]
    assert parking.next_deadline(at(2)) == 10.2
    parking.settle(at(2), at(1), 10.2)
    assert (released, parking.unprotected) == ([1, 2], 1)


def test_beyond_its_limit_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 2)
    parking, released = parked(AcknowledgementPolicy.ASYNC, 1, 2, 3)
    parking.settle(at(3), ZERO, 10.0)
    assert (released, parking.forgotten) == ([2, 3], 1)
