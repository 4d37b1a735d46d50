"""What a subscriber felt, from pings and chunks with the times written beside them."""

import pytest

from rui_cli.lab.measured import CHUNK, Pings, Stream

EVERY = 0.1


def pinged(answered: str, *, size: int = 100, begin: float = 100.0) -> Pings:
    """Send a ping each 100 ms; `x` is answered at once, `.` never."""
    pings = Pings(size)
    for place, mark in enumerate(answered):
        now = begin + place * EVERY
        number = pings.send(now)
        if mark == "x":
            pings.answer(number, now + 0.001)
    return pings


@pytest.mark.parametrize(
    ("answered", "outage"),
    [
        ("xxxxxxxxxx", 0.0),
        ("xxx.xxxxxx", 0.1),
        ("xxx...xxxx", 0.3),
        ("x..x....xx", 0.4),
        ("xxxxxxx...", 12.3),
    ],
)
def test_an_outage_is_what_was_sent_in_vain(answered: str, outage: float) -> None:
    pings = pinged(answered)

    assert pings.outage(since=100.0, now=113.0, every=EVERY) == pytest.approx(outage)


def test_what_is_under_way_is_not_lost_yet() -> None:
    assert pinged("xxxxx...").outage(since=100.0, now=100.9, every=EVERY) == 0.0


def test_a_stall_of_whoever_sends_is_no_outage() -> None:
    pings = pinged("xxx")
    pings.answer(pings.send(105.0), 105.001)

    assert pings.outage(since=100.0, now=105.1, every=EVERY) == 0.0


def test_a_late_answer_is_none() -> None:
    pings = pinged("x.x")
    pings.answer(1, 102.0)

    assert pings.outage(since=100.0, now=103.0, every=EVERY) == pytest.approx(0.1)


def test_only_what_was_felt_since_the_mark_counts() -> None:
    pings = pinged("x....x" + "x" * 20 + ".x")

    assert pings.outage(since=102.0, now=104.0, every=EVERY) == pytest.approx(0.1)


def test_old_pings_give_their_place_to_new_ones() -> None:
    pings = pinged("x...x" + "x" * 10, size=8)
    pings.answer(1, 101.5)

    assert pings.outage(since=100.0, now=102.0, every=EVERY) == 0.0


def test_whoever_was_answered_lately_is_served() -> None:
    pings = pinged("xx")

    assert pings.served(103.0)
    assert not pings.served(103.2)


def test_a_stream_that_comes_back_in_pieces_survives() -> None:
    stream = Stream(now=10.0)
    sent = b""
    for _ in range(3):
        chunk = stream.more()
        stream.sent(len(chunk))
        sent += chunk

    for place in range(0, len(sent), 50):
        stream.receive(sent[place : place + 50], now=11.0)

    assert stream.survives(12.0)
    assert not stream.survives(15.0)
    assert stream.pause(12.5) == pytest.approx(1.5)
    stream.mark()
    assert stream.pause(11.2) == pytest.approx(0.2)


def test_a_chunk_that_was_taken_in_part_is_finished_first() -> None:
    stream = Stream(now=10.0)
    whole = stream.more()
    stream.sent(100)

    assert stream.more() == whole[100:]
    assert len(whole) == CHUNK


def test_other_octets_than_were_sent_end_a_stream() -> None:
    stream = Stream(now=10.0)
    stream.sent(len(stream.more()))
    stream.receive(b"\xff" * CHUNK, now=10.1)

    assert "something else came back" in stream.failure
    assert not stream.survives(10.2)
    assert stream.more() == b""


def test_a_closed_connection_is_no_stream() -> None:
    stream = Stream(now=10.0)
    stream.receive(b"", now=10.1)

    assert stream.failure
    assert not stream.survives(10.2)


def test_what_nobody_reads_is_not_sent_without_end() -> None:
    stream = Stream(now=10.0)
    taken = 0
    while chunk := stream.more():
        stream.sent(len(chunk))
        taken += 1
        assert taken < 1000
    assert taken > 1
