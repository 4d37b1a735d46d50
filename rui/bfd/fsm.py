"""One session: asynchronous mode without I/O (RFC 5880 section 6.8).

Packets and the time come in, packets to send and changes of state come out. Protocol intervals are whole
microseconds, as on the wire; times are monotonic seconds. There is no echo function and no demand mode of our
own; a remote system in demand mode is obeyed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Final

from rui.bfd.packet import ControlPacket, Diagnostic, Discard, State
from rui.bfd.poll import Timing
from rui.bfd.states import DIAGNOSTICS, HEARD, TRANSITIONS, Trigger

SLOWEST_START: Final = 1_000_000
"""Until a session is up it asks to send no faster than this, in microseconds (section 6.8.3)."""
HOPS: Final = 255
"""TTL or hop limit of every packet: one that crossed a router cannot have it (RFC 5881 section 5)."""
_NEVER = float("inf")
_MICROSECONDS = 1e6
UNHEARD: Final = ControlPacket(
    State.DOWN, multiplier=0, my_discriminator=0, your_discriminator=0, desired_min_tx=0, required_min_rx=1
)
"""What is held of a remote system before its first packet (section 6.8.1)."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What the operator sets; the intervals are in microseconds."""

    desired_min_tx: int = 300_000
    required_min_rx: int = 300_000
    multiplier: int = 3
    admin_down: bool = False


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send these octets to the remote system, with TTL 255."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The session left a state. ``diagnostic`` says why; ``remote_state`` is what the other end last said."""

    previous: State
    state: State
    trigger: Trigger
    diagnostic: Diagnostic
    remote_state: State
    at: float


Output = Transmit | StateChanged


