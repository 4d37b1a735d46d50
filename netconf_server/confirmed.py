"""Commits that wait for their confirmation (RFC 6241 8.4, capability :confirmed-commit:1.1).

What is to come back is kept here and, where running outlasts a restart, in a file beside it: a process that
ends in between starts with the configuration from before (8.4.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

import structlog
from lxml import etree

from netconf_server.persist import remove_file, write_config
from rui.netconf.errors import RpcError

log = structlog.get_logger(__name__)

DEFAULT_TIMEOUT: Final = 600.0
"""Seconds to confirm in, where the client names none."""


class ConfirmEvent(StrEnum):
    """What happens to a confirmed commit, in the words of RFC 6470 2.2."""

    START = "start"
    CANCEL = "cancel"
    TIMEOUT = "timeout"
    EXTEND = "extend"
    COMPLETE = "complete"


@dataclass(frozen=True)
class Confirmation:
    """How a confirmed commit waits: for `timeout` seconds; `persist` lets it outlast the session."""

    timeout: float = DEFAULT_TIMEOUT
    persist: str | None = None


@dataclass(frozen=True)
class ConfirmChange:
    """A step of a confirmed commit: by which session (None: by the server), seconds left if it goes on."""

    event: ConfirmEvent
    session: int | None
    timeout: float | None = None


OnConfirm: TypeAlias = Callable[[ConfirmChange], None]


@dataclass
class _Pending:
    before: etree._Element
    session: int | None
    persist: str | None
    timer: asyncio.TimerHandle


class ConfirmedCommit:
    """The one commit of a server that may be waiting.

    `file` is where the configuration before it is kept meanwhile, None for nowhere; `restore` makes a tree
    running again when the time is over or the session is gone.
    """

    def __init__(
        self, file: Path | None, restore: Callable[[etree._Element, ConfirmChange], Awaitable[None]]
    ) -> None:
        self._file = file
        self._restore = restore
        self._pending: _Pending | None = None
        self._listeners: list[OnConfirm] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> bool:
        """Whether a commit waits."""
        return self._pending is not None

    @property
    def session(self) -> int | None:
        """Whose commit waits; None when none does or its session is gone."""
        return None if self._pending is None else self._pending.session

    def on_change(self, listener: OnConfirm) -> None:
        """Have `listener` told of every step."""
        self._listeners.append(listener)

    def check(self, session: int | None, persist_id: str | None) -> None:
        """Refuse who may neither confirm, extend nor cancel what waits (8.4.1). Raises RpcError."""
        pending = self._pending
        if pending is None or pending.persist is None:
            if persist_id is not None:
                message = f"persist-id {persist_id[:40]!r} names no commit that waits for its confirmation"
                raise RpcError.invalid_value(message)
            if pending is not None and pending.session != session:
                raise RpcError.in_use(
                    f"a commit of session {pending.session} waits for its confirmation; wait until it is over"
                )
        elif persist_id is None:
            raise RpcError.in_use("a persistent commit waits for its confirmation; give its persist-id")
        elif persist_id != pending.persist:
            raise RpcError.invalid_value(
                "the persist-id is not that of the commit that waits; give the persist of the last one"
            )

    async def prepare(self, running: etree._Element) -> None:
        """Keep `running` on disk, to come back to; nothing to do while a commit waits. Raises OSError."""
        if self._pending is None and self._file is not None:
            await asyncio.to_thread(write_config, self._file, running)

    async def abandon(self) -> None:
        """Undo `prepare`: the commit did not come about. Raises OSError."""
        if self._pending is None:
            await self._forget_file()

    def wait(self, before: etree._Element, confirmation: Confirmation, session: int | None) -> None:
        """Begin to wait, or go on with a new timeout; `before` is what was running before the first one."""
        event = ConfirmEvent.START if self._pending is None else ConfirmEvent.EXTEND
        if self._pending is not None:
            self._pending.timer.cancel()
            before = self._pending.before
        change = ConfirmChange(ConfirmEvent.TIMEOUT, None)
        timer = asyncio.get_running_loop().call_later(confirmation.timeout, self._give_back, change)
        self._pending = _Pending(before, session, confirmation.persist, timer)
        self._tell(ConfirmChange(event, session, confirmation.timeout))

    async def complete(self, session: int | None) -> None:
        """Take the confirmation: nothing comes back any more. Raises OSError, and then it still waits."""
        if self._pending is not None:
            await self._forget_file()
            self._drop()
            self._tell(ConfirmChange(ConfirmEvent.COMPLETE, session))

    def cancelled(self) -> etree._Element:
        """What a cancel-commit has to bring back. Raises RpcError when nothing waits."""
        if self._pending is None:
            raise RpcError.operation_failed(
                "no commit waits for its confirmation; there is nothing to cancel"
            )
        return self._pending.before

    async def restored(self, change: ConfirmChange, *, forget: bool) -> None:
        """Take note that what was before is running again; `forget` when that is on disk. Raises OSError."""
        self._drop()
        self._tell(change)
        if forget:
            await self._forget_file()

    def holds(self, before: etree._Element) -> bool:
        """Whether the commit that would bring back `before` still waits."""
        return self._pending is not None and self._pending.before is before

    def session_ended(self, session: int) -> None:
        """Bring back what was before a session's commit, unless it persists (8.4.1)."""
        pending = self._pending
        if pending is None or pending.session != session:
            return
        if pending.persist is None:
            self._give_back(ConfirmChange(ConfirmEvent.CANCEL, session))
        else:
            pending.session = None

    async def close(self) -> None:
        """End with the server: what is being brought back is, and what persists comes back at the start."""
        if self._pending is not None:
            self._pending.timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- inside

    def _give_back(self, change: ConfirmChange) -> None:
        if self._pending is None:
            return
        self._pending.timer.cancel()
        task = asyncio.ensure_future(self._restore(self._pending.before, change))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _drop(self) -> None:
        if self._pending is not None:
            self._pending.timer.cancel()
            self._pending = None

    async def _forget_file(self) -> None:
        if self._file is not None:
            await asyncio.to_thread(remove_file, self._file)

    def _tell(self, change: ConfirmChange) -> None:
        log.info("confirmed-commit", step=str(change.event), session=change.session, timeout=change.timeout)
        for listener in self._listeners:
            listener(change)
