"""The process that pings and streams from every subscriber's place: `python -m rui_cli.lab.probe`.

It reads one JSON object a line from standard input and answers each by one on standard output; it ends with
its input. All of it is one thread: a socket belongs to the network namespace that its maker was in.

=========  ===================================================  ==================================
``do``     further members                                      answer
=========  ===================================================  ==================================
join       server, port, every, size, seats: list of name,      ``{}``
           namespace (a file), device, address
mark                                                            at: seconds since 1970
report                                                          ``seats``: see Seat.report
=========  ===================================================  ==================================
"""

from __future__ import annotations

import errno
import json
import os
import resource
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypedDict

from rui_cli.lab.measured import Pings, Stream
from rui_cli.lab.namespaces import enter_namespace

_ECHO = struct.Struct("!BBHHHQ")
_ECHO_REQUEST = 8
_STREAM_EVERY = 5
"""A chunk is streamed with every so many pings."""
_SO_BINDTODEVICE = 25
_WIDEST = 65536
_LONGEST_WAIT = 0.1
_UNREACHED = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENOBUFS, errno.EAGAIN}


class SeatReport(TypedDict):
    """What one subscriber felt since the mark; milliseconds."""

    name: str
    outage_ms: float
    served: bool
    stream: bool
    stream_pause_ms: float
    failure: str


class Seat:
    """The sockets of one subscriber. Raises OSError where its place is not there."""

    def __init__(self, place: dict[str, str], server: str, port: int, size: int) -> None:
        self.name = place["name"]
        device, address = place["device"].encode() + b"\0", place["address"]
        self.ping = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
        self.connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for sock in (self.ping, self.connection):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, device)
            sock.bind((address, 0))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ping.connect((server, 0))
        self._far_end = (server, port)
        self._streaming = False
        self.pings = Pings(size)
        self.stream = Stream(time.time())

    def send(self) -> None:
        """Send the next ping, and now and then a chunk of the stream."""
        number = self.pings.send(time.time())
        try:
            self.ping.send(_ECHO.pack(_ECHO_REQUEST, 0, 0, 0, number & 0xFFFF, number))
        except OSError as error:
            if error.errno not in _UNREACHED:
                raise
        if self._streaming and number % _STREAM_EVERY == 0 and (chunk := self.stream.more()):
            try:
                self.stream.sent(self.connection.send(chunk))
            except BlockingIOError:
                pass
            except OSError as error:
                self.stream.failure = error.strerror or str(error)

    def pinged(self) -> bool:
        """Read an answer; return whether it was the first one, and the stream has begun with it.

        Before that there may be no way to the server yet, and who is refused once does not try again.
        """
        try:
            data = self.ping.recv(_WIDEST)
        except OSError:
            return False  # an error that ICMP has reported: that ping is not answered
        if len(data) != _ECHO.size:
            return False
        self.pings.answer(_ECHO.unpack(data)[-1], time.time())
        begins, self._streaming = not self._streaming, True
        if begins:
            self.connection.connect_ex(self._far_end)
        return begins

    def streamed(self) -> bool:
        """Read what came back; return whether there is more to come."""
        try:
            self.stream.receive(self.connection.recv(_WIDEST), time.time())
        except BlockingIOError:
            return True
        except OSError as error:
            self.stream.failure = error.strerror or str(error)
        return not self.stream.failure

    def report(self, since: float, now: float, every: float) -> SeatReport:
        """Return what was felt from ``since`` on."""
        return {
            "name": self.name,
            "outage_ms": round(self.pings.outage(since, now, every) * 1000, 1),
            "served": self.pings.served(now),
            "stream": self.stream.survives(now),
            "stream_pause_ms": round(self.stream.pause(now) * 1000, 1),
            "failure": self.stream.failure,
        }


class Probe:
    """All seats, spread evenly over the time between two pings."""

    def __init__(self) -> None:
        self._seats: list[Seat] = []
        self._every = 1.0
        self._marked = time.time()
        self._selector = selectors.DefaultSelector()
        self._ended = False
        self._typed = b""

    def run(self) -> None:
        """Work until standard input ends."""
        os.set_blocking(0, False)
        self._selector.register(0, selectors.EVENT_READ, self._commands)
        due, turn = time.monotonic(), 0
        while not self._ended:
            now = time.monotonic()
            if self._seats:
                step = self._every / len(self._seats)
                # After a long sleep the pings that would have been sent are left out
                due = max(due, now - self._every)
                while due <= now:
                    self._seats[turn % len(self._seats)].send()
                    turn += 1
                    due += step
            else:
                due = now + _LONGEST_WAIT
            for key, _ in self._selector.select(max(0.0, min(due - now, _LONGEST_WAIT))):
                key.data()

    def _commands(self) -> None:
        data = os.read(0, _WIDEST)
        self._ended = not data
        *lines, self._typed = (self._typed + data).split(b"\n")
        for line in lines:
            sys.stdout.write(json.dumps(self._do(json.loads(line))) + "\n")
            sys.stdout.flush()

    def _do(self, asked: dict[str, object]) -> dict[str, object]:
        now = time.time()
        if asked["do"] == "mark":
            self._marked = now
            for seat in self._seats:
                seat.stream.mark()
            return {"at": now}
        if asked["do"] == "report":
            return {"seats": [seat.report(self._marked, now, self._every) for seat in self._seats]}
        self._join(asked)
        return {}

    def _join(self, asked: dict[str, object]) -> None:
        seats, every, server, port = asked["seats"], asked["every"], asked["server"], asked["port"]
        size = asked["size"]
        if not (
            isinstance(seats, list)
            and isinstance(every, float)
            and isinstance(server, str)
            and isinstance(port, int)
            and isinstance(size, int)
        ):
            raise TypeError("join wants a list of seats, a pause, a server and its port, and a size")
        self._every = every
        before = ""
        for place in seats:
            if place["namespace"] != before:
                before = place["namespace"]
                enter_namespace(before)
            seat = Seat(place, server, port, size)
            self._seats.append(seat)
            self._selector.register(seat.ping, selectors.EVENT_READ, self._pinger(seat))

    def _pinger(self, seat: Seat) -> Callable[[], None]:
        def read() -> None:
            if seat.pinged():
                self._selector.register(seat.connection, selectors.EVENT_READ, self._reader(seat))

        return read

    def _reader(self, seat: Seat) -> Callable[[], None]:
        def read() -> None:
            if not seat.streamed():
                self._selector.unregister(seat.connection)

        return read


def _raise_limit() -> None:
    """Allow two sockets for each of many subscribers."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(_words: Sequence[str]) -> None:
    """Run the process."""
    _raise_limit()
    Probe().run()


if __name__ == "__main__":
    main(sys.argv[1:])