class Session:
    """One session with one remote system."""

    def __init__(self, options: SessionOptions, discriminator: int, rng: Random, now: float) -> None:
        """``discriminator`` is ours, not 0 and unique in this system; ``rng`` spreads the packets in time."""
        self.options = options
        self.discriminator = discriminator
        self.state = State.ADMIN_DOWN if options.admin_down else State.DOWN
        self.diagnostic = Diagnostic.ADMIN_DOWN if options.admin_down else Diagnostic.NONE
        self.since = now
        self.timing = Timing(max(options.desired_min_tx, SLOWEST_START), options.required_min_rx)
        self.received = 0
        self.sent = 0
        self.discarded: Counter[Discard] = Counter()
        self.changes: Counter[State] = Counter()
        self.last_up: float | None = None
        self.last_down: float | None = None
        self.remote = UNHEARD
        """The last packet of the remote system."""
        self._rng = rng
        self._outputs: list[Output] = []
        self._sent_at = now
        self._transmit_at = now
        self._heard_at = now
        self._expires_at = _NEVER

    @property
    def interval(self) -> float:
        """Negotiated time between our packets in seconds, before jitter; 0 while the remote wants none."""
        remote = self.remote.required_min_rx
        return max(self.timing.tx_in_use, remote) / _MICROSECONDS if remote else 0.0

    @property
    def remote_interval(self) -> float:
        """Negotiated time between the remote system's packets in seconds."""
        return max(self.timing.rx_in_use, self.remote.desired_min_tx) / _MICROSECONDS

    @property
    def detection_time(self) -> float:
        """Silence in seconds that means failure (section 6.8.4); 0 while the remote system is unknown."""
        interval = max(self.timing.rx_in_use, self.remote.desired_min_tx)
        return self.remote.multiplier * interval / _MICROSECONDS

    def receive(self, packet: ControlPacket, ttl: int, now: float) -> Discard | None:
        """Take a packet that was found to be this session's; return why it was discarded, or None.

        The order of what follows is that of section 6.8.6.
        """
        if ttl != HOPS or packet.authenticated:
            refused = Discard.AUTHENTICATION if ttl == HOPS else Discard.TTL
            self.discarded[refused] += 1
            return refused
        self.received += 1
        before, self.remote = self.remote, packet
        self._heard_at = now
        if (packet.final and self.timing.answered()) or packet.required_min_rx != before.required_min_rx:
            self._reschedule(now)
        self._expires_at = now + self.detection_time
        if self.state is State.ADMIN_DOWN:
            return Discard.ADMIN_DOWN
        self._trigger(HEARD[packet.state], now)
        if packet.poll:
            self._send(now, final=True)
        return None

    def handle_timer(self, now: float) -> None:
        """Do what is due; :meth:`next_deadline` says when."""
        if now >= self._expires_at:
            self._forget()
            self._trigger(Trigger.EXPIRED, now)
        if now >= self._transmit_at and self._periodic():
            self._send(now)
            self._transmit_at = now + self._jittered()

    def next_deadline(self) -> float:
        """Return when :meth:`handle_timer` is due next."""
        return min(self._expires_at, self._transmit_at if self._periodic() else _NEVER)

    def change(self, options: SessionOptions, now: float) -> None:
        """Take other options: intervals by a poll sequence (section 6.8.3), the multiplier and
        ``admin_down`` at once (section 6.8.16)."""
        told = options.multiplier == self.options.multiplier
        self.options = options
        self._trigger(Trigger.DISABLE if options.admin_down else Trigger.ENABLE, now)
        if self._retime(now) or not told:
            self._send_early(now)

    def outputs(self) -> list[Output]:
        """Return what came out since the last call, in order."""
        drained = self._outputs
        self._outputs = []
        return drained

    def _trigger(self, trigger: Trigger, now: float) -> None:
        state = TRANSITIONS.get((self.state, trigger))
        if state is not None:
            self._change_state(state, trigger, now)

    def _change_state(self, state: State, trigger: Trigger, now: float) -> None:
        previous, self.state, self.since = self.state, state, now
        if trigger in DIAGNOSTICS:
            self.diagnostic = DIAGNOSTICS[trigger]
        elif state is State.UP or trigger is Trigger.ENABLE:
            self.diagnostic = Diagnostic.NONE
        self.changes[state] += 1
        if state is State.UP:
            self.last_up = now
        elif previous is State.UP:
            self.last_down = now
        self._outputs.append(StateChanged(previous, state, trigger, self.diagnostic, self.remote.state, now))
        self._retime(now)
        self._send_early(now)

    def _retime(self, now: float) -> bool:
        """State the intervals that options and state ask for; return whether they are others than before."""
        desired = self.options.desired_min_tx
        if self.state is not State.UP:
            desired = max(desired, SLOWEST_START)
        changed = self.timing.change(desired, self.options.required_min_rx, up=self.state is State.UP)
        if changed:
            self._reschedule(now)
        return changed

    def _reschedule(self, now: float) -> None:
        """The interval may be another one now: count it from the last packet."""
        self._transmit_at = max(now, self._sent_at + self._jittered())
        if self.remote.my_discriminator:
            self._expires_at = self._heard_at + self.detection_time

    def _jittered(self) -> float:
        """Return the time to the next packet: 75 to 100 % of the interval, 90 % where one loss is fatal."""
        spread = 0.15 if self.options.multiplier == 1 else 0.25
        return self.interval * (0.75 + spread * self._rng.random())

    def _periodic(self) -> bool:
        """Whether the remote system wants packets without asking for each (section 6.8.7)."""
        if self.remote.required_min_rx == 0:
            return False
        demand = self.remote.demand and self.state is State.UP and self.remote.state is State.UP
        return not demand or self.timing.polling

    def _send_early(self, now: float) -> None:
        """Tell of a change before the next packet is due (section 6.8.7)."""
        if self._periodic():
            self._send(now)
            self._transmit_at = now + self._jittered()

    def _send(self, now: float, *, final: bool = False) -> None:
        timing = self.timing
        packet = ControlPacket(
            state=self.state,
            multiplier=self.options.multiplier,
            my_discriminator=self.discriminator,
            your_discriminator=self.remote.my_discriminator,
            desired_min_tx=timing.desired_min_tx,
            required_min_rx=timing.required_min_rx,
            diagnostic=self.diagnostic,
            poll=timing.polling and not final,
            final=final,
        )
        self._outputs.append(Transmit(packet.encode()))
        self.sent += 1
        if not final:
            self._sent_at = now
            timing.was_sent()

    def _forget(self) -> None:
        """The remote system is unknown: a detection time passed in silence (section 6.8.1)."""
        self.remote = UNHEARD
        self._expires_at = _NEVER
