"""A process that the row ``bfd`` measures: many BFD sessions, or the bare timers and datagrams beneath them.

    python -m rui_cli.bench.bfdspeaker [timers-]router|[timers-]peer OWN-PORT OTHER-PORT SESSIONS INTERVAL-MS

Each line on standard input is answered by one JSON object, with the packets counted for the line ``packets``;
the end of the input ends the process. The sessions run over the loopback between one address of `router` and
one address of `peer` for each.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from random import Random

import structlog
from lxml import etree

from router.bfd import BfdConfig, BfdRole, BfdThread, SessionConfig
from rui.bfd.demux import Path
from rui.bfd.fsm import SessionOptions, StateChanged
from rui.bfd.packet import State
from rui_cli import logs

ROUTER = IPv4Address("127.81.0.1")
_PEERS = IPv4Address("127.82.0.0")
_MULTIPLIER = 3
_OCTETS = bytes(24)


@dataclass
class Count:
    """What has come about since the start."""

    up: int = 0
    falls: int = 0
    packets: int = 0


def peer(number: int) -> IPv4Address:
    """Return the address at the far end of a session; the first is 1."""
    return _PEERS + number


def sessions(role: str, port: int, count: int, milliseconds: int) -> tuple[SessionConfig, ...]:
    """Return all sessions of one end."""
    options = SessionOptions(milliseconds * 1000, milliseconds * 1000, _MULTIPLIER)
    made = []
    for number in range(1, count + 1):
        ends = (str(ROUTER), str(peer(number)))
        path = Path(*(ends if role == "router" else ends[::-1]))
        made.append(SessionConfig(f"s{number}", BfdRole.CORE, path, options, port=port))
    return tuple(made)


class Speaker:
    """All sessions of one end, on BFD's own thread as in a router."""

    def __init__(self, config: BfdConfig) -> None:
        self.count = Count()
        # Spreads packets; guards no secret
        self._thread = BfdThread(config, self._changed, rng=Random())  # noqa: S311
        self.start, self.close = self._thread.start, self._thread.close

    def now(self, *, packets: bool) -> Count:
        """Return the counts; to count the packets of both directions costs a look at all sessions."""
        if not packets:
            return self.count
        names = ("send-packet-count", "receive-packet-count")
        leaves = [leaf for leaf in self._thread.read().iter() if isinstance(leaf.tag, str)]
        numbers = [int(leaf.text or 0) for leaf in leaves if etree.QName(leaf).localname in names]
        return Count(self.count.up, self.count.falls, sum(numbers))

    def _changed(self, _config: SessionConfig, change: StateChanged, _told: etree._Element) -> None:
        self.count.up += (change.state is State.UP) - (change.previous is State.UP)
        self.count.falls += change.previous is State.UP


class Timers:
    """As many timers, each of which sends a datagram and reads what has come; nothing is understood."""

    def __init__(self, own: tuple[str, int], others: Sequence[tuple[str, int]], interval: float) -> None:
        self._interval = interval
        self._others = others
        # Spreads packets; guards no secret
        self._rng = Random()  # noqa: S311
        self._packets = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(own)

    async def start(self) -> None:
        """Begin all of them, and to read."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._read)
        for other in self._others:
            loop.call_later(self._interval * self._rng.random(), self._send, other)

    async def close(self) -> None:
        """Stop to read; the loop ends with the process."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def now(self, *, packets: bool) -> Count:  # noqa: ARG002 - they cost nothing here
        """Return the counts."""
        return Count(up=len(self._others), packets=self._packets)

    def _send(self, other: tuple[str, int]) -> None:
        if self._socket.fileno() < 0:
            return
        self._packets += 1
        self._socket.sendto(_OCTETS, other)
        delay = self._interval * (0.75 + 0.25 * self._rng.random())
        asyncio.get_running_loop().call_later(delay, self._send, other)

    def _read(self) -> None:
        self._packets += len(self._socket.recv(256)) > 0


async def main(role: str, own: int, other: int, count: int, milliseconds: int) -> None:
    """Run until standard input ends."""
    made: Speaker | Timers
    kind, end = ("timers", role.removeprefix("timers-")) if role.startswith("timers-") else ("bfd", role)
    # One socket hears for all addresses of the far ends
    address = str(ROUTER) if end == "router" else "0.0.0.0"  # noqa: S104 - all that comes is from here
    if kind == "timers":
        ends = [peer(number) for number in range(1, count + 1)] if end == "router" else [ROUTER] * count
        made = Timers((address, own), [(str(where), other) for where in ends], milliseconds / 1000)
    else:
        made = Speaker(BfdConfig(sessions(end, other, count, milliseconds), (address,), own))
    await made.start()
    while line := await asyncio.to_thread(sys.stdin.readline):
        found = made.now(packets=line.strip() == "packets")
        sys.stdout.write(json.dumps(asdict(found)) + "\n")
        sys.stdout.flush()
    await made.close()


if __name__ == "__main__":
    logs.configure(quiet=True)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
