"""Who is primary: what makes a router take the role, ask for it, yield it and give it up [0245] to [0248].

In a group with VRRP the election decides who forwards, and this core says under which conditions the router
stands for it; in a static group a grant of the cloud or an operator moves the role. A primary that
reaches neither the cloud nor any secondary yields: it goes on serving until another has taken over, so a dead
secondary never costs service. Only a secondary that reaches the cloud and not the primary asks for a grant.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum


class MasterState(Enum):
    """A router's standing in a group."""

    SECONDARY = "secondary"
    ASKING = "asking"
    """The primary is not reached and the cloud is: a grant is asked for."""
    PRIMARY = "primary"
    YIELDING = "yielding"
    """Primary still, and reaching nobody: the first to take over is welcome."""
    SHARING = "sharing"
    """Master of a part of the access network, another is primary: serves, and offers it what it takes."""


class Event(Enum):
    """What moves a router from one standing to another."""

    ELECTED = "elected"
    DEPOSED = "deposed"
    PRIMARY_LOST = "primary-lost"
    PRIMARY_SEEN = "primary-seen"
    GRANTED = "granted"
    ORDERED = "ordered"
    SUPERSEDED = "superseded"
    OUTRANKED = "outranked"
    UNLED = "unled"
    ALONE = "alone"
    IN_TOUCH = "in-touch"


_S, _E = MasterState, Event
TRANSITIONS: dict[tuple[MasterState, Event], MasterState] = {
    (_S.SECONDARY, _E.ELECTED): _S.PRIMARY,
    (_S.SECONDARY, _E.ORDERED): _S.PRIMARY,
    (_S.SECONDARY, _E.PRIMARY_LOST): _S.ASKING,
    (_S.ASKING, _E.PRIMARY_SEEN): _S.SECONDARY,
    (_S.ASKING, _E.GRANTED): _S.PRIMARY,
    (_S.ASKING, _E.ELECTED): _S.PRIMARY,
    (_S.ASKING, _E.ORDERED): _S.PRIMARY,
    (_S.PRIMARY, _E.ALONE): _S.YIELDING,
    (_S.PRIMARY, _E.DEPOSED): _S.SECONDARY,
    (_S.PRIMARY, _E.SUPERSEDED): _S.SECONDARY,
    (_S.YIELDING, _E.IN_TOUCH): _S.PRIMARY,
    (_S.YIELDING, _E.DEPOSED): _S.SECONDARY,
    (_S.YIELDING, _E.SUPERSEDED): _S.SECONDARY,
    (_S.PRIMARY, _E.OUTRANKED): _S.SHARING,
    (_S.YIELDING, _E.OUTRANKED): _S.SHARING,
    (_S.SHARING, _E.DEPOSED): _S.SECONDARY,
    (_S.SHARING, _E.UNLED): _S.PRIMARY,
    (_S.SHARING, _E.GRANTED): _S.PRIMARY,
    (_S.SHARING, _E.ORDERED): _S.PRIMARY,
}
IGNORED: frozenset[tuple[MasterState, Event]] = frozenset(
    (state, event) for state in _S for event in _E if (state, event) not in TRANSITIONS
)
"""News that changes nothing: an order to the primary, a grant that came too late."""

PREEMPTS = 5.0
"""Seconds in which who was ordered to be primary may preempt the Master."""

_SERVES = {_S.PRIMARY, _S.YIELDING}


@dataclass(frozen=True, slots=True)
class Promote:
    """Please become primary: claim a new epoch and serve."""

    reason: str


@dataclass(frozen=True, slots=True)
class Demote:
    """Please become secondary: serve no more, offer what nobody else has."""

    reason: str


@dataclass(frozen=True, slots=True)
class Share:
    """Please serve on beside the primary, after a Demote; or no more."""

    yes: bool


@dataclass(frozen=True, slots=True)
class AskGrant:
    """Please ask the cloud for a grant; then ``grant_result``, or nothing: it is asked again."""


@dataclass(frozen=True, slots=True)
class UseGrant:
    """Please let the election preempt until then, whatever else it may not."""

    until: float


@dataclass(frozen=True, slots=True)
class Stand:
    """Please tell the election: with the yield priority or not, and whether it may preempt."""

    yields: bool
    preempts: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """For operators: the standing has changed."""

    old: MasterState
    new: MasterState
    reason: str


Output = Promote | Demote | Share | AskGrant | UseGrant | Stand | Changed


@dataclass(frozen=True, slots=True)
class MasterOptions:
    """``elected``: VRRP decides; ``automatic``: a static group asks for grants. Seconds."""

    elected: bool = False
    automatic: bool = True
    wait_to_restore: float = 60.0
    retry: float = 1.0


