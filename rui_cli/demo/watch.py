"""Looks at running devices from outside, as an operator does: over NETCONF and through their logs."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from netconf_client import ClientSession, NetconfClientError, Target, connect
from rui.backup.version import Version
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui_cli.tables import Holding, ask_holding

IDENTITY = "urn:rui-cloud:yang:identity"
_PERIOD = 0.25
_PATIENCE = 5.0
_EVENTS_KEPT = 200
_QUIET = frozenset({"event", "level", "timestamp", "exception"})


@dataclass
class View:
    """What is known of one device just now; `holding` is the last that it said, also while it is down."""

    name: str
    up: bool = False
    role: str = ""
    holding: Holding | None = None

    @property
    def cursor(self) -> Version:
        """The version up to which it holds everything."""
        return self.holding.cursor if self.holding is not None else Version.parse("")


@dataclass(frozen=True)
class Event:
    """One line of a device's log."""

    device: str
    level: str
    text: str


class LogTail:
    """Reads what was added to a log file since the last time; lines that are no JSON are passed over."""

    def __init__(self, device: str, path: Path) -> None:
        self._device = device
        self._path = path
        self._offset = 0

    def read(self) -> Iterator[Event]:
        """Yield the events of the whole lines that are new."""
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            log.seek(self._offset)
            added = log.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                fields = json.loads(line)
                if isinstance(fields, dict) and "event" in fields:
                    yield Event(self._device, str(fields.get("level", "info")), _describe(fields))


def _describe(fields: dict[str, object]) -> str:
    facts = " ".join(f"{key}={value}" for key, value in fields.items() if key not in _QUIET)
    return f"{fields['event']} {facts}".rstrip()


class Watcher:
    """Keeps a view of each device, asked several times a second over a NETCONF session of its own.

    Used as an async context manager; `until` waits for something to become true of the views.
    """

    def __init__(self, group: str, targets: dict[str, Target], logs: dict[str, Path]) -> None:
        self.views = {name: View(name) for name in targets}
        self.events: deque[Event] = deque(maxlen=_EVENTS_KEPT)
        self._group = group
        self._targets = targets
        self._tails = [LogTail(name, path) for name, path in logs.items()]
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    async def until(self, holds: Callable[[], bool], within: float, what: str) -> None:
        """Wait until `holds()`; after `within` seconds raises a TimeoutError that names `what`."""
        try:
            async with asyncio.timeout(within), self._changed:
                await self._changed.wait_for(holds)
        except TimeoutError:
            raise TimeoutError(f"{what}: not within {within:g} s") from None

    async def __aenter__(self) -> "Watcher":
        self._tasks = [asyncio.create_task(self._watch(name)) for name in self._targets]
        self._tasks.append(asyncio.create_task(self._follow_logs()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, name: str) -> None:
        while True:
            with contextlib.suppress(NetconfClientError, RpcError, OSError):
                session = await connect(self._targets[name], timeout=_PATIENCE)
                try:
                    await self._ask(self.views[name], session)
                finally:
                    await session.close()
            await self._update(self.views[name], up=False)
            await asyncio.sleep(_PERIOD)

    async def _ask(self, view: View, session: ClientSession) -> None:
        while True:
            view.role = await self._role(session) or view.role
            view.holding = await ask_holding(session, self._group)
            await self._update(view, up=True)
            await asyncio.sleep(_PERIOD)

    async def _role(self, session: ClientSession) -> str:
        """Return the device's own role in the group; empty at the cloud device, which has none."""
        top = etree.Element(f"{{{IDENTITY}}}identity", nsmap=names.nsmap(IDENTITY))
        group = etree.SubElement(top, f"{{{IDENTITY}}}group")
        etree.SubElement(group, f"{{{IDENTITY}}}group-id").text = self._group
        etree.SubElement(group, f"{{{IDENTITY}}}role")
        data = (await session.get(top, timeout=_PATIENCE)).data
        return data.findtext(f".//{{{IDENTITY}}}group/{{{IDENTITY}}}role") or ""

    async def _update(self, view: View, *, up: bool) -> None:
        async with self._changed:
            view.up = up
            self._changed.notify_all()

    async def _follow_logs(self) -> None:
        while True:
            for tail in self._tails:
                self.events.extend(tail.read())
            await asyncio.sleep(_PERIOD)
