"""A frame that is repeated on a thread of its own."""

from __future__ import annotations

import queue

from router.vrrp.claim import Claimer


def test_it_claims_until_it_is_stopped() -> None:
    sent: queue.Queue[int] = queue.Queue()
    claimer = Claimer()
    claimer.start(60.0, lambda: sent.put(1))
    for _ in range(3):
        assert sent.get(timeout=10)
    claimer.stop()
    left = sent.qsize()
    claimer.stop()
    assert sent.qsize() == left


def test_it_ends_by_itself_and_may_begin_anew() -> None:
    sent: queue.Queue[str] = queue.Queue()
    claimer = Claimer()
    claimer.start(0.0, lambda: sent.put("too late"))
    claimer.start(60.0, lambda: sent.put("anew"))
    assert sent.get(timeout=10) == "anew"
    claimer.stop()


def test_a_link_that_is_down_costs_one_frame() -> None:
    tried: queue.Queue[int] = queue.Queue()

    def refuse() -> None:
        tried.put(1)
        raise OSError("no carrier")

    claimer = Claimer()
    claimer.start(60.0, refuse)
    assert tried.get(timeout=10) == tried.get(timeout=10) == 1
    claimer.stop()
