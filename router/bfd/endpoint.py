"""All BFD sessions of a router on one timer: feed the core, send what comes out, arm the timer again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random

import structlog

from router.bfd.config import BfdConfig, SessionConfig
from router.bfd.sockets import Receiver, Sender
from rui.bfd.demux import Path, Sessions
from rui.bfd.fsm import Session, SessionOptions, StateChanged, Transmit

log = structlog.get_logger(__name__)

# A turn of the loop is not longer for a flood; before silence is believed, all that waits is read.
_PACKETS_A_TURN = 256
_PACKETS_BEFORE_TIMERS = 8192

OnChange = Callable[[SessionConfig, StateChanged], None]
"""Told of every change of a session's state, in the loop's thread; must not block."""


@dataclass(slots=True)
class Running:
    """A session at work."""

    config: SessionConfig
    session: Session
    sender: Sender
    failed: int = 0
    """Packets that the system did not send."""
    failing: bool = field(default=False, repr=False)


class BfdEndpoint:
    """The sessions of one router. ``start`` once, ``apply`` for other configurations, then ``close``."""

    def __init__(self, config: BfdConfig, on_change: OnChange, *, rng: Random) -> None:
        """``rng`` gives discriminators, jitter and source ports."""
        self._config = config
        self._on_change = on_change
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._table = Sessions(rng)
        self._running: dict[str, Running] = {}
        self._by_session: dict[int, Running] = {}
        self._receivers: list[Receiver] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def sessions(self) -> Mapping[str, Running]:
        """The sessions by name."""
        return self._running

    @property
    def discarded(self) -> int:
        """Packets that belonged to no session."""
        return self._table.discarded.total()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens."""
        return [receiver.address for receiver in self._receivers]

    def start(self) -> None:
        """Listen and begin all sessions. Raises BfdSocketError, with nothing left open."""
        try:
            for address in self._config.addresses:
                receiver = Receiver(address, self._config.port)
                self._receivers.append(receiver)
                self._loop.add_reader(receiver.fileno(), self._readable, receiver)
        except BaseException:
            self.close()
            raise
        self.apply(self._config.sessions)

    def apply(self, sessions: Iterable[SessionConfig]) -> None:
        """Have these sessions and no others; a session whose way stays is changed without falling."""
        wanted = {entry.name: entry for entry in sessions}
        for name, running in list(self._running.items()):
            new = wanted.get(name)
            if new is None or (new.path, new.port) != (running.config.path, running.config.port):
                self._end(running)
        now = self._loop.time()
        for entry in wanted.values():
            known = self._running.get(entry.name)
            if known is None:
                self._begin(entry, now)
            else:
                known.config = entry
                known.session.change(entry.options, now)
                self._carry_out(known)
        self._arm()

    def close(self) -> None:
        """Tell every remote system that its session is taken down on purpose, and close the sockets."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for running in list(self._running.values()):
            self._end(running)
        for receiver in self._receivers:
            self._loop.remove_reader(receiver.fileno())
            receiver.close()
        self._receivers.clear()

    def _begin(self, config: SessionConfig, now: float) -> None:
        session = Session(config.options, self._table.discriminator(), self._rng, now)
        running = Running(config, session, Sender(config.path, config.port, self._rng))
        self._table.add(session, config.path)
        self._running[config.name] = running
        self._by_session[session.discriminator] = running

    def _end(self, running: Running) -> None:
        running.session.change(SessionOptions(admin_down=True), self._loop.time())
        self._carry_out(running)
        self._table.remove(running.session)
        del self._running[running.config.name]
        del self._by_session[running.session.discriminator]
        running.sender.close()

    def _readable(self, receiver: Receiver) -> None:
        self._read(receiver, _PACKETS_A_TURN)
        self._arm()

    def _read(self, receiver: Receiver, limit: int) -> None:
        now = self._loop.time()

        def take(data: bytes, ttl: int, path: Path) -> None:
            session = self._table.receive(data, ttl, path, now)
            if session is not None:
                self._carry_out(self._by_session[session.discriminator])

        receiver.read(limit, take)

    def _due(self) -> None:
        self._timer = None
        for receiver in self._receivers:
            self._read(receiver, _PACKETS_BEFORE_TIMERS)
        for session in self._table.handle_timer(self._loop.time()):
            self._carry_out(self._by_session[session.discriminator])
        self._arm()

    def _arm(self) -> None:
        deadline = self._table.next_deadline()
        if self._timer is not None:
            # A timer that comes too early finds nothing to do, which is cheaper than to move it each time
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline != float("inf"):
            self._timer = self._loop.call_at(deadline, self._due)

    def _carry_out(self, running: Running) -> None:
        for output in running.session.outputs():
            match output:
                case Transmit(data):
                    self._send(running, data)
                case StateChanged():
                    self._tell(running, output)
        self._table.schedule(running.session)

    def _send(self, running: Running, data: bytes) -> None:
        try:
            running.sender.send(data)
        except OSError as error:
            running.failed += 1
            if not running.failing:
                running.failing = True
                log.warning(
                    "bfd-send-failed",
                    session=running.config.name,
                    remote=running.config.path.remote,
                    reason=error.strerror,
                )
        else:
            running.failing = False

    def _tell(self, running: Running, change: StateChanged) -> None:
        log.info(
            "bfd-session-changed",
            session=running.config.name,
            role=running.config.role.value,
            previous=change.previous.name.lower(),
            state=change.state.name.lower(),
            cause=change.trigger.value,
            remote=running.config.path.remote,
        )
        self._on_change(running.config, change)
