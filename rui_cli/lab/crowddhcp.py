"""The socket and the timer of a crowd's DHCP client."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address

from rui_cli.lab.crowdlogins import CLIENT_PORT, ETH_P_IP, Logins

_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_BUFFER = 8 << 20
_PACKETS_A_TURN = 64
_LARGEST = 65536
_HEADERS = 14 + 20 + 8
_INSTRUCTION = struct.Struct("=HBBI")
# Classic BPF: IPv4, UDP, to port 68. The pings of the crowd pass by the same interface
_FILTER = (
    (0x28, 0, 0, 12),
    (0x15, 0, 5, ETH_P_IP),
    (0x30, 0, 0, 23),
    (0x15, 0, 3, socket.IPPROTO_UDP),
    (0x28, 0, 0, 36),
    (0x15, 0, 1, CLIENT_PORT),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


class CrowdDhcp:
    """Make it inside the namespace of the interface, on a running loop. Raises OSError."""

    def __init__(self, interface: str, macs: Sequence[bytes], *, at_once: int) -> None:
        self._logins = Logins(macs, at_once)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setblocking(False)
        code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*one) for one in _FILTER))
        program = struct.pack("@HP", len(_FILTER), ctypes.addressof(code))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        # All protocols are seen before an interface on top of this one takes its frames away
        self._socket.bind((interface, _ETH_P_ALL))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)
        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Ask for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def login(self) -> None:
        """Have all ask for an address."""
        self._send(self._logins.login(self._loop.time()))

    def renew(self) -> None:
        """Have all renew."""
        self._send(self._logins.renew(self._loop.time()))

    def given(self) -> list[list[IPv4Address]]:
        """Return what each was given so far, oldest first."""
        return self._logins.given()

    def _readable(self) -> None:
        frames: list[bytes] = []
        for _ in range(_PACKETS_A_TURN):
            try:
                frame = self._socket.recv(_LARGEST)
            except OSError:
                break
            frames += self._logins.receive(frame[_HEADERS:], self._loop.time())
        self._send(frames)

    def _on_timer(self) -> None:
        self._timer = None
        self._send(self._logins.handle_timer(self._loop.time()))

    def _send(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            # A full queue, or a link that is down: it is asked again
            with contextlib.suppress(OSError):
                self._socket.send(frame)
        if self._timer is None and (due := self._logins.next_deadline()) is not None:
            self._timer = self._loop.call_at(due, self._on_timer)
