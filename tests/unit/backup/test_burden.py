from __future__ import annotations

from rui.backup.burden import BULK, LINGER, Burden


def test_a_large_message_burdens_the_session_for_a_while() -> None:
    burden = Burden()
    assert not burden.heavy(0.0)
    burden.carries(BULK, 10.0)
    assert burden.heavy(10.0)
    assert burden.heavy(10.0 + LINGER - 0.01)
    assert not burden.heavy(10.0 + LINGER)


def test_small_messages_are_no_burden_however_many() -> None:
    burden = Burden()
    for step in range(1000):
        burden.carries(BULK - 1, step / 1000)
    assert not burden.heavy(1.0)
