"""Silent peers are asked by the system, at the shorter of the two intervals."""

import socket

import pytest

from netconf_server import Limits
from netconf_server.keepalive import keep_alive


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
