"""What row ``netconf`` asks of a server, the same of each: rates, notifications, sessions, a large edit."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from netconf_client import ClientSession, Target, connect
from rui.netconf.events import NotificationReceived
from rui_cli.bench.netconfpeers import Peer
from rui_cli.errors import CliError, ExitCode

INTERFACES = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
_TYPES = "urn:ietf:params:xml:ns:yang:iana-if-type"

# What a client has under way at once, requests and logins; our own client allows 64.
_PIPELINED = 32
_AT_ONCE = 8
# The configuration that is read at a rate.
_SMALL = 10
_OPEN_SECONDS = 60.0
_CLOSE_SECONDS = 30.0
_LARGE_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Load:
    """How much is asked for: entries of the large edit; seconds that a rate is taken; events, to one and to
    many subscribers; sessions that are opened and closed; sessions that stay, and for how many seconds.
    """

    entries: int
    seconds: float = 3.0
    events: int = 300
    subscribers: int = 100
    logins: int = 40
    idle: int = 1000
    idle_seconds: float = 20.0


Figures = dict[str, float]
Part = Callable[[Peer, Load, Figures], Awaitable[None]]
"""Measures a server under a load, and puts each figure down as soon as it is taken."""


def interfaces(numbers: range, description: str = "") -> bytes:
    """Return a configuration of interfaces, `eth0` and so on."""
    more = f"<description>{description}</description>" if description else ""
    items = "".join(
        f"<interface><name>eth{number}</name>{more}<type>ift:ethernetCsmacd</type></interface>"
        for number in numbers
    )
    return f'<interfaces xmlns="{INTERFACES}" xmlns:ift="{_TYPES}">{items}</interfaces>'.encode()


@contextlib.asynccontextmanager
async def _sessions(target: Target, count: int) -> AsyncIterator[list[ClientSession]]:
    """Open sessions, some at once, and close them all together: a server that hangs does so once."""
    sessions: list[ClientSession] = []
    numbers = iter(range(count))

    async def lane() -> None:
        for _ in numbers:
            sessions.append(await connect(target, timeout=_OPEN_SECONDS))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(lane())
        yield sessions
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await asyncio.gather(*(session.close() for session in sessions), return_exceptions=True)


async def rates(peer: Peer, load: Load, figures: Figures) -> None:
    """Requests a second, one after the other and several under way: get-config and edits of running."""
    async with _sessions(peer.target, 1) as (session,):
        await session.edit_config(interfaces(range(_SMALL)), target="running")
        numbers = iter(range(1 << 30))

        async def get() -> None:
            await session.get_config()

        async def edit() -> None:
            number = next(numbers)
            await session.edit_config(interfaces(range(1), f"change {number}"), target="running")

        for name, ask in (("get_config", get), ("edit_config", edit)):
            figures[f"{name}_serial_per_s"] = await _rate(ask, 1, load.seconds)
            figures[f"{name}_pipelined_per_s"] = await _rate(ask, _PIPELINED, load.seconds)


async def _rate(ask: Callable[[], Awaitable[None]], lanes: int, seconds: float) -> float:
    """Ask again and again on so many lanes; return how many were answered a second."""
    await ask()
    begun = time.monotonic()
    answered = 0

    async def lane() -> None:
        nonlocal answered
        while time.monotonic() - begun < seconds:
            await ask()
            answered += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(lanes):
            group.create_task(lane())
    return answered / (time.monotonic() - begun)


async def notifications(peer: Peer, load: Load, figures: Figures) -> None:
    """Notifications a second that arrive, to one and to many: each edit of running brings everybody one."""
    for count in (1, load.subscribers):
        arrivals = _Arrivals(load.events * count)
        async with _sessions(peer.target, count) as subscribers, _sessions(peer.target, 1) as (editor,):
            for session in subscribers:
                session.on_notification(arrivals.take)
                await session.create_subscription()
            begun = time.monotonic()
            await _edit_pipelined(editor, load.events)
            async with asyncio.timeout(_OPEN_SECONDS):
                await arrivals.complete.wait()
            figures[f"notifications_{count}_per_s"] = load.events * count / (time.monotonic() - begun)


class _Arrivals:
    """Counts configuration changes as they arrive, until all that are due have."""

    def __init__(self, due: int) -> None:
        self._due = due
        self.complete = asyncio.Event()

    def take(self, notification: NotificationReceived) -> None:
        """Count one; sessions that begin and end are told of as well."""
        if b"config-change" in notification.raw or b"ConfigChange" in notification.raw:
            self._due -= 1
            if self._due == 0:
                self.complete.set()


async def _edit_pipelined(session: ClientSession, count: int) -> None:
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            await session.edit_config(interfaces(range(1), f"change {number}"), target="running")

    async with asyncio.TaskGroup() as group:
        for _ in range(_PIPELINED):
            group.create_task(lane())


async def logins(peer: Peer, load: Load, figures: Figures) -> None:
    """Sessions a second, from the connection to the hellos, some at once; and what idle ones cost."""
    begun = time.monotonic()
    for _ in range(load.logins // _AT_ONCE):
        async with _sessions(peer.target, _AT_ONCE):
            pass
    figures["sessions_per_s"] = load.logins // _AT_ONCE * _AT_ONCE / (time.monotonic() - begun)
    before = peer.memory()
    async with _sessions(peer.target, load.idle):
        figures["idle_kb_per_session"] = (peer.memory() - before) / load.idle / 1e3
        used, begun = peer.seconds(), time.monotonic()
        await asyncio.sleep(load.idle_seconds)
        figures["idle_cpu_percent"] = (peer.seconds() - used) / (time.monotonic() - begun) * 100


async def large(peer: Peer, load: Load, figures: Figures) -> None:
    """Entries a second of one edit of running that brings them all, and of the get-config that shows them."""
    async with _sessions(peer.target, 1) as (session,):
        begun = time.monotonic()
        await session.edit_config(interfaces(range(load.entries)), target="running", timeout=_LARGE_SECONDS)
        figures["large_edit_entries_per_s"] = load.entries / (time.monotonic() - begun)
        begun = time.monotonic()
        reply = await session.get_config(timeout=_LARGE_SECONDS)
        figures["large_get_entries_per_s"] = load.entries / (time.monotonic() - begun)
        found = reply.raw.count(b"</interface>")
        if found != load.entries:
            message = f"get-config gave {found} of {load.entries} entries"
            raise CliError(message, exit_code=ExitCode.CHECK_FAILED)


PARTS: tuple[Part, ...] = (rates, notifications, logins, large)
"""Each is carried out at a server of its own."""
