from __future__ import annotations

import pytest

from router import lag as module
from router.lag import Lag, LagMeter
from rui.backup.version import ZERO, Epoch, Version


def at(seq: int, epoch: int = 2) -> Version:
    return Version(Epoch(epoch, "a"), seq)


def test_level_there_is_none() -> None:
    meter = LagMeter(at(5, epoch=1))
    assert meter.lag(at(5, epoch=1), 100, 7.0) == Lag(0, 0.0)
    meter.durable(at(3), 1.0)
    meter.acknowledged(at(3))
    assert meter.lag(at(3), 100, 7.0) == Lag(0, 0.0)


def test_it_is_as_old_as_the_oldest_change_that_is_missing() -> None:
    meter = LagMeter(ZERO)
    for seq, when in ((10, 1.0), (20, 2.0), (30, 3.0)):
        meter.durable(at(seq), when)
    assert meter.lag(at(10), 100, 5.0) == Lag(20, 3.0)
    meter.acknowledged(at(20))
    assert meter.lag(at(20), 100, 5.0) == Lag(10, 2.0)


def test_a_cursor_before_the_restart_counts_both_epochs() -> None:
    meter = LagMeter(at(50, epoch=1))
    meter.durable(at(7), 1.0)
    assert meter.lag(at(40, epoch=1), 1000, 2.0) == Lag(17, 1.0)
    assert meter.lag(ZERO, 1000, 2.0).records == 1000


def test_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SAMPLES", 8)
    meter = LagMeter(ZERO)
    for seq in range(1, 1000):
        meter.durable(at(seq), float(seq))
    assert len(meter._samples) <= 9
    assert meter.lag(at(999), 9, 2000.0) == Lag(0, 0.0)
    assert meter.lag(at(998), 9, 2000.0) == Lag(1, 1001.0)
