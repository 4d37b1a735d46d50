"""FIG. 6 to FIG. 9: finding out where the fault is, and moving to local backup and back.

One end of an RBS channel is the initiator of local backup: it dials the channel, decides, and starts (the
:class:`Decider`). The other tells it of its own link to the cloud, unasked and when asked (the
:class:`Informant`). With the primary as initiator that is FIG. 6 and FIG. 8, with the secondary FIG. 7 and
FIG. 9; the steps differ in name, not in what happens, so one table names them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

from rui.backup.decision import Links, Path, Policy, decide
from rui.backup.identity import Role
from rui.backup.links import LinkState


class Kind(Enum):
    """What the messages of FIG. 6 to FIG. 9 say of a link to the cloud."""

    TIMEOUT = "timeout"
    """A link disconnection timeout occurs."""
    QUALITY = "quality"
    """The quality is lower than the preset threshold."""
    RECOVERED = "recovered"
    """Neither any more; sent unasked so that nobody decides on what has passed."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Please send the query (S601a, S701a); then ``answer`` or ``query_failed``."""

    step: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Please notify the initiator of this end's link to the cloud (S601b, S701b, S801b, S901b)."""

    step: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class TellWait:
    """Please tell the other end to wait for its link's re-establishment (S604b, S705b)."""

    step: str


@dataclass(frozen=True, slots=True)
class StartLocal:
    """Please start local backup by the handshake; then ``started`` or ``start_failed`` with the attempt."""

    step: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StopLocal:
    """Please end local backup: the cloud path carries everything again."""


@dataclass(frozen=True, slots=True)
class PathChanged:
    """The path in use has changed, for the log, the history and ``link-status``."""

    previous: Path
    path: Path
    reason: str
    step: str
    at: float


Output = Ask | Tell | TellWait | StartLocal | StopLocal | PathChanged

# (the decider's role, what happens) -> the step's name in the figures.
STEPS: dict[tuple[Role, str], str] = {
    (Role.PRIMARY, "ask"): "S601a",
    (Role.PRIMARY, "answered-bad"): "S603a",
    (Role.PRIMARY, "answered-good"): "S604a",
    (Role.PRIMARY, "reestablished"): "S605a",
    (Role.PRIMARY, "told-bad"): "S603b",
    (Role.PRIMARY, "tell-wait"): "S604b",
    (Role.PRIMARY, "own-quality"): "S801a",
    (Role.PRIMARY, "told-quality"): "S802b",
    (Role.SECONDARY, "ask"): "S701a",
    (Role.SECONDARY, "answered-bad"): "S703a",
    (Role.SECONDARY, "answered-good"): "S705a",
    (Role.SECONDARY, "reestablished"): "S707b",
    (Role.SECONDARY, "told-bad"): "S703b",
    (Role.SECONDARY, "tell-wait"): "S705b",
    (Role.SECONDARY, "own-quality"): "S901a",
    (Role.SECONDARY, "told-quality"): "S902b",
}
# (the informant's role, what it tells) -> the step's name.
TELLS: dict[tuple[Role, Kind], str] = {
    (Role.SECONDARY, Kind.TIMEOUT): "S601b",
    (Role.PRIMARY, Kind.TIMEOUT): "S701b",
    (Role.SECONDARY, Kind.QUALITY): "S801b",
    (Role.PRIMARY, Kind.QUALITY): "S901b",
    (Role.SECONDARY, Kind.RECOVERED): "recovered",
    (Role.PRIMARY, Kind.RECOVERED): "recovered",
}
# By name, since looking a member up in its enumeration takes longer than all else that is asked at a probe
_UP, _DOWN, _DEGRADED, _UNKNOWN = LinkState.UP, LinkState.DOWN, LinkState.DEGRADED, LinkState.UNKNOWN
_PRIMARY, _SECONDARY = Role.PRIMARY, Role.SECONDARY
_ALL_UP = (_UP, _UP, _UP)
_OWN = {LinkState.DOWN: "answered-bad", LinkState.DEGRADED: "own-quality"}
_TOLD = {LinkState.DOWN: "told-bad", LinkState.DEGRADED: "told-quality"}
"""What a change of one end's link brings about; its return is no step of the figures."""
_KINDS = {LinkState.DOWN: Kind.TIMEOUT, LinkState.DEGRADED: Kind.QUALITY, LinkState.UP: Kind.RECOVERED}


