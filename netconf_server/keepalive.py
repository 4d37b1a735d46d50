"""Who asks silent peers whether they live: the system asks theirs, which costs this process nothing, and
SSH asks their programs.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio.trsock import TransportSocket

import asyncssh

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


def ask_when_silent(connection: asyncssh.SSHServerConnection, interval: float) -> None:
    """Have asyncssh look at the time that a peer was silent for when its keepalive timer ends, and not set up
    that timer anew with every packet, which for small ones is a good part of their cost.

    Call it before the login; `interval` is the connection's own, 0 when it does not ask. No public way
    exists (2.24).
    """
    if interval <= 0:
        return
    loop = asyncio.get_running_loop()
    start, ask = connection._reset_keepalive_timer, connection._keepalive_timer_callback
    heard = loop.time()

    def note() -> None:
        nonlocal heard
        heard = loop.time()
        if connection._keepalive_timer is None:
            start()

    def look() -> None:
        rest = heard + interval - loop.time()
        if rest > 0:
            connection._keepalive_timer = loop.call_later(rest, look)
        else:
            ask()

    connection._reset_keepalive_timer = note  # type: ignore[method-assign]
    connection._keepalive_timer_callback = look  # type: ignore[method-assign]
