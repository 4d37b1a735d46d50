"""Changes of intervals, by poll sequences (RFC 5880 sections 6.5 and 6.8.3)."""

from __future__ import annotations

from rui.bfd.fsm import SessionOptions
from rui.bfd.packet import State
from rui.bfd.poll import Timing
from tests.unit.bfd.pair import Pair, up

FAST = SessionOptions(50_000, 50_000)
SLOW = SessionOptions(500_000, 500_000)


def polls(pair: Pair) -> list[bool]:
    return [packet.poll for _, packet in pair.sent[pair.a]]


def test_coming_up_polls_for_the_intervals_that_were_asked_for() -> None:
    pair = up(FAST, FAST)
    assert True in polls(pair)
    assert polls(pair)[-1] is False
    assert pair.last(pair.a).desired_min_tx == 50_000
    assert pair.a.detection_time == pair.b.detection_time == 0.15


def test_slower_takes_effect_only_when_it_was_heard() -> None:
    pair = up(FAST, FAST)
    pair.cut = {pair.b}  # the answer is lost
    pair.a.change(SLOW, pair.now)
    before = pair.now
    pair.run(0.12)
    assert max(pair.gaps(pair.a, before)) <= 0.05 + 1e-9
    assert pair.last(pair.a).poll
    assert pair.last(pair.a).desired_min_tx == 500_000
    pair.cut = set()
    pair.run(5)
    assert pair.states[pair.a][-1] is pair.states[pair.b][-1] is State.UP
    assert pair.states[pair.a].count(State.UP) == 1
    assert pair.a.interval == 0.5
    assert pair.b.detection_time == 1.5
    assert not pair.last(pair.a).poll


def test_expecting_more_often_takes_effect_only_when_it_was_heard() -> None:
    pair = up(SLOW, SLOW)
    pair.a.change(SessionOptions(500_000, 50_000), pair.now)
    assert pair.a.remote_interval == 0.5
    pair.b.change(SessionOptions(50_000, 500_000), pair.now)
    pair.run(5)
    assert pair.a.detection_time == 0.15
    assert pair.b.interval == 0.05
    assert pair.states[pair.a].count(State.UP) == 1


def test_faster_takes_effect_at_once() -> None:
    pair = up(SLOW, FAST)
    pair.a.change(FAST, pair.now)
    assert pair.a.interval == 0.05


def test_a_change_in_the_middle_of_a_poll_is_polled_for_again() -> None:
    timing = Timing(100, 100)
    assert timing.change(200, 100, up=True)
    assert timing.change(300, 100, up=True)
    assert timing.answered()
    # That answer may have been to the first change
    assert timing.tx_in_use == 100
    assert not timing.polling
    timing.was_sent()
    assert timing.polling
    assert timing.answered()
    assert timing.tx_in_use == 300
    assert not timing.answered()


def test_a_change_between_two_polls_waits_for_the_clear_packet_too() -> None:
    timing = Timing(100, 100)
    timing.change(200, 100, up=True)
    timing.change(300, 100, up=True)
    timing.answered()
    timing.change(400, 100, up=True)
    assert not timing.polling
    timing.was_sent()
    assert timing.polling


def test_the_stated_intervals_again_are_no_change() -> None:
    timing = Timing(100, 100)
    assert not timing.change(100, 100, up=True)
    assert not timing.polling


def test_the_multiplier_is_told_at_once() -> None:
    pair = up(FAST, FAST)
    pair.a.change(SessionOptions(50_000, 50_000, multiplier=5), pair.now)
    pair.run(0.005)
    assert pair.b.detection_time == 0.25
    assert True not in polls(pair)[-1:]
