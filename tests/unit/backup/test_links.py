from __future__ import annotations

from rui.backup.links import IGNORED, TRANSITIONS, Link, LinkEvent, LinkOptions, LinkState

OPTIONS = LinkOptions()
UP, DOWN, DEGRADED, UNKNOWN = LinkState.UP, LinkState.DOWN, LinkState.DEGRADED, LinkState.UNKNOWN


def probed(link: Link, start: float, end: float, rtt: float = 0.01) -> float:
    """Probe at the interval and answer each after ``rtt``."""
    now = start
    while now < end:
        number = link.probe(now)
        link.answered(number, now + rtt)
        now += OPTIONS.interval
        link.handle_timer(now)
    return now


def states(link: Link) -> list[LinkState]:
    return [change.state for change in link.changes()]


def test_every_state_and_event_is_a_transition_or_ignored() -> None:
    pairs = {(state, event) for state in LinkState for event in LinkEvent}
    assert pairs == set(TRANSITIONS) | IGNORED
    assert not set(TRANSITIONS) & IGNORED


def test_a_link_is_unknown_until_it_is_heard_or_silent() -> None:
    link = Link(OPTIONS, 0.0)
    assert link.state is UNKNOWN
    assert link.next_deadline() == 3.0
    link.handle_timer(2.9)
    assert link.state is UNKNOWN
    link.handle_timer(3.0)
    assert states(link) == [DOWN]


def test_silence_for_the_timeout_is_a_disconnection() -> None:
    link = Link(OPTIONS, 0.0)
    link.heard(1.0)
    link.handle_timer(3.9)
    assert link.state is UP
    link.handle_timer(4.0)
    (up, down) = link.changes()
    assert (up.state, down.state, down.at, down.reason) == (UP, DOWN, 4.0, "silent for 3 s")


def test_a_lost_session_alone_is_no_disconnection() -> None:
    link = Link(OPTIONS, 0.0)
    link.heard(1.0)
    link.cut(1.5)
    link.heard(2.0)
    assert link.state is UP


def test_a_high_round_trip_degrades_until_it_was_low_for_the_hold_time() -> None:
    link = Link(OPTIONS, 0.0)
    now = probed(link, 0.0, 3.0, rtt=0.25)
    assert states(link) == [UP, DEGRADED]
    now = probed(link, now, now + 9.0, rtt=0.17)
    assert states(link) == [], "between the two thresholds nothing changes"
    now = probed(link, now, now + 9.0, rtt=0.01)
    assert states(link) == [], "the bad samples must leave the window first, then the hold time runs"
    probed(link, now, now + 3.0, rtt=0.01)
    assert states(link) == [UP]


def test_unanswered_probes_are_loss() -> None:
    link = Link(OPTIONS, 0.0)
    now = probed(link, 0.0, 1.2)
    link.probe(now)
    link.heard(now + 1.1)
    link.handle_timer(now + 1.2)
    assert link.loss > OPTIONS.enter_loss
    assert link.state is DEGRADED


def test_the_other_end_s_measurements_count() -> None:
    link = Link(OPTIONS, 0.0)
    link.heard(0.1, rtt=0.3)
    assert link.state is DEGRADED
    assert link.rtt == 0.3


def test_a_link_that_falls_often_must_stay_alive_for_the_hold_time() -> None:
    link = Link(OPTIONS, 0.0)
    now = 0.0
    for _ in range(3):
        link.heard(now)
        now += 3.0
        link.handle_timer(now)
    assert link.state is DOWN
    assert link.flaps == 3
    link.changes()
    link.heard(now + 0.1)
    assert link.state is DOWN, "damped"
    for step in range(1, 5):
        link.heard(now + step)
    assert link.next_deadline() == now + 0.1 + OPTIONS.hold
    link.handle_timer(now + 0.1 + OPTIONS.hold)
    assert states(link) == [UP]


def test_damping_ends_when_the_falls_are_long_past() -> None:
    link = Link(OPTIONS, 0.0)
    now = 0.0
    for _ in range(3):
        link.heard(now)
        now += 3.0
        link.handle_timer(now)
    link.heard(now + 61.0)
    assert link.state is UP


def test_its_memory_is_bounded() -> None:
    link = Link(OPTIONS, 0.0)
    for number in range(2000):
        link.probe(number / 1000)
        link.heard(number / 1000)
    assert len(link._outstanding) <= 64
    assert len(link._samples) <= 256
