"""A session that one end dials again and again, and probes: as between cloud and router, or two routers."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from rui_cli.sim.clock import Act
from rui_cli.sim.wire import Session, Wire

DIALLER, OTHER = 0, 1
KEEPALIVE = 6.0
"""Seconds after which a session that is stalled is given up, as TCP does."""


class RefusedError(Exception):
    """The other end answers a request with an error."""


class Line:
    """The dialler is one end of the wire, the first unless ``dialler`` says otherwise.

    A session begins once both ends know that the last one is gone. An ``interval`` of probing is a fifth of
    the disconnection timeout.
    """

    def __init__(self, wire: Wire, chance: random.Random, interval: float, dialler: int = 0) -> None:
        self.wire = wire
        self.hosts = (wire.ends[dialler], wire.ends[1 - dialler])
        self._dialler = dialler
        self.chance = chance
        self.interval = interval
        self.session: Session | None = None
        self.rtt: float | None = None
        self.lost = 0
        self._numbers = 0
        self._alive_at = 0.0
        self._outstanding: dict[int, float] = {}
        # Of each end that has not been told that the session is gone: the life of its process
        self._untold: dict[int, int] = {}
        self._waiting: dict[int, dict[object, Callable[[], None]]] = {DIALLER: {}, OTHER: {}}

    # What a kind of line does

    def wanted(self) -> bool:
        """Whether the dialler's process has a use for a session."""
        return True

    def opened(self) -> None:
        """Both ends have a session."""

    def lost_by(self, end: int, reason: str) -> None:
        """An end's process learns that the session is gone."""

    def probing(self) -> int:
        """The dialler sends a probe; return its number."""
        self._numbers += 1
        return self._numbers

    def probed(self, rtt: float | None, lost: int) -> None:
        """The other end has got a probe."""

    def answered(self, number: int) -> None:
        """The dialler has got the answer to a probe."""

    # The session

    def begin(self) -> None:
        """The dialler's process has begun: dial, and probe what is open."""
        self._tick()

    def send(self, end: int, act: Act) -> None:
        """Send from an end, if there is a session."""
        if self.session is not None:
            self.session.send(end, act)

    def request(
        self, end: int, ask: Callable[[], object], answer: Callable[[object], None], fail: Act = lambda: None
    ) -> None:
        """Ask the other end, which answers at once; see :meth:`call`."""
        self.call(end, lambda reply: reply(ask()), answer, fail)

    def call(
        self,
        end: int,
        ask: Callable[[Callable[[object], None]], None],
        answer: Callable[[object], None],
        fail: Act = lambda: None,
    ) -> None:
        """Ask the other end, which replies when it can.

        ``fail`` is called where there is no session, it ends before the reply, or the other end refuses.
        """
        session, token = self.session, object()
        waiting = self._waiting[end]
        host = self.hosts[end]
        if session is None or not session.open:
            host.after(0.0, fail)
            return
        waiting[token] = fail

        def back(found: object) -> None:
            if waiting.pop(token, None) is not None:
                answer(found)

        def refused() -> None:
            if waiting.pop(token, None) is not None:
                fail()

        def arrive() -> None:
            try:
                ask(lambda found: session.send(1 - end, partial(back, found)))
            except RefusedError:
                session.send(1 - end, refused)

        session.send(end, arrive)

    def close(self, reason: str) -> None:
        """Give the session up."""
        if self.session is not None:
            self.session.close(reason)

    def _closed(self, end: int, reason: str) -> None:
        self._untold.pop(end, None)
        waiting = self._waiting[end]
        failed = list(waiting.values())
        waiting.clear()
        self.lost_by(end, reason)
        for fail in failed:
            fail()

    def _dial(self) -> None:
        hosts = self.hosts
        if not self.wire.passable or any(hosts[end].life == life for end, life in self._untold.items()):
            return
        self._untold.clear()
        for waiting in self._waiting.values():
            waiting.clear()
        self._outstanding.clear()
        self.rtt, self.lost = None, 0
        self._alive_at = self.wire.clock.now
        self.session = Session(self.wire, self._dialler, self._closed)
        self._untold = {end: host.life for end, host in enumerate(hosts)}
        self.opened()

    def _tick(self) -> None:
        host = self.hosts[DIALLER]
        host.after(self.interval * (0.9 + 0.2 * self.chance.random()), self._tick)
        session = self.session
        if session is not None and not session.open:
            session = self.session = None
        if session is None:
            if self.wanted():
                self._dial()
            return
        now = host.clock.now
        if not self.wanted():
            session.close("not needed any more")
        elif now - self._alive_at > KEEPALIVE:
            session.close("keepalive")
        else:
            self._probe(session, now)

    def _probe(self, session: Session, now: float) -> None:
        for number, sent in list(self._outstanding.items()):
            if now - sent <= 2 * self.interval:
                break
            del self._outstanding[number]
            self.lost += 1
        number = self.probing()
        rtt, lost, self.lost = self.rtt, self.lost, 0
        self._outstanding[number] = now

        def back() -> None:
            self._alive_at = self.wire.clock.now
            sent = self._outstanding.pop(number, None)
            if sent is not None:
                self.rtt = self._alive_at - sent
                self.answered(number)

        def arrive() -> None:
            self.probed(rtt, lost)
            session.send(OTHER, back)

        session.send(DIALLER, arrive)
