"""Delays the frames of a link where there is no netem: `python -m rui_cli.lab.delay PORT TAP MILLISECONDS`.

It takes a bridge's port off the bridge, puts a tap in its place, and carries frames between the two. Each
frame goes with the kernel's note on what is left undone (checksum, segmentation): nothing has to be computed.
When it ends, the tap is gone, and whoever started it puts the port back.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence

from rui_cli.lab.namespaces import BRIDGE

READY = "carrying"
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 263, 1, 15, 23
_PACKET_MR_PROMISC = 1
_ETH_P_ALL = 3
_LARGEST = 65536 + 64
_MOST_UNDER_WAY = 10_000
_FRAMES_A_TURN = 64
_LONGEST_WAIT = 1.0


class Lane:
    """One direction: what came in waits for its time; beyond a bound it is lost, as in a full queue."""

    def __init__(self, source: int, target: int, seconds: float) -> None:
        self.source = source
        self._target = target
        self._seconds = seconds
        self._waiting: deque[tuple[float, bytes]] = deque()

    def take(self, now: float) -> None:
        """Read what is there."""
        for _ in range(_FRAMES_A_TURN):
            try:
                frame = os.read(self.source, _LARGEST)
            except OSError:
                return
            if len(self._waiting) < _MOST_UNDER_WAY:
                self._waiting.append((now + self._seconds, frame))

    def give(self, now: float) -> float:
        """Pass on what is due; return how many seconds from now the next one is."""
        while self._waiting:
            due, frame = self._waiting[0]
            if due > now:
                return due - now
            self._waiting.popleft()
            try:
                os.write(self._target, frame)
            except OSError:
                continue  # a link that is down, or a frame that it does not take
        return _LONGEST_WAIT


def open_port(name: str) -> socket.socket:
    """Return a socket for all frames that come in by an interface. Raises OSError."""
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    port.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    port.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    port.bind((name, _ETH_P_ALL))
    every_address = struct.pack("@iHH8s", socket.if_nametoindex(name), _PACKET_MR_PROMISC, 0, b"")
    port.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, every_address)
    port.setblocking(False)
    return port


def open_tap(name: str) -> int:
    """Make a tap that lives as long as its descriptor. Raises OSError."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    return tap


def carry(lanes: Sequence[Lane]) -> None:
    """Carry frames until the process is ended."""
    selector = selectors.DefaultSelector()
    for lane in lanes:
        selector.register(lane.source, selectors.EVENT_READ, lane)
    wait = _LONGEST_WAIT
    while True:
        for key, _ in selector.select(wait):
            key.data.take(time.monotonic())
        now = time.monotonic()
        wait = min(lane.give(now) for lane in lanes)


def _ip(*words: str) -> None:
    subprocess.run(["ip", "link", "set", *words], check=True)  # noqa: S603, S607 - the lab's own command


def main(port_name: str, tap_name: str, milliseconds: str) -> None:
    """Take the port's place on the bridge, say so, and carry."""
    tap, port, seconds = open_tap(tap_name), open_port(port_name), float(milliseconds) / 1000
    _ip(port_name, "nomaster")
    _ip(tap_name, "master", BRIDGE, "up")
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    carry([Lane(port.fileno(), tap, seconds), Lane(tap, port.fileno(), seconds)])


if __name__ == "__main__":
    main(*sys.argv[1:])
