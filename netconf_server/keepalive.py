"""The system's own look after silent peers: it asks their systems, which costs this process nothing."""

from __future__ import annotations

import socket
from asyncio.trsock import TransportSocket

from netconf_server.limits import Limits


def keep_alive(sock: socket.socket | TransportSocket, limits: Limits) -> None:
    """Have the system end a connection whose other end is gone (TCP keepalive), as soon as either limit says.

    It finds hosts that are gone; programs that hang are asked over SSH, while TLS has no messages for that.
    """
    intervals = [value for value in (limits.probe_interval, limits.keepalive_interval) if value > 0]
    if not intervals:
        return
    seconds = max(1, round(min(intervals)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", seconds),
        ("TCP_KEEPINTVL", seconds),
        ("TCP_KEEPCNT", limits.keepalive_count),
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