@dataclass(frozen=True, slots=True)
class FailoverOptions:
    """Policies and timers of a group, times in seconds. The defaults are those of ``rui-device``."""

    fault_policy: Policy = Policy.CONFIRM
    degraded_policy: Policy = Policy.IMMEDIATE
    max_wait: float = 30.0
    hold: float = 5.0
    query_tries: int = 3
    query_timeout: float = 0.5
    start_pause: float = 1.0


class Informant:
    """The end that does not initiate: it tells the other of its own link to the cloud."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.mine = _UNKNOWN
        self.rbs = _UNKNOWN
        self.waiting = False
        self._outputs: deque[Output] = deque(maxlen=256)

    def own_link(self, state: LinkState) -> None:
        """This end's link to the cloud has changed."""
        if state is self.mine:
            return
        self.mine = state
        if state is _UP:
            self.waiting = False
        self._tell()

    def rbs_link(self, state: LinkState) -> None:
        """The RBS channel has changed; what could not be told meanwhile is told now."""
        returned = state is _UP and self.rbs is not _UP
        self.rbs = state
        if returned:
            self._tell()

    def session_opened(self) -> None:
        """The initiator has a new session; what was told on the last one may not have arrived."""
        self._tell()

    def query(self) -> LinkState:
        """Answer a query with what this end knows of its own link (S602a, S702a)."""
        return self.mine

    def told_to_wait(self) -> None:
        """The initiator says: wait for your link to be re-established (S604b, S705b)."""
        self.waiting = self.mine is not _UP

    def outputs(self) -> list[Output]:
        """Return what is to be done now, and forget it."""
        if not self._outputs:
            return []
        drained = list(self._outputs)
        self._outputs.clear()
        return drained

    def _tell(self) -> None:
        kind = _KINDS.get(self.mine)
        if kind is not None and self.rbs is _UP:
            self._outputs.append(Tell(TELLS[self.role, kind], kind))


