"""Two sessions: up, down, silent, held down, and what a session does not believe."""

from __future__ import annotations

from random import Random

import pytest

from rui.bfd.fsm import Session, SessionOptions, StateChanged, Transmit
from rui.bfd.packet import ControlPacket, Diagnostic, Discard, State, decode
from rui.bfd.states import Trigger
from tests.unit.bfd.pair import Pair, up

FAST = SessionOptions(desired_min_tx=50_000, required_min_rx=50_000)
HELLO = ControlPacket(
    State.DOWN, multiplier=3, my_discriminator=7, your_discriminator=0, desired_min_tx=0, required_min_rx=1
)


def session() -> Session:
    return Session(SessionOptions(), 0xA, Random(1), 0.0)


def packets(of: Session) -> list[ControlPacket]:
    return [decode(output.data) for output in of.outputs() if isinstance(output, Transmit)]


def test_two_sessions_come_up_in_the_three_way_handshake() -> None:
    pair = up()
    # Who hears the other's Init first skips it
    assert [states[-1] for states in pair.states.values()] == [State.UP, State.UP]
    assert State.INIT in pair.states[pair.a] + pair.states[pair.b]
    assert pair.a.remote.my_discriminator == 0xB
    assert pair.b.remote.my_discriminator == 0xA
    assert pair.last(pair.a).diagnostic == Diagnostic.NONE


def test_until_up_a_session_sends_no_faster_than_once_a_second() -> None:
    alone = Pair(FAST, FAST)
    alone.cut = {alone.a, alone.b}
    alone.run(60)
    gaps = alone.gaps(alone.a, 0.0)
    assert 0.75 <= min(gaps) < max(gaps) <= 1.0
    assert alone.last(alone.a).desired_min_tx == 1_000_000
    assert alone.last(alone.a).required_min_rx == 50_000


def test_once_up_packets_come_at_the_slower_of_both_wishes_with_jitter() -> None:
    pair = up(FAST, SessionOptions(desired_min_tx=20_000, required_min_rx=80_000))
    since = pair.now
    pair.run(20)
    a, b = pair.gaps(pair.a, since), pair.gaps(pair.b, since)
    assert 0.75 * 0.080 <= min(a) < max(a) <= 0.080 + 1e-9
    assert 0.75 * 0.050 <= min(b) < max(b) <= 0.050 + 1e-9


def test_with_a_multiplier_of_one_packets_come_in_time() -> None:
    one = SessionOptions(desired_min_tx=50_000, required_min_rx=50_000, multiplier=1)
    pair = up(one, one)
    since = pair.now
    pair.run(20)
    assert max(pair.gaps(pair.a, since)) <= 0.9 * 0.050 + 1e-9
    assert pair.states[pair.a][-1] is State.UP


@pytest.mark.parametrize("milliseconds", [10, 50, 300])
def test_silence_is_found_within_the_detection_time(milliseconds: int) -> None:
    options = SessionOptions(milliseconds * 1000, milliseconds * 1000)
    pair = up(options, options)
    since, last = pair.now, pair.sent[pair.a][-1][0]
    pair.cut = {pair.a, pair.b}
    pair.run(3 * milliseconds / 1000)
    assert pair.a.state is pair.b.state is State.DOWN
    assert pair.a.diagnostic is Diagnostic.DETECTION_EXPIRED
    assert last + 2 * milliseconds / 1000 < pair.b.since <= since + 3 * milliseconds / 1000
    assert pair.last(pair.a).your_discriminator == 0


def test_a_cut_in_one_direction_brings_both_ends_down() -> None:
    pair = up(FAST, FAST)
    pair.cut = {pair.a}
    pair.run(0.2)
    assert pair.b.diagnostic is Diagnostic.DETECTION_EXPIRED
    assert pair.a.diagnostic is Diagnostic.NEIGHBOR_DOWN
    assert pair.a.remote.diagnostic == Diagnostic.DETECTION_EXPIRED
    pair.cut = set()
    pair.run(5)
    assert pair.a.state is pair.b.state is State.UP
    assert pair.last(pair.a).diagnostic == Diagnostic.NONE
    assert pair.a.last_down is not None
    assert pair.a.last_up is not None
    assert pair.a.last_up > pair.a.last_down


