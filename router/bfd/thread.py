"""BFD on a thread of its own: a loop that is busy with a thousand logins must not look like a broken path."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterable
from random import Random
from typing import TypeVar

from lxml import etree

from router.bfd.config import BfdConfig, SessionConfig
from router.bfd.endpoint import BfdEndpoint
from router.bfd.operational import BfdTree, change_notification
from rui.bfd.fsm import StateChanged

_LONGEST_WAIT = 5.0
_SWITCH = 0.0005
"""After so many seconds a busy thread lets this one have the interpreter, each time that it asks for it."""
_T = TypeVar("_T")

OnChange = Callable[[SessionConfig, StateChanged, etree._Element], None]
"""Told of every change of a session's state with its notification, in the loop that started the thread."""


class BfdThread:
    """A :class:`BfdEndpoint` and its loop. Make it inside the loop that is to be told of changes."""

    def __init__(self, config: BfdConfig, on_change: OnChange, *, rng: Random) -> None:
        """``rng`` belongs to the thread from now on."""
        self._config = config
        self._on_change = on_change
        self._rng = rng
        self._home = asyncio.get_running_loop()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="bfd", daemon=True)
        self._endpoint: BfdEndpoint | None = None

    async def start(self) -> None:
        """Listen and begin all sessions. Raises BfdSocketError, with nothing left."""
        sys.setswitchinterval(min(_SWITCH, sys.getswitchinterval()))
        self._thread.start()
        try:
            await self._there(self._open)
        except BaseException:
            await self.close()
            raise

    async def apply(self, sessions: Iterable[SessionConfig]) -> None:
        """Have these sessions and no others; a session whose way stays is changed without falling."""
        wanted = tuple(sessions)
        await self._there(lambda: self._running().apply(wanted))

    async def addresses(self) -> list[tuple[str, int]]:
        """Return where it listens."""
        return await self._there(lambda: self._running().addresses)

    def read(self) -> etree._Element:
        """Give ``/rui-bfd:bfd-sessions``; takes the moment that the thread needs to answer.

        Raises TimeoutError where it does not answer.
        """
        asked = asyncio.run_coroutine_threadsafe(self._tree(), self._loop)
        return asked.result(_LONGEST_WAIT)

    async def close(self) -> None:
        """Tell every remote system that its session is taken down on purpose, and end the thread."""
        if not self._thread.is_alive():
            return
        if self._endpoint is not None:
            await self._there(self._endpoint.close)
            self._endpoint = None
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join, _LONGEST_WAIT)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _open(self) -> None:
        endpoint = BfdEndpoint(self._config, self._changed, rng=self._rng)
        endpoint.start()
        self._endpoint = endpoint

    def _changed(self, config: SessionConfig, change: StateChanged) -> None:
        if self._endpoint is not None:
            notification = change_notification(self._endpoint.sessions[config.name], change)
            self._home.call_soon_threadsafe(self._on_change, config, change, notification)

    def _running(self) -> BfdEndpoint:
        if self._endpoint is None:
            raise RuntimeError("BFD is closed: start it first")
        return self._endpoint

    async def _tree(self) -> etree._Element:
        return BfdTree(self._running()).read()

    async def _there(self, what: Callable[[], _T]) -> _T:
        """Do something in the thread; return what comes of it."""

        async def do() -> _T:
            return what()

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(do(), self._loop))
