"""What an end knows of a link: up, degraded, down or unknown, from the probes that cross it.

The end that dialled a session probes and measures the round trip; the other end hears the probes, which
carry what was measured. Silence for the disconnection timeout means down; a round trip or a loss above the
entering threshold means degraded, until both have stayed below the leaving thresholds for the hold time; a
link that went down too often lately must stay alive for the hold time before it counts as up again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum


class LinkState(Enum):
    """The states of ``link-status``."""

    UNKNOWN = "unknown"
    """Nothing was heard yet and the timeout has not passed."""
    UP = "up"
    DEGRADED = "degraded"
    """Alive, with a quality below the threshold [0215]."""
    DOWN = "down"
    """Silent for the disconnection timeout [0152]."""

    def __init__(self, word: str) -> None:
        self.bad = word in ("degraded", "down")
        """Whether the two ends cannot normally communicate [0246, 0247]."""


class LinkEvent(Enum):
    """What a link's evidence amounts to at one moment."""

    HEARD = "heard"
    SILENT = "silent"
    POOR = "poor"
    GOOD = "good"


_S, _E = LinkState, LinkEvent
TRANSITIONS: dict[tuple[LinkState, LinkEvent], LinkState] = {
    (_S.UNKNOWN, _E.HEARD): _S.UP,
    (_S.UNKNOWN, _E.SILENT): _S.DOWN,
    (_S.UP, _E.SILENT): _S.DOWN,
    (_S.UP, _E.POOR): _S.DEGRADED,
    (_S.DEGRADED, _E.SILENT): _S.DOWN,
    (_S.DEGRADED, _E.GOOD): _S.UP,
    (_S.DOWN, _E.HEARD): _S.UP,
}
IGNORED: frozenset[tuple[LinkState, LinkEvent]] = frozenset(
    (state, event) for state in _S for event in _E if (state, event) not in TRANSITIONS
)
"""A link that is down or unknown has no quality; one that is up cannot become so again."""
# By name, since looking a member up in its enumeration takes longer than all else that is asked at a probe
_DOWN, _DEGRADED = LinkState.DOWN, LinkState.DEGRADED
_SILENT = (LinkState.UNKNOWN, LinkState.DOWN)


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """Thresholds; times in seconds, loss as a fraction. The defaults are those of ``rui-device``."""

    timeout: float = 3.0
    hold: float = 5.0
    window: float = 5.0
    enter_rtt: float = 0.2
    enter_loss: float = 0.05
    leave_rtt: float = 0.15
    leave_loss: float = 0.01
    flaps: int = 3
    flap_window: float = 60.0
    probe_interval: float | None = None

    @property
    def interval(self) -> float:
        """How often to probe: a fifth of the timeout unless told otherwise."""
        return self.timeout / 5 if self.probe_interval is None else self.probe_interval


@dataclass(frozen=True, slots=True)
class LinkChange:
    """One change of state, for ``link-status-change`` and the log."""

    previous: LinkState
    state: LinkState
    reason: str
    at: float


_SAMPLES = 256
_OUTSTANDING = 64


