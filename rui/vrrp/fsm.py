"""One virtual router without I/O (RFC 9568 section 6.4, RFC 3768 section 6.4).

Advertisements, hooks and the time come in; advertisements and changes of role come out. Beyond the RFCs:
preemption is gated, a Master may yield, the cloud may grant mastership, and a process that stood still
listens before it speaks. A silent Master is replaced whatever those say.
"""

from __future__ import annotations

from typing import Final

from rui.vrrp import states
from rui.vrrp.packet import OWNER, RESIGNING, Advertisement, Fault
from rui.vrrp.states import TRANSITIONS, Event, State
from rui.vrrp.values import (
    GRANTED,
    YIELDING,
    Announce,
    BecomeBackup,
    BecomeMaster,
    Claim,
    Counters,
    Heard,
    Output,
    Send,
    Source,
    Stop,
    VrrpOptions,
)

_NEVER = float("inf")
_ANNOUNCEMENTS: Final = 3
"""RFC 9568 asks for one; but where that is lost, a host is left without its gateway."""
_ANNOUNCE_EVERY: Final = 1.0
_CLAIM_INTERVALS: Final = 3
"""A Master that is alive stops when it hears of us; the kernel of a dead one when its gate has lapsed."""
_ANSWERS: Final = 10
"""Answers to inferior Masters in one interval: two that disagree must not answer each other without end."""