class Mastership:
    """One router's standing in one group. Values in, values out; times are monotonic seconds."""

    def __init__(self, options: MasterOptions, *, primary: bool) -> None:
        self.options = options
        self.state = _S.PRIMARY if primary else _S.SECONDARY
        self.reason = "configured"
        self._outputs: deque[Output] = deque()
        self._stand: Stand | None = None
        self._ask_at: float | None = None
        self._synced_at: float | None = None
        self._master = False

    @property
    def primary(self) -> bool:
        """Whether this router is to serve."""
        return self.state in _SERVES

    def elected(self, master: bool, reason: str, now: float) -> None:
        """The election has decided."""
        self._master = master
        self._happen(_E.ELECTED if master else _E.DEPOSED, reason, now)

    def out_of_sync(self, now: float) -> None:
        """This replica lacks something: how long it has been in sync is counted from when it is again."""
        self._synced_at = None
        self._tell_election(now)

    def evidence(self, *, cloud: bool, peer: bool, synced: bool, now: float) -> None:
        """Take what is reached: the cloud, any other member; and whether this replica is in sync."""
        if synced and self._synced_at is None:
            self._synced_at = now
        elif not synced:
            self.out_of_sync(now)
        if self.primary:
            alone = not cloud and not peer
            self._happen(_E.ALONE if alone else _E.IN_TOUCH, "reaches nobody" if alone else "in touch", now)
        elif self.state is _S.SHARING:
            if not cloud and not peer:
                self.unled("the primary beside which it served is not reached, nor is the cloud", now)
            elif peer:
                self._ask_at = None
            elif self._ask_at is None:
                self._ask_at = now
        elif cloud and not peer and (self.options.automatic or self.options.elected):
            self._happen(_E.PRIMARY_LOST, "the cloud is reached, the primary is not", now)
        else:
            self._happen(_E.PRIMARY_SEEN, "the primary is reached" if peer else "nobody is reached", now)
        self._tell_election(now)

    def grant_result(self, granted: bool, seconds: float, reason: str, now: float) -> None:
        """Take the cloud's answer to AskGrant."""
        if self.state not in {_S.ASKING, _S.SHARING} or not granted:
            return
        if self.options.elected and self.state is _S.ASKING:
            self._outputs.append(UseGrant(now + seconds))
        else:
            self._happen(_E.GRANTED, f"granted by the cloud: {reason}", now)

    def ordered(self, reason: str, now: float) -> None:
        """An operator, or the primary that hands over, wants this router to be primary."""
        if self.options.elected and not self.primary:
            self._outputs.append(UseGrant(now + PREEMPTS))
        self._happen(_E.ORDERED, reason, now)

    def superseded(self, by: str, now: float) -> None:
        """Another router is primary under a newer epoch; who is Master goes on serving beside it."""
        event = _E.OUTRANKED if self._master else _E.SUPERSEDED
        self._happen(event, f"{by} is primary under a newer epoch", now)

    def unled(self, reason: str, now: float) -> None:
        """The primary beside which this router serves is primary no more, or not reached in any way."""
        self._happen(_E.UNLED, reason, now)

    def handle_timer(self, now: float) -> None:
        """Ask again; let the election preempt once there was time to restore."""
        if self._ask_at is not None and now >= self._ask_at:
            self._ask_at = now + self.options.retry
            self._outputs.append(AskGrant())
        self._tell_election(now)

    def next_deadline(self) -> float | None:
        """Return when :meth:`handle_timer` is due, None for never."""
        times = [self._ask_at]
        if self.options.elected and self._synced_at is not None and not self._restored(self._synced_at):
            times.append(self._synced_at + self.options.wait_to_restore)
        return min((time for time in times if time is not None), default=None)

    def outputs(self) -> list[Output]:
        """Return what is to be done, in order, and forget it."""
        drained = list(self._outputs)
        self._outputs.clear()
        return drained

    def _restored(self, since: float) -> bool:
        return self._stand is not None and self._stand.preempts and self._synced_at == since

    def _tell_election(self, now: float) -> None:
        if not self.options.elected:
            return
        synced = self._synced_at
        preempts = synced is not None and now >= synced + self.options.wait_to_restore
        stand = Stand(self.state is _S.YIELDING, preempts)
        if stand != self._stand:
            self._stand = stand
            self._outputs.append(stand)

    def _happen(self, event: Event, reason: str, now: float) -> None:
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            return
        old, self.state, self.reason = self.state, state, reason
        self._outputs.append(Changed(old, state, reason))
        if old is _S.SHARING:
            self._outputs.append(Share(False))
        if (old in _SERVES) != (state in _SERVES):
            self._outputs.append(Promote(reason) if state in _SERVES else Demote(reason))
            self._synced_at = None  # Having been primary is no sign of being in sync with the next one
        if state is _S.SHARING:
            self._outputs.append(Share(True))
        self._ask_at = now if state is _S.ASKING else None
        self._tell_election(now)