class Decider:
    """The end that initiates local backup for one (group, secondary). Times are monotonic seconds."""

    def __init__(self, role: Role, options: FailoverOptions, now: float) -> None:
        self.role = role
        self.options = options
        self.mine = _UNKNOWN
        # Until the informant says otherwise its link is taken to be up: it tells of every change unasked.
        self.theirs = _UP
        self.rbs = _UNKNOWN
        self.path = Path.CLOUD
        self.reason = "start"
        self.step = ""
        self.since = now
        self.local = False
        self.asking = False
        self._starting = False
        self._attempt = 0
        self._tries = 0
        self._ask_deadline: float | None = None
        self._ask_again_at = now
        self._wait_deadline: float | None = None
        self._start_not_before = now
        self._all_up_since: float | None = None
        self._held = False
        self._caught_up = False
        self._outputs: deque[Output] = deque(maxlen=256)

    @property
    def links(self) -> Links:
        """The three links as this end knows them; its own is taken to be up until it is known."""
        mine = _UP if self.mine is _UNKNOWN else self.mine
        if self.role is _PRIMARY:
            return Links(mine, self.theirs, self.rbs)
        return Links(self.theirs, mine, self.rbs)

    @property
    def inquires(self) -> bool:
        """Whether a secondary keeps asking the primary if the cloud has everything, by naming the path.

        Not before local backup is active: the other end would go by a local path whose end it is never told.
        """
        return self.role is _SECONDARY and self.local and self.path is Path.BOTH

    @property
    def waiting_for(self) -> str:
        """What the path waits for, for the operator; empty for nothing."""
        if self.asking:
            return "the peer's answer to a query"
        if self.path is Path.REESTABLISHING:
            return "the primary's link to the cloud"
        if self.path is Path.WAITING:
            return "the secondary's link to the cloud"
        if self.path.local and self._all_up_since is not None:
            return "the hold time, then the cloud to have everything"
        return ""

    def own_link(self, state: LinkState, now: float) -> None:
        """This end's link to the cloud has changed."""
        was, self.mine = self.mine, state
        if state is was:
            return
        if state.bad and self._policy(state) is Policy.CONFIRM and self.rbs is _UP:
            self._ask(now)
            return
        if not state.bad:
            self._stop_asking()
            if self.theirs is _UNKNOWN and self.rbs is _UP:
                self._ask(now)
                return
        self._decide(_OWN.get(state, ""), now)

    def rbs_link(self, state: LinkState, now: float) -> None:
        """The RBS channel has changed."""
        was, self.rbs = self.rbs, state
        if state is was:
            return
        if state is not _UP:
            self._stop_asking()
            if self.local or self._starting:
                # The session may live on, and the other end may have seen nothing of it: it must know.
                self._outputs.append(StopLocal())
            self.local = self._starting = False
        elif self.mine.bad and self._policy(self.mine) is Policy.CONFIRM:
            self._ask(now)
            return
        self._decide("answered-bad", now)

    def session_lost(self, now: float) -> None:
        """The session is gone and local backup with it; it may be back before the link counts as down."""
        self.local = self._starting = False
        self._start_not_before = now + self.options.start_pause

    def session_opened(self, now: float) -> None:
        """There is a session again: what the path asks for is started on it at once."""
        self._start_not_before = now
        self._decide("", now)

    def told(self, state: LinkState, now: float) -> None:
        """The informant notified: its link to the cloud is in ``state`` (S602b, S702b, S802b, S902b)."""
        self.theirs = state
        if self.asking:
            self._stop_asking()
        self._decide(_TOLD.get(state, ""), now)

    def answer(self, state: LinkState, now: float) -> None:
        """The query was answered (S603a or S604a, S703a or S705a)."""
        if not self.asking:
            return
        self._stop_asking()
        self.theirs = state
        # Who does not know its own link yet tells of it once it does; asking at once would be a storm.
        self._ask_again_at = now + self.options.max_wait
        self._decide("answered-good" if state is _UP else "answered-bad", now)

    def query_failed(self, now: float) -> None:
        """The query was not answered; after the last try the other end's link is unknown."""
        if not self.asking:
            return
        if self._tries < self.options.query_tries:
            self._send_query(now)
            return
        self._stop_asking()
        self.theirs = _UNKNOWN
        self._ask_again_at = now + self.options.max_wait
        self._decide("answered-bad", now)

    def started(self, attempt: int, now: float) -> None:
        """The handshake succeeded: the primary sends second user-info.

        Nothing if it was called off meanwhile: behind the handshake the other end has been told so.
        """
        if not self._starting or attempt != self._attempt:
            return
        self._starting = False
        if self.rbs is _UP:
            self.local = True
        self._decide("started", now)

    def start_failed(self, attempt: int, reason: str, now: float) -> None:
        """The handshake failed; it is tried again after a pause for as long as the path asks for it."""
        if not self._starting or attempt != self._attempt:
            return
        self._starting = False
        self.reason = reason
        self._start_not_before = now + self.options.start_pause

    def caught_up(self, yes: bool, now: float) -> None:
        """Whether the cloud holds all that was sent locally; local backup ends no earlier."""
        if yes is not self._caught_up:
            self._caught_up = yes
            self._decide("reestablished", now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._ask_deadline is not None and now >= self._ask_deadline:
            self.query_failed(now)
        elif self._ask_again_due is not None and now >= self._ask_again_due:
            self._ask(now)
        self._decide("answered-bad", now)

    def next_deadline(self) -> float | None:
        """Return when :meth:`handle_timer` is due next, None for never."""
        path, times = self.path, []
        if self._ask_deadline is not None:
            times.append(self._ask_deadline)
        if (again := self._ask_again_due) is not None:
            times.append(again)
        if path.local:
            if self._all_up_since is not None and not self._held:
                times.append(self._all_up_since + self.options.hold)
            if not self.local and not self._starting:
                times.append(self._start_not_before)
        elif self._wait_deadline is not None and (path is Path.REESTABLISHING or path is Path.WAITING):
            times.append(self._wait_deadline)
        return min(times) if times else None

    def outputs(self) -> list[Output]:
        """Return what is to be done now, in order, and forget it."""
        if not self._outputs:
            return []
        drained = list(self._outputs)
        self._outputs.clear()
        return drained

    @property
    def _ask_again_due(self) -> float | None:
        """When to ask again what was not answered; an unknown link must not keep local backup up for ever."""
        unknown = self.theirs is _UNKNOWN and self.rbs is _UP
        return self._ask_again_at if unknown and not self.asking else None

    def _policy(self, state: LinkState) -> Policy:
        return self.options.degraded_policy if state is _DEGRADED else self.options.fault_policy

    def _ask(self, now: float) -> None:
        self._tries = 0
        self.asking = True
        self._send_query(now)

    def _send_query(self, now: float) -> None:
        self._tries += 1
        self._ask_deadline = now + self.options.query_timeout
        self._outputs.append(Ask(STEPS[self.role, "ask"]))

    def _stop_asking(self) -> None:
        self.asking = False
        self._ask_deadline = None

    def _decide(self, what: str, now: float) -> None:
        """Compare what the links ask for with what is in use, and move towards it."""
        if self.asking:
            return
        links = self.links
        all_up = links == _ALL_UP
        if not all_up:
            self._all_up_since, self._held = None, False
        elif self._all_up_since is None:
            self._all_up_since = now
        waited = self._wait_deadline is not None and now >= self._wait_deadline
        # Who backs up locally does not go back to waiting while one link is still bad.
        path = decide(links, self.options.fault_policy, waited=waited or self.path.local)
        if path is Path.CLOUD and self.path.local and self.rbs is _UP:
            path = self._return(now)
        if path not in (Path.REESTABLISHING, Path.WAITING):
            self._wait_deadline = None
        elif self._wait_deadline is None:
            self._wait_deadline = now + self.options.max_wait
        self._move(path, what, now)
        self._local(path, now)

    def _return(self, now: float) -> Path:
        """Go back to the cloud path: all links up for the hold time, then the cloud must have everything."""
        since = self._all_up_since
        if since is None or now - since < self.options.hold:
            return self.path
        self._held = True
        return Path.CLOUD if self._caught_up else Path.BOTH

    def _move(self, path: Path, what: str, now: float) -> None:
        if path is self.path:
            return
        if path is Path.CLOUD and self.path is Path.REESTABLISHING:
            what = "reestablished"
        if path in (Path.REESTABLISHING, Path.WAITING):
            own = self.mine is not _UP
            what = "answered-good" if own else "tell-wait"
            if not own:
                self._outputs.append(TellWait(STEPS[self.role, "tell-wait"]))
        step = STEPS.get((self.role, what), "")
        if path is Path.HOLD or (path is Path.CLOUD and self.path.local):
            step = ""  # no step of the figures: [0245], and the way back
        elif path is Path.CLOUD and self.path is Path.WAITING:
            step = self.step  # obtaining what came meanwhile belongs to the step that waited [0175, 0191]
        links = self.links
        reason = f"a {links.a.value}, b {links.b.value}, c {links.c.value}"
        self._outputs.append(PathChanged(self.path, path, reason, step, now))
        self.path, self.reason, self.step, self.since = path, reason, step, now

    def _local(self, path: Path, now: float) -> None:
        if path.local and not self.local and not self._starting and now >= self._start_not_before:
            self._starting = True
            self._attempt += 1
            self._outputs.append(StartLocal(self.step, self._attempt))
        elif not path.local and self.local:
            self.local = False
            self._outputs.append(StopLocal())