def test_an_operator_holds_a_session_down_and_lets_it_go() -> None:
    pair = up(FAST, FAST)
    pair.a.change(SessionOptions(50_000, 50_000, admin_down=True), pair.now)
    pair.run(5)
    assert pair.states[pair.a][-1] is State.ADMIN_DOWN
    assert pair.states[pair.b][-1] is State.DOWN
    assert pair.b.diagnostic is Diagnostic.NEIGHBOR_DOWN
    assert pair.b.remote.state is State.ADMIN_DOWN
    assert pair.b.remote.diagnostic == Diagnostic.ADMIN_DOWN
    pair.a.change(FAST, pair.now)
    pair.run(5)
    assert pair.a.state is pair.b.state is State.UP


def test_a_session_can_begin_held_down() -> None:
    pair = Pair(SessionOptions(admin_down=True))
    pair.run(10)
    assert pair.states[pair.a] == []
    assert pair.b.state is State.DOWN
    assert pair.a.receive(HELLO, 255, pair.now) is Discard.ADMIN_DOWN


def test_a_change_of_state_says_what_and_why() -> None:
    pair = up(FAST, FAST)
    pair.a.handle_timer(pair.now + 1)
    changes = [output for output in pair.a.outputs() if isinstance(output, StateChanged)]
    assert changes == [
        StateChanged(
            State.UP, State.DOWN, Trigger.EXPIRED, Diagnostic.DETECTION_EXPIRED, State.DOWN, pair.now + 1
        )
    ]


def test_a_packet_that_crossed_a_router_is_refused() -> None:
    mine = session()
    assert mine.receive(HELLO, 254, 0.0) is Discard.TTL
    assert mine.state is State.DOWN
    assert mine.discarded[Discard.TTL] == 1


def test_an_authenticated_packet_is_refused() -> None:
    mine = session()
    assert mine.receive(HELLO._replace(authenticated=True), 255, 0.0) is Discard.AUTHENTICATION
    assert mine.remote.my_discriminator == 0
    assert mine.received == 0


def test_a_refused_packet_does_not_put_off_the_detection() -> None:
    pair = up(FAST, FAST)
    pair.cut = {pair.b}
    for _ in range(20):
        pair.a.receive(pair.last(pair.b), 64, pair.now)
        pair.run(0.01)
    assert pair.a.state is State.DOWN


def test_a_poll_is_answered_at_once_without_poll() -> None:
    mine = session()
    mine.handle_timer(0.0)
    mine.outputs()
    mine.receive(HELLO._replace(poll=True), 255, 0.1)
    answer = packets(mine)[-1]
    assert (answer.final, answer.poll) == (True, False)


def test_a_remote_system_that_wants_no_packets_gets_only_answers() -> None:
    mine = session()
    mine.receive(HELLO._replace(required_min_rx=0), 255, 0.0)
    mine.outputs()
    for second in range(1, 60):
        mine.handle_timer(float(second) * 0.01)
    assert packets(mine) == []
    mine.receive(HELLO._replace(required_min_rx=0, poll=True), 255, 0.6)
    assert [packet.final for packet in packets(mine)] == [True]


def test_a_remote_system_in_demand_mode_gets_no_periodic_packets() -> None:
    pair = up(FAST, FAST)
    demand = pair.last(pair.b)._replace(demand=True)
    pair.a.receive(demand, 255, pair.now)
    sent = pair.a.sent
    for step in range(1, 20):
        at = pair.now + step * 0.05
        pair.a.receive(demand, 255, at)
        pair.a.handle_timer(at)
    assert pair.a.sent == sent
    pair.a.change(SessionOptions(60_000, 60_000), pair.now + 1)
    assert pair.a.sent > sent  # a poll sequence is still sent


def test_a_process_that_slept_sends_once_and_goes_on() -> None:
    pair = up(FAST, FAST)
    sent = pair.a.sent
    pair.a.receive(pair.last(pair.b), 255, pair.now + 100)
    pair.a.handle_timer(pair.now + 100)
    assert pair.a.sent == sent + 1
    assert pair.a.next_deadline() > pair.now + 100
