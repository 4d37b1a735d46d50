"""Another member of a group, as one group's failover knows it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Protocol

from lxml import etree

from netconf_client import ClientSession
from rui.backup.decision import Path
from rui.backup.failover import Decider, Informant
from rui.backup.links import Link
from rui.netconf.messages import Body


class Caller(Protocol):
    """The peer's session with this end's server, subscribed to the stream of the channel."""

    @property
    def id(self) -> int:
        """The session-id."""

    def notify(self, content: etree._Element | list[bytes]) -> None:
        """Send one notification."""

    def close(self, reason: str) -> None:
        """End the session; the peer dials a new one."""


class Dialled(Protocol):
    """The channel that this end dials; :class:`router.rbs.channel.Channel` is one."""

    links: list[Link]
    session: ClientSession | None

    async def rpc(self, operation: Body, within: float = ...) -> etree._Element:
        """Send an operation to the peer; return the rpc-reply."""

    def give_up(self, reason: str) -> None:
        """End the session; a new one is dialled."""


@dataclass
class Peer:
    """Another member of the group and what stands between the two."""

    name: str
    link: Link
    channel: Dialled
    decider: Decider | None = None
    informant: Informant | None = None
    caller: Caller | None = None
    told_path: Path = Path.CLOUD
    """What the initiator last said, where this end is not the initiator."""
    dialled: bool = False
    """Whether the session that this end dials was open when it was looked at last."""
    polled_at: float = 0.0
    alone_since: float = 0.0
    """Since when the end that waits for a call has none, or has dialled by itself."""
    volunteers: bool = False
    """Whether this end, a secondary, initiates though configured not to: nobody called it."""
    overruled: bool = False
    """Whether this end, a secondary, was to initiate, but the primary does: the primary's setting counts."""

    @property
    def path(self) -> Path:
        """The path in use, as this end knows it."""
        return self.decider.path if self.decider else self.told_path

    @property
    def local(self) -> bool:
        """Whether local backup with this peer is active."""
        return self.decider.local if self.decider else self.told_path.local

    def give_up(self, reason: str) -> None:
        """End the session with this peer; whoever dialled it dials again."""
        if self.decider is not None:
            self.channel.give_up(reason)
        elif self.caller is not None:
            self.caller.close(reason)


class Tasks:
    """What is under way on a group's behalf; each ends by itself, or with :meth:`close`."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run ``work`` beside the loop's other work; what it starts with runs in the order of the calls."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