class Link:
    """One end's evidence of one link. Times are monotonic seconds."""

    def __init__(self, options: LinkOptions, now: float) -> None:
        self.options = options
        self.state = LinkState.UNKNOWN
        self.reason = "nothing heard yet"
        self.since = now
        self.rtt: float | None = None
        self.loss = 0.0
        self.flaps = 0
        self._heard_at = now
        self._alive_since: float | None = None
        self._good_since: float | None = None
        # When each came, and the round trip that it measured, None for a loss
        self._samples: deque[tuple[float, float | None]] = deque(maxlen=_SAMPLES)
        self._weighed = True
        self._outstanding: dict[int, float] = {}
        self._sequence = 0
        self._falls: deque[float] = deque(maxlen=options.flaps)
        self._changes: deque[LinkChange] = deque(maxlen=64)

    def probe(self, now: float) -> int:
        """A probe goes out; return its sequence number."""
        self._sequence += 1
        if len(self._outstanding) < _OUTSTANDING:
            self._outstanding[self._sequence] = now
        return self._sequence

    def answered(self, sequence: int, now: float) -> None:
        """The answer to a probe came; one that was counted as lost is still a sign of life."""
        sent = self._outstanding.pop(sequence, None)
        if sent is not None:
            self._sample(now, now - sent)
        self._alive(now)

    def heard(self, now: float, rtt: float | None = None, loss: float | None = None) -> None:
        """The other end's probe came, with what that end measured."""
        if rtt is not None:
            self._sample(now, rtt)
        if loss:
            self._sample(now, None)
        self._alive(now)

    def cut(self, now: float) -> None:
        """The session is gone with what was asked on it; only the timeout makes the link down."""
        self._outstanding.clear()
        self._alive_since = None
        self.handle_timer(now)

    def handle_timer(self, now: float) -> None:
        """Look at the evidence; :meth:`next_deadline` says when."""
        outstanding = self._outstanding
        overdue = 2 * self.options.interval if outstanding else 0.0
        while outstanding:
            oldest = next(iter(outstanding))
            if now - outstanding[oldest] < overdue:
                break
            del outstanding[oldest]
            self._sample(now, None)
        if now - self._heard_at >= self.options.timeout:
            self._event(_E.SILENT, f"silent for {self.options.timeout:g} s", now)
            self._alive_since = None
        elif self.state is _DOWN and self._steady(now):
            self._event(_E.HEARD, "alive for the hold time after several falls", now)
        self._weigh(now)

    def next_deadline(self) -> float:
        """Return when to look at the evidence again."""
        options, alive = self.options, self._alive_since
        if self.state is not _DOWN:
            due = self._heard_at + options.timeout
        else:
            # Silence has nothing more to say; only damping waits.
            due = alive + options.hold if alive is not None else float("inf")
        if self._outstanding:
            due = min(due, next(iter(self._outstanding.values())) + 2 * options.interval)
        if self._good_since is not None:
            due = min(due, self._good_since + options.hold)
        return due

    def changes(self) -> list[LinkChange]:
        """Return the changes of state since the last call."""
        if not self._changes:
            return []
        drained = list(self._changes)
        self._changes.clear()
        return drained

    def _alive(self, now: float) -> None:
        self._heard_at = now
        if self._alive_since is None:
            self._alive_since = now
        if self.state in _SILENT and self._steady(now):
            self._event(_E.HEARD, "heard", now)
        self._weigh(now)

    def _steady(self, now: float) -> bool:
        """Whether a link that was down counts as up: at once, or after the hold time if it fell often."""
        if self._alive_since is None:
            return False
        recent = [at for at in self._falls if now - at <= self.options.flap_window]
        return len(recent) < self.options.flaps or now - self._alive_since >= self.options.hold

    def _sample(self, now: float, rtt: float | None) -> None:
        self._samples.append((now, rtt))
        self._weighed = False

    def _weigh(self, now: float) -> None:
        samples, options = self._samples, self.options
        while samples and now - samples[0][0] > options.window:
            samples.popleft()
            self._weighed = False
        if not self._weighed:
            self._weighed = True
            rtts = sorted([rtt for _, rtt in samples if rtt is not None])
            self.rtt = rtts[max(0, -(-len(rtts) * 95 // 100) - 1)] if rtts else None
            self.loss = (len(samples) - len(rtts)) / len(samples) if samples else 0.0
        elif self.state is not _DEGRADED:
            return  # It is as good as it was; only the way back from degraded waits for time to pass
        rtt = self.rtt or 0.0
        if rtt > options.enter_rtt or self.loss > options.enter_loss:
            what = f"rtt {rtt * 1000:.0f} ms" if rtt > options.enter_rtt else f"loss {self.loss:.0%}"
            self._event(_E.POOR, f"{what} over {options.window:g} s", now)
        below = rtt < options.leave_rtt and self.loss < options.leave_loss
        if self.state is not _DEGRADED or not below:
            self._good_since = None
        elif self._good_since is None:
            self._good_since = now
        elif now - self._good_since >= options.hold:
            self._event(_E.GOOD, f"good for {options.hold:g} s", now)

    def _event(self, event: LinkEvent, reason: str, now: float) -> None:
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            return
        if state is _S.DOWN:
            if self.state is not _S.UNKNOWN:
                self.flaps += 1
                self._falls.append(now)
            self._samples.clear()
        self._weighed = False
        self._good_since = None
        self._changes.append(LinkChange(self.state, state, reason, now))
        self.state, self.reason, self.since = state, reason, now
