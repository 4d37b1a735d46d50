"""Silent peers are asked by the system, at the shorter of the two intervals, and over SSH when they have been
silent for as long as they may.
"""

import asyncio
import socket
from typing import cast

import asyncssh
import pytest

from netconf_server import Limits
from netconf_server.keepalive import ask_when_silent, keep_alive


@pytest.mark.parametrize(
    ("probe", "ask", "seconds"), [(15.0, 60.0, 15), (15.0, 0.3, 1), (0.0, 7.0, 7), (0.0, 0.0, None)]
)
def test_the_system_asks_at_the_shorter_interval(probe: float, ask: float, seconds: int | None) -> None:
    with socket.socket() as sock:
        keep_alive(sock, Limits(probe_interval=probe, keepalive_interval=ask, keepalive_count=4))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == (seconds is not None)
        if seconds is not None:
            names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            assert [sock.getsockopt(socket.IPPROTO_TCP, name) for name in names] == [seconds, seconds, 4]


class _Connection:
    """asyncssh's keepalive as it is: every packet sets the timer up anew, whose end asks the peer."""

    def __init__(self, interval: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._interval = interval
        self._keepalive_timer: asyncio.TimerHandle | None = None
        self.timers = 0
        self.asked = asyncio.Event()

    def _reset_keepalive_timer(self) -> None:
        if self._keepalive_timer is not None:
            self._keepalive_timer.cancel()
        self._set_keepalive_timer()

    def _set_keepalive_timer(self) -> None:
        self.timers += 1
        self._keepalive_timer = self._loop.call_later(self._interval, self._keepalive_timer_callback)

    def _keepalive_timer_callback(self) -> None:
        self.asked.set()
        self._set_keepalive_timer()

    def packet(self) -> None:
        self._reset_keepalive_timer()


async def test_a_peer_is_asked_when_it_is_silent_and_its_packets_set_up_no_timer() -> None:
    interval = 0.05
    loop, connection = asyncio.get_running_loop(), _Connection(interval)
    ask_when_silent(cast("asyncssh.SSHServerConnection", connection), interval)
    begun = loop.time()
    while loop.time() < begun + 2 * interval:
        last = loop.time()
        connection.packet()
        await asyncio.sleep(0)
    # A busy machine may leave the peer silent for longer than that between two packets.
    assert connection.timers == 1 or connection.asked.is_set()
    connection.asked.clear()
    await connection.asked.wait()
    assert loop.time() >= last + interval
    connection.asked.clear()
    await connection.asked.wait()
    if connection._keepalive_timer is not None:
        connection._keepalive_timer.cancel()


def test_what_is_watched_is_still_there_in_asyncssh() -> None:
    for name in ("_reset_keepalive_timer", "_set_keepalive_timer", "_keepalive_timer_callback"):
        assert callable(getattr(asyncssh.SSHServerConnection, name))