class VirtualRouter:
    """One virtual router, in Initialize until :meth:`start`.

    Every method takes ``now`` and may leave something in :meth:`outputs`.
    """

    def __init__(self, options: VrrpOptions, source: Source, now: float) -> None:
        """``source`` is what the other routers see as the sender of our advertisements."""
        self.options = options
        self.source = source
        self.state = State.INITIALIZE
        self.since = now
        self.reason = "not started"
        self.last_event: type[Event] | None = None
        self.priority = options.priority
        self.priority_reason = "configured"
        self.preemption_allowed = True
        self.granted_until = self._granted_at = -_NEVER
        self._relieved: Source | None = None
        self.master: Heard | None = None
        self.opposing: Source | None = None
        self.counters = Counters()
        self._interval = options.interval / 100
        self._outputs: list[Output] = []
        self._master_down_at = _NEVER
        self._advertise_at = _NEVER
        self._announce_at = _NEVER
        self._announcements = 0
        self._sent_at = -_NEVER
        self._eligible_since: float | None = None
        self._silence = ""
        self._trusted_from = -_NEVER

    def start(self, now: float) -> None:
        """Leave Initialize; an owner is Master at once, anybody else listens first."""
        self._handle(states.OwnerStartup() if self.options.owner else states.Startup(), now)

    def shutdown(self, reason: str, now: float) -> None:
        """Go to Initialize; a Master resigns by priority 0, so that nobody waits for its silence."""
        self._handle(states.Shutdown(reason), now)

    def receive(self, advertisement: Advertisement, source: Source, now: float) -> None:
        """Take an advertisement whose packet was good (TTL, checksum, lengths)."""
        self._thaw(now)
        if self.state is State.INITIALIZE or self.options.owner or not self._relevant(advertisement, source):
            return
        if advertisement.priority == RESIGNING:
            self.counters.resignations_received += 1
            self._handle(states.ResignationHeard(source), now)
        elif self._usable_grant(now):
            self._handle(states.Granted(), now)
        elif self._accepts(advertisement, source, now):
            self._handle(states.SuperiorHeard(advertisement, source), now)
        else:
            self.opposing = source
            self._handle(states.InferiorHeard(advertisement, source), now)

    def refused(self, fault: Fault) -> None:
        """Count a packet that the transport or the decoder refused."""
        self.counters.faults[fault] += 1

    def handle_timer(self, now: float) -> None:
        """Do what is due; :meth:`next_deadline` says when to call."""
        self._thaw(now)
        if now >= self._master_down_at:
            silent = states.MasterSilent(self._silence)
            self._handle(silent if self.opposing is None else states.Preemption(self.opposing), now)
        if now >= self._advertise_at:
            self._handle(states.AdvertisementDue(), now)
        if now >= self._announce_at:
            self._handle(states.AnnouncementDue(), now)

    def next_deadline(self) -> float | None:
        """Return when to call :meth:`handle_timer`, or None while nothing is awaited."""
        deadline = min(self._master_down_at, self._advertise_at, self._announce_at)
        return None if deadline == _NEVER else deadline

    def outputs(self) -> list[Output]:
        """Take what is to be done, in its order."""
        taken, self._outputs = self._outputs, []
        return taken

    def set_priority(self, priority: int, reason: str, now: float) -> None:
        """Change the priority that is advertised: tracking, or YIELDING while a Master [0245].

        An owner's stays as it is, by definition. Raises ValueError outside 1 to 254.
        """
        if not YIELDING <= priority < OWNER:
            raise ValueError(f"priority {priority} is not in {YIELDING} to {OWNER - 1}")
        self._thaw(now)
        if self.options.owner or priority == self.priority:
            return
        self.priority, self.priority_reason = priority, reason
        if priority == YIELDING:
            self.granted_until = -_NEVER
        self._handle(states.PriorityChanged(), now)

    def allow_preemption(self, allowed: bool, now: float) -> None:
        """Gate preemption, by being in sync and wait-to-restore; it is open at first."""
        self._thaw(now)
        self.preemption_allowed = allowed
        if not allowed and self.state is State.BACKUP and self.opposing is not None:
            # It was about to be replaced, and is alive: its next advertisement is accepted again
            self.opposing = self._eligible_since = None
            self._master_down_at = now + self.master_down_interval

    def grant(self, until: float, now: float) -> None:
        """The cloud lets a Backup preempt a live Master until then, whatever mode and gate say.

        A Backup takes over at once and advertises GRANTED while it lasts. It is void once this router was
        replaced, or yields.
        """
        self._thaw(now)
        if self.options.owner or self.priority == YIELDING:
            return
        self.granted_until, self._granted_at = until, now
        master = self.master
        self._relieved = master.source if master is not None and master.priority == GRANTED else None
        if self._usable_grant(now) or (self.state is State.MASTER and now < until):
            self._handle(states.Granted(), now)

    def bfd_down(self, now: float, source: Source | None = None) -> None:
        """Other evidence, on the access side, says that the Master (``source``, if given) is dead.

        What was concluded while this process stood still does not count.
        """
        self._thaw(now)
        if now < self._trusted_from or (
            source is not None and (self.master is None or self.master.source != source)
        ):
            return
        self._handle(states.MasterSilent("the Master is dead by BFD"), now)

    def advertised_priority(self, now: float) -> int:
        """Return the priority that counts now, a grant included; one that yields has none."""
        return GRANTED if now < self.granted_until else self.priority

    @property
    def skew(self) -> float:
        """Skew_Time in seconds: the lower the priority, the later a Backup speaks (section 6.1)."""
        unit = 1.0 if self.options.version == 2 else self._interval
        return (256 - self.priority) * unit / 256

    @property
    def master_down_interval(self) -> float:
        """Silence in seconds after which a Backup takes over (section 6.1)."""
        return 3 * self._interval + self.skew

    def _relevant(self, advertisement: Advertisement, source: Source) -> bool:
        """Whether it is for this virtual router, of a version and interval that counts here."""
        options, faults = self.options, self.counters.faults
        if source == self.source:
            return False
        if advertisement.vrid != options.vrid:
            faults[Fault.VRID] += 1
            return False
        if advertisement.version != options.version:
            if not (options.compatible and advertisement.version == 2):
                faults[Fault.VERSION] += 1
                return False
            if self.master is not None and self.master.source == source and self.master.version == 3:
                return False  # it says the same in version 3, and more exactly (section 8.4)
        elif options.version == 2 and advertisement.interval != options.interval:
            faults[Fault.INTERVAL] += 1
            return False
        self.counters.received += 1
        if set(advertisement.addresses) != set(options.addresses):
            self.counters.address_list_errors += 1
        return True

    def _accepts(self, advertisement: Advertisement, source: Source, now: float) -> bool:
        """Judge a live Master: RFC 9568 sections 6.4.2 and 6.4.3, and the gates."""
        own = self.advertised_priority(now)
        if self.state is State.MASTER:
            if advertisement.priority == GRANTED and now < self.granted_until:
                if now - max(self.since, self._granted_at) >= self.master_down_interval:
                    # Whom this router replaced has given way by now, so the other's grant is the newer one
                    own = self.priority
                elif source == self._relieved:
                    return False  # Said before it has heard of this grant, which is newer than its own
            return (advertisement.priority, source) > (own, self.source)
        if advertisement.priority >= own or not self._may_preempt(advertisement):
            self._eligible_since = None
            return True
        if self._eligible_since is None:
            self._eligible_since = now
        return now - self._eligible_since < self.options.preempt_delay

    def _may_preempt(self, advertisement: Advertisement) -> bool:
        if self.options.yield_needs_grant and advertisement.priority == YIELDING:
            return False
        return self.options.preempt and self.preemption_allowed

    def _usable_grant(self, now: float) -> bool:
        return self.state is State.BACKUP and self._trusted_from <= now < self.granted_until

    def _thaw(self, now: float) -> None:
        """Find out whether this process stood still for a Master_Down_Interval: then it is Backup first."""
        if self.state is State.MASTER:
            stood_still = now - self._sent_at
        elif self.state is State.BACKUP:
            stood_still = now - self._master_down_at
        else:
            return
        if stood_still >= self.master_down_interval:
            self._trusted_from = now + self.master_down_interval
            self._handle(states.Thawed(stood_still), now)

    def _handle(self, event: Event, now: float) -> None:
        target = TRANSITIONS.get((self.state, type(event)))
        if target is None:
            return
        if target is not self.state:
            self._change_state(target, event, now)
        elif target is State.MASTER:
            self._repeat(event, now)
        else:
            self._listen(event, now)

    def _change_state(self, target: State, event: Event, now: float) -> None:
        previous, self.state = self.state, target
        self.since, self.reason, self.last_event = now, states.why(event), type(event)
        self._master_down_at = self._advertise_at = self._announce_at = _NEVER
        self._eligible_since = None
        match target:
            case State.MASTER:
                self._enter_master(event, now)
            case State.BACKUP:
                self.granted_until = -_NEVER if previous is State.MASTER else self.granted_until
                self._listen(event, now)
                self._outputs.append(BecomeBackup(self.reason))
            case State.INITIALIZE:
                if previous is State.MASTER:
                    self._send(RESIGNING, now)
                self.master = self.opposing = None
                self._outputs.append(Stop(self.reason))

    def _enter_master(self, event: Event, now: float) -> None:
        self._interval = self.options.interval / 100
        self.counters.master_transitions += 1
        replaces = self.master is not None or self.opposing is not None
        self.master = self.opposing = None
        if isinstance(event, states.Granted | states.Preemption):
            # Done before it is said: a live Master forwards until it hears of it
            self._outputs.append(BecomeMaster(self.reason))
            self._advertise(now)
        else:
            # Said before it is done: other Backups must hear of it before their timers expire
            self._advertise(now)
            self._outputs.append(BecomeMaster(self.reason))
        if replaces:
            self._outputs.append(Claim(_CLAIM_INTERVALS * self._interval))
        self._announcements = _ANNOUNCEMENTS
        self._announce(now)

    def _listen(self, event: Event, now: float) -> None:
        """Set Master_Down_Timer as a Backup, by what was heard."""
        self.opposing = None
        match event:
            case states.ResignationHeard(source):
                self._silence = f"the Master {source} has resigned"
                self._master_down_at = now + self.skew
                return
            case states.SuperiorHeard(advertisement, source):
                self.master = Heard(source, advertisement.priority, advertisement.version, now)
                self._silence = f"the Master {source} is silent"
                self._interval = advertisement.interval / 100
            case _:
                self.master = None
                self._silence = "no Master is heard"
                self._interval = self.options.interval / 100
        self._master_down_at = now + self.master_down_interval

    def _repeat(self, event: Event, now: float) -> None:
        """Say again, as a Master, what must be said."""
        match event:
            case states.AnnouncementDue():
                self._announce(now)
            case states.InferiorHeard() if now < self._sent_at + self._interval / _ANSWERS:
                self._advertise_at = min(self._advertise_at, self._sent_at + self._interval / _ANSWERS)
            case _:
                self._advertise(now)

    def _advertise(self, now: float) -> None:
        self._send(self.advertised_priority(now), now)
        self._advertise_at = now + self._interval

    def _send(self, priority: int, now: float) -> None:
        options = self.options
        self.counters.sent += 1
        self.counters.resignations_sent += priority == RESIGNING
        self._sent_at = now
        self._outputs.append(
            Send(Advertisement(options.version, options.vrid, priority, options.interval, options.addresses))
        )
        if options.compatible:
            seconds = -(-options.interval // 100)
            self._outputs.append(
                Send(Advertisement(2, options.vrid, priority, seconds * 100, options.addresses))
            )

    def _announce(self, now: float) -> None:
        self._outputs.append(Announce())
        self._announcements -= 1
        self._announce_at = now + _ANNOUNCE_EVERY if self._announcements > 0 else _NEVER
