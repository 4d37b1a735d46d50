"""One group's election on a link: feed advertisements, carry out what comes of them, arm one timer.

What follows from an event is done before anything else has its turn: the users wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from router.vrrp.transport import Handlers, Transport, TransportError
from rui.vrrp.fsm import VirtualRouter
from rui.vrrp.packet import Advertisement, Fault, IPAddress
from rui.vrrp.states import Event, State
from rui.vrrp.values import (
    YIELDING,
    Announce,
    BecomeBackup,
    BecomeMaster,
    Claim,
    Counters,
    Output,
    Send,
    Source,
    Stop,
    VrrpOptions,
)

log = structlog.get_logger(__name__)

_LOG_EVERY = 10.0
_TRY_AGAIN = 5.0
"""Seconds until a virtual router that could not take its addresses is tried again."""

RoleChanged = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ElectionState:
    """What operators see. Durations are in seconds, ``since`` and ``started`` by the wall clock."""

    vrid: int
    state: State
    since: datetime
    started: datetime
    reason: str
    last_event: type[Event] | None
    priority: int
    priority_reason: str
    owner: bool
    preemption_allowed: bool
    granted: bool
    own_address: IPAddress
    master_address: IPAddress | None
    last_source: IPAddress | None
    master_down_interval: float
    skew: float
    link: str
    suspended: str
    counters: Counters


class Election:
    """The sockets and the timer around a :class:`VirtualRouter`.

    ``on_master`` and ``on_backup`` are called in the event loop with the reason, at each change of role, and
    at the start with what it starts as. Hooks count before the start too; times given are the loop's.
    """

    def __init__(
        self,
        group: str,
        options: VrrpOptions,
        transport: Transport,
        *,
        on_master: RoleChanged,
        on_backup: RoleChanged,
        tracks: Mapping[str, int] | None = None,
    ) -> None:
        """``tracks``: names of BFD sessions, and what the priority loses while one is not up."""
        self._group = group
        self._options = options
        self._transport = transport
        self._on_master = on_master
        self._on_backup = on_backup
        # The link says at the start what our address is
        self._router = VirtualRouter(options, Source(options.addresses[0]), 0.0)
        self._tracks = dict(tracks or {})
        self._untrusted = set(self._tracks)
        self._priority, self._priority_reason = options.priority, "configured"
        self._holds: dict[str, str] = {}
        self._told: bool | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._logged_at: dict[str, float] = {}
        self._last_source: IPAddress | None = None
        self._carrying_out = False
        self._open = False
        self._started = datetime.now(UTC)
        if self._tracks:
            self._set_priority()

    async def start(self) -> None:
        """Open the link and listen. Raises TransportError."""
        self._router.source = await self._transport.open(Handlers(self._heard, self._refused, self._link))
        self._open = True
        self._started = datetime.now(UTC)
        log.info(
            "vrrp-started",
            group=self._group,
            link=self._transport.name,
            vrid=self._options.vrid,
            priority=self._options.priority,
            address=str(self._router.source.address),
        )
        if self._holds:
            self._change(master=False, reason="; ".join(self._holds.values()))
        else:
            self._router.start(self._now())
        self._carry_out()

    async def close(self) -> None:
        """Resign if Master, give up the addresses, close the link."""
        if self._open:
            self._router.shutdown("stopped", self._now())
            self._carry_out()
        self._open = False
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()
        await self._transport.close()

    def set_priority(self, priority: int, reason: str) -> None:
        """Advertise another priority, less what is tracked and down; or 1 to yield.

        Raises ValueError outside 1 to 254.
        """
        self._priority, self._priority_reason = priority, reason
        self._set_priority()
        self._carry_out()

    def track(self, session: str, *, trusted: bool) -> None:
        """A BFD session is up, or down on purpose (``trusted``), or has failed; most are not tracked."""
        if session in self._tracks and trusted is (session in self._untrusted):
            (self._untrusted.remove if trusted else self._untrusted.add)(session)
            self._set_priority()
            self._carry_out()

    def _set_priority(self) -> None:
        """Tell the core what is wished, less what is tracked: above who yields, and never above the wish."""
        lost, down = sum(self._tracks[name] for name in self._untrusted), sorted(self._untrusted)
        priority = min(self._priority, max(YIELDING + 1, self._priority - lost))
        reason = (
            f"{self._priority_reason}; BFD session {', '.join(down)} not up"
            if down
            else self._priority_reason
        )
        if not self._options.owner:
            self._router.set_priority(priority, reason, self._now())

    def allow_preemption(self, allowed: bool) -> None:
        """Gate preemption by being in sync and wait-to-restore; a silent Master is replaced anyhow."""
        self._router.allow_preemption(allowed, self._now())
        self._carry_out()

    def grant(self, until: float) -> None:
        """The cloud lets a Backup preempt until that loop time."""
        self._router.grant(until, self._now())
        self._carry_out()

    def bfd_down(self, address: IPAddress | None = None) -> None:
        """BFD on the access side says that the Master (that address, if given) is dead."""
        if address is None or self.master_address == address:
            self._router.bfd_down(self._now())
            self._carry_out()

    def suspend(self, who: str, reason: str) -> None:
        """Leave the election until everybody who suspended it has resumed it; a Master resigns."""
        self._holds[who] = reason
        if self._open:
            self._router.shutdown(reason, self._now())
            self._carry_out()

    def resume(self, who: str) -> None:
        """Take part again; as a Backup first."""
        if self._holds.pop(who, None) is not None and not self._holds and self._open:
            self._router.start(self._now())
            self._carry_out()

    @property
    def master_address(self) -> IPAddress | None:
        """The Master's address, our own if it is us; None while none is known."""
        if self._router.state is State.MASTER:
            return self._router.source.address
        return None if self._router.master is None else self._router.master.source.address

    @property
    def stands(self) -> bool:
        """Whether this router takes part: its link is up."""
        return self._router.state is not State.INITIALIZE

    @property
    def master_priority(self) -> int | None:
        """What the Master that this Backup follows says of itself; None while none is heard."""
        return None if self._router.master is None else self._router.master.priority

    def state(self) -> ElectionState:
        """Return the state for operators."""
        router, now = self._router, self._now()
        return ElectionState(
            vrid=self._options.vrid,
            state=router.state,
            since=datetime.now(UTC) - timedelta(seconds=now - router.since),
            started=self._started,
            reason=router.reason,
            last_event=router.last_event,
            priority=router.advertised_priority(now),
            priority_reason=router.priority_reason,
            owner=self._options.owner,
            preemption_allowed=router.preemption_allowed,
            granted=now < router.granted_until,
            own_address=router.source.address,
            master_address=self.master_address,
            last_source=self._last_source,
            master_down_interval=router.master_down_interval,
            skew=router.skew,
            link=self._transport.name,
            suspended="; ".join(self._holds.values()),
            counters=router.counters,
        )

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _heard(self, advertisement: Advertisement, source: Source) -> None:
        self._last_source = source.address
        self._router.receive(advertisement, source, self._now())
        self._carry_out()

    def _refused(self, fault: Fault, detail: str) -> None:
        self._router.refused(fault)
        if self._may_log(fault.value):
            log.warning("vrrp-packet-refused", group=self._group, why=fault.value, detail=detail)

    def _link(self, up: bool) -> None:
        if up:
            self.resume("link")
        else:
            self.suspend("link", f"{self._transport.name} is down")

    def _on_timer(self) -> None:
        self._timer = None
        self._router.handle_timer(self._now())
        self._carry_out()

    def _carry_out(self) -> None:
        """Do what is to be done, in order; a callback that comes back in here adds to the end of it."""
        if self._carrying_out:
            return
        self._carrying_out = True
        try:
            while outputs := self._router.outputs():
                for output in outputs:
                    self._do(output)
        finally:
            # Also where a callback has failed: a Master that falls silent is no longer one
            self._carrying_out = False
            self._rearm()

    def _do(self, output: Output) -> None:
        match output:
            case Send() | Announce():
                self._speak(output)
            case Claim(seconds):
                self._transport.claim(seconds)
            case BecomeMaster(reason):
                self._change(master=True, reason=reason)
            case BecomeBackup(reason) | Stop(reason):
                self._change(master=False, reason=reason)

    def _speak(self, output: Send | Announce) -> None:
        try:
            if isinstance(output, Send):
                self._transport.send(output.advertisement)
            else:
                self._transport.announce()
        except OSError as error:
            if self._may_log(f"send {error.errno}"):
                log.warning("vrrp-not-sent", group=self._group, link=self._transport.name, why=str(error))

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._router.next_deadline() if self._open else None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._on_timer)

    def _change(self, *, master: bool, reason: str) -> None:
        if not master:
            try:
                self._tell(master=False, reason=reason)
            finally:
                # Who listens may have had something to hand over first
                self._move_addresses(self._transport.release)
        elif self._move_addresses(self._transport.take):
            self._tell(master=True, reason=reason)

    def _tell(self, *, master: bool, reason: str) -> None:
        if master is self._told:
            return
        self._told = master
        priority = self._router.advertised_priority(self._now())
        event = "vrrp-master" if master else "vrrp-backup"
        log.info(event, group=self._group, reason=reason, priority=priority)
        (self._on_master if master else self._on_backup)(reason)

    def _move_addresses(self, move: Callable[[], None]) -> bool:
        """Take them or release them; return False where this router gives up being Master."""
        try:
            move()
        except TransportError as error:
            log.error("vrrp-addresses-not-moved", group=self._group, why=str(error), retry=_TRY_AGAIN)
            if self._router.state is State.MASTER:
                self._give_up(str(error))
                return False
        return True

    def _give_up(self, why: str) -> None:
        """A Master without its addresses would swallow the traffic: leave it to the others for a while."""
        self.suspend("addresses", why)
        if self._open:
            self._retry = asyncio.get_running_loop().call_later(_TRY_AGAIN, self.resume, "addresses")

    def _may_log(self, subject: str) -> bool:
        """Say each thing once in ten seconds at most: whoever floods the link must not flood the log."""
        now = self._now()
        if now - self._logged_at.get(subject, -_LOG_EVERY) < _LOG_EVERY:
            return False
        self._logged_at[subject] = now
        return True
