"""Which session gets a packet, and when which one is due."""

from __future__ import annotations

from random import Random

import pytest

from rui.bfd.demux import Path, Sessions
from rui.bfd.fsm import Session, SessionOptions, Transmit
from rui.bfd.packet import ControlPacket, Discard, State

PATH = Path("192.0.2.1", "192.0.2.2")
HELLO = ControlPacket(
    State.DOWN, multiplier=3, my_discriminator=7, your_discriminator=0, desired_min_tx=0, required_min_rx=1
)


def sessions(*paths: Path) -> tuple[Sessions, list[Session]]:
    table = Sessions(Random(3))
    made = [Session(SessionOptions(), table.discriminator(), Random(4), 0.0) for _ in paths]
    for session, path in zip(made, paths, strict=True):
        table.add(session, path)
    return table, made


def test_a_first_packet_is_found_by_its_addresses() -> None:
    table, (one, other) = sessions(PATH, Path("192.0.2.1", "192.0.2.3"))
    assert table.receive(HELLO.encode(), 255, PATH, 0.0) is one
    assert (one.state, other.state) == (State.INIT, State.DOWN)


def test_a_session_of_an_interface_takes_only_what_came_by_it() -> None:
    table, (one, other) = sessions(Path("fe80::1", "fe80::2", "eth0"), Path("fe80::1", "fe80::2", "eth1"))
    assert table.receive(HELLO.encode(), 255, Path("fe80::1", "fe80::2", "eth1"), 0.0) is other
    assert one.state is State.DOWN
    wrong = HELLO._replace(state=State.INIT, your_discriminator=one.discriminator)
    assert table.receive(wrong.encode(), 255, Path("fe80::1", "fe80::2", "eth1"), 0.0) is None
    assert table.discarded[Discard.UNKNOWN_DISCRIMINATOR] == 1


def test_a_session_of_any_interface_takes_what_came_by_one() -> None:
    table, (one,) = sessions(PATH)
    assert table.receive(HELLO.encode(), 255, Path("192.0.2.1", "192.0.2.2", "eth0"), 0.0) is one


def test_a_later_packet_is_found_by_our_discriminator() -> None:
    table, (one,) = sessions(PATH)
    packet = HELLO._replace(state=State.INIT, your_discriminator=one.discriminator)
    assert table.receive(packet.encode(), 255, PATH, 0.0) is one
    assert one.state is State.UP


def test_our_discriminator_from_a_stranger_is_not_believed() -> None:
    table, (one,) = sessions(PATH)
    packet = HELLO._replace(state=State.INIT, your_discriminator=one.discriminator)
    assert table.receive(packet.encode(), 255, Path("192.0.2.1", "192.0.2.66"), 0.0) is None
    assert one.state is State.DOWN


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello", Discard.LENGTH),
        (HELLO._replace(your_discriminator=99).encode(), Discard.UNKNOWN_DISCRIMINATOR),
        (HELLO.encode(), Discard.UNKNOWN_SESSION),
    ],
)
def test_what_is_no_sessions_is_counted(data: bytes, reason: Discard) -> None:
    table, _ = sessions(PATH)
    assert table.receive(data, 255, Path("192.0.2.1", "192.0.2.66"), 0.0) is None
    assert table.discarded == {reason: 1}


def test_a_packet_that_its_session_refuses_comes_to_nobody() -> None:
    table, (one,) = sessions(PATH)
    assert table.receive(HELLO.encode(), 64, PATH, 0.0) is None
    assert one.discarded[Discard.TTL] == 1


def test_a_path_is_taken_once() -> None:
    table, _ = sessions(PATH)
    with pytest.raises(ValueError, match=r"from 192\.0\.2\.1 to 192\.0\.2\.2"):
        table.add(Session(SessionOptions(), 5, Random(1), 0.0), PATH)


def test_every_session_is_asked_when_it_is_due() -> None:
    paths = [Path("192.0.2.1", f"198.51.100.{number}") for number in range(20)]
    table, made = sessions(*paths)
    now = 0.0
    while now < 30:
        now = table.next_deadline()
        asked = table.handle_timer(now)
        assert asked
        assert all(session.next_deadline() > now for session in made)
        for session in asked:
            assert all(isinstance(output, Transmit) for output in session.outputs())
    assert all(30 <= session.sent <= 41 for session in made)


def test_a_removed_session_is_neither_found_nor_asked() -> None:
    table, (one,) = sessions(PATH)
    table.remove(one)
    assert len(table) == 0
    assert table.handle_timer(5.0) == []
    assert table.receive(HELLO.encode(), 255, PATH, 5.0) is None
    table.add(one, PATH)
    assert list(table) == [one]


def test_what_is_noted_of_deadlines_stays_bounded() -> None:
    table, (one,) = sessions(PATH)
    packet = HELLO._replace(state=State.INIT, your_discriminator=one.discriminator, desired_min_tx=10_000)
    for step in range(5000):
        table.receive(packet.encode(), 255, PATH, step * 0.01)
        table.handle_timer(step * 0.01)
        one.outputs()
    assert len(table._due) < 100
