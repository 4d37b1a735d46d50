"""Row ``takeover``: from a router's becoming primary until its kernel forwards for all its users."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from rui_cli.bench.child import child
from rui_cli.bench.inside import inside
from rui_cli.bench.machine import Meter
from rui_cli.bench.planechild import ACCESS, GATEWAY, POOL, address
from rui_cli.errors import CliError, ExitCode
from rui_cli.lab.namespaces import Link, Namespaces
from rui_cli.lab.requirements import find

_SAMPLE = 1000
_WITHIN = 30.0
_SERVER, _ROUTER = "10.9.0.9", "10.9.0.1"
_DISCARD = 9
_ALL_PROTOCOLS, _IPV4 = 0x0003, b"\x08\x00"
_SO_RCVBUFFORCE = 33
_BUFFER = 64 << 20
_BURST = 64


async def measure(users: int, *, keep: bool = False) -> tuple[dict[str, float], float]:  # noqa: ARG001
    """Load so many users, become primary, and see packets of a server arrive on the access link.

    ``forwarded_ms`` counts from the order to become primary until a packet has come through to each of 1,000
    users drawn at random; ``reached_percent`` is who of all users then gets a packet that is sent to him
    once. Returns the figures, and others' cores.
    """
    with _town("take") as spaces, _sockets(spaces) as (sending, hearing):
        async with child("rui_cli.bench.planechild", (), prefix=spaces.command("router", ())) as plane:
            meter = Meter({"router": plane.pid})
            load = await plane.ask(f"load {users}")
            # Not the same users' numbers in each run; guards no secret
            sample = {address(number).packed for number in random.sample(range(users), min(users, _SAMPLE))}
            begun = time.monotonic()
            reaching = asyncio.create_task(asyncio.to_thread(_until_reached, sending, hearing, sample))
            primary = await plane.ask("primary")
            last = await reaching
            everybody = [address(number).packed for number in range(users)]
            reached = await asyncio.to_thread(_sweep, sending, hearing, everybody)
            usage = meter.read()
    figures = {
        "load_s": load["ms"] / 1e3,
        "primary_ms": primary["ms"],
        "forwarded_ms": (last - begun) * 1e3,
        "reached_percent": 100 * reached / users,
    }
    return figures, usage.others


async def beside(users: int) -> dict[str, float]:  # noqa: ARG001 - a script moves an interface, not users
    """Time a script that does what a change of role asks of the kernel: `ip -batch` and one `nft`."""
    with _town("script") as spaces:
        spaces.ip("router", "link", "add", "link", ACCESS, "name", "virtual", "type", "macvlan")
        ways = "".join(f"route replace {POOL} dev virtual table {table}\n" for table in ("main", "82"))
        batch = f"addr add {GATEWAY}/32 dev virtual\nlink set dev virtual up\n{ways}"
        rules = "table inet bench { set gate { type ifname; flags timeout; }; }\n"
        opening = 'add element inet bench gate { "virtual" timeout 2s }\n'
        ip, nft = ["ip", "-batch", "-"], [find("nft") or "nft", "-f", "-"]
        await _script(spaces, nft, rules)
        begun = time.monotonic()
        await _script(spaces, ip, batch)
        await _script(spaces, nft, opening)
        return {"script_ms": (time.monotonic() - begun) * 1e3}


async def _script(spaces: Namespaces, words: list[str], text: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *spaces.command("router", words), stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate(text.encode())
    if process.returncode:
        raise CliError(f"{words[0]} failed: {said.decode(errors='replace').strip()}")


@contextmanager
def _town(name: str) -> Iterator[Namespaces]:
    """A server, a router, and the access link behind it."""
    with Namespaces(f"{name}{os.getpid()}") as spaces:
        spaces.add("core", "access", "server", "router")
        spaces.bridge("core")
        spaces.bridge("access")
        spaces.plug(Link("server", "eth0", (f"{_SERVER}/24",)), "core")
        spaces.plug(Link("router", "eth0", (f"{_ROUTER}/24",)), "core")
        spaces.plug(Link("router", ACCESS), "access")
        spaces.ip("server", "route", "add", str(POOL), "via", _ROUTER)
        yield spaces


@contextmanager
def _sockets(spaces: Namespaces) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A socket of the server that sends, and one that hears what leaves the router on the access link."""

    def hear() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        made.bind(("p-router", 0))
        made.settimeout(0.2)
        return made

    sending = inside(spaces, "server", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    hearing = inside(spaces, "access", hear)
    with sending, hearing:
        yield sending, hearing


def _until_reached(sending: socket.socket, hearing: socket.socket, sample: Collection[bytes]) -> float:
    """Send to a sample of users, over and over, until each was reached; return when the last one was."""
    missing, end = set(sample), time.monotonic() + _WITHIN
    hearing.setblocking(False)
    while missing:
        if time.monotonic() > end:
            raise CliError(
                f"{len(missing)} of {len(sample)} users are not forwarded for after {_WITHIN:g} s",
                exit_code=ExitCode.CHECK_FAILED,
            )
        for number, user in enumerate(list(missing)):
            _send(sending, user)
            if number % _BURST == 0:
                missing -= _heard(hearing)
        missing -= _heard(hearing)
    return time.monotonic()


def _sweep(sending: socket.socket, hearing: socket.socket, everybody: Collection[bytes]) -> int:
    """Send to each user once; return how many of them something came through to."""
    hearing.setblocking(False)
    reached: set[bytes] = set()
    for number, user in enumerate(everybody):
        _send(sending, user)
        if number % _BURST == 0:
            reached |= _heard(hearing)
    # What waits on its way over veth needs no time of its own: sending ran through to the socket's queue
    end = time.monotonic() + 1.0
    while len(reached) < len(everybody) and time.monotonic() < end:
        reached |= _heard(hearing)
    return len(reached.intersection(everybody))


def _send(sending: socket.socket, user: bytes) -> None:
    # Until the router forwards, it says that the user is not reached
    with contextlib.suppress(OSError):
        sending.sendto(b"", (socket.inet_ntoa(user), _DISCARD))


def _heard(hearing: socket.socket) -> set[bytes]:
    """Return to whom the packets go that have come through."""
    found = set()
    try:
        while True:
            frame = hearing.recv(64)
            if frame[12:14] == _IPV4:
                found.add(frame[30:34])
    except BlockingIOError:
        return found
