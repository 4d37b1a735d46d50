"""The states of a virtual router as one table (RFC 9568 section 6.4, US 2021/0011813 A1 [0116], [0117]).

What is heard is judged before it becomes an event: whether a Master is superior depends on priority, address,
preemption and grants, and :class:`rui.vrrp.fsm.VirtualRouter` knows those. The table then says what follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from rui.vrrp.packet import Advertisement
from rui.vrrp.values import Source


class State(Enum):
    """Where a virtual router stands; the values are the identities of ietf-vrrp."""

    INITIALIZE = "initialize"
    """Waiting for startup: it neither speaks nor listens."""
    BACKUP = "backup"
    """Another router forwards; this one watches whether it is alive."""
    MASTER = "master"
    """This router forwards, and says so at every interval."""


@dataclass(frozen=True, slots=True)
class Startup:
    """The virtual router starts; it listens first."""


@dataclass(frozen=True, slots=True)
class OwnerStartup:
    """It starts at the router whose own addresses they are, which waits for nobody."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """It stops, by the operator's will or because its interface is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class SuperiorHeard:
    """An advertisement of a Master that this router accepts."""

    advertisement: Advertisement
    source: Source


@dataclass(frozen=True, slots=True)
class InferiorHeard:
    """An advertisement of a Master that this router may replace."""

    advertisement: Advertisement
    source: Source


@dataclass(frozen=True, slots=True)
class ResignationHeard:
    """A Master said by priority 0 that it stops."""

    source: Source


@dataclass(frozen=True, slots=True)
class MasterSilent:
    """Master_Down_Timer has expired, or the Master is known dead by other evidence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Preemption:
    """Master_Down_Timer has expired while an inferior Master was heard."""

    source: Source


@dataclass(frozen=True, slots=True)
class Granted:
    """The cloud lets this router preempt a live Master [0245]."""


@dataclass(frozen=True, slots=True)
class AdvertisementDue:
    """Adver_Timer has expired."""


@dataclass(frozen=True, slots=True)
class AnnouncementDue:
    """The hosts are to be told once more where the addresses are."""


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """Tracking or yielding has changed the priority."""


@dataclass(frozen=True, slots=True)
class Thawed:
    """This process stood still for so long that the others have given it up."""

    seconds: float


Event = (
    Startup
    | OwnerStartup
    | Shutdown
    | SuperiorHeard
    | InferiorHeard
    | ResignationHeard
    | MasterSilent
    | Preemption
    | Granted
    | AdvertisementDue
    | AnnouncementDue
    | PriorityChanged
    | Thawed
)


def why(event: Event) -> str:
    """Return why a state was left, for operators."""
    match event:
        case Startup():
            return "started"
        case OwnerStartup():
            return "started as the owner of the addresses"
        case Shutdown(reason) | MasterSilent(reason):
            return reason
        case SuperiorHeard(advertisement, source):
            return f"{source} is Master with priority {advertisement.priority}"
        case Preemption(source):
            return f"preempts {source}"
        case Granted():
            return "the cloud has granted it"
        case Thawed(seconds):
            return f"this process stood still for {seconds:.3g} s"
    return type(event).__name__


_S = State

TRANSITIONS: Final[dict[tuple[State, type[Event]], State]] = {
    (_S.INITIALIZE, Startup): _S.BACKUP,
    (_S.INITIALIZE, OwnerStartup): _S.MASTER,
    (_S.BACKUP, Shutdown): _S.INITIALIZE,
    (_S.BACKUP, SuperiorHeard): _S.BACKUP,
    (_S.BACKUP, ResignationHeard): _S.BACKUP,  # only the skew is waited for: the best Backup speaks first
    (_S.BACKUP, MasterSilent): _S.MASTER,
    (_S.BACKUP, Preemption): _S.MASTER,
    (_S.BACKUP, Granted): _S.MASTER,
    (_S.BACKUP, Thawed): _S.BACKUP,  # the silence was our own: listen anew
    (_S.MASTER, Shutdown): _S.INITIALIZE,
    (_S.MASTER, SuperiorHeard): _S.BACKUP,
    (_S.MASTER, InferiorHeard): _S.MASTER,  # answered at once, so that the other gives way
    (_S.MASTER, ResignationHeard): _S.MASTER,  # answered at once, so that no Backup takes over
    (_S.MASTER, Granted): _S.MASTER,
    (_S.MASTER, AdvertisementDue): _S.MASTER,
    (_S.MASTER, AnnouncementDue): _S.MASTER,
    (_S.MASTER, PriorityChanged): _S.MASTER,  # said at once: a Backup may be waiting for it
    (_S.MASTER, Thawed): _S.BACKUP,  # somebody else may be Master by now
}
"""The next state. One that is the same state again has an effect nevertheless, as its comment says."""

IGNORED: Final[frozenset[tuple[State, type[Event]]]] = frozenset(
    {
        (_S.INITIALIZE, Shutdown),
        (_S.INITIALIZE, SuperiorHeard),  # RFC 9568 section 6.4.1: nothing but startup counts here
        (_S.INITIALIZE, InferiorHeard),
        (_S.INITIALIZE, ResignationHeard),
        (_S.INITIALIZE, MasterSilent),
        (_S.INITIALIZE, Preemption),
        (_S.INITIALIZE, Granted),  # kept: it counts from startup on, while it lasts
        (_S.INITIALIZE, AdvertisementDue),
        (_S.INITIALIZE, AnnouncementDue),
        (_S.INITIALIZE, PriorityChanged),
        (_S.INITIALIZE, Thawed),
        (_S.BACKUP, Startup),
        (_S.BACKUP, OwnerStartup),
        (_S.BACKUP, InferiorHeard),  # Master_Down_Timer runs on, and at its end this router preempts
        (_S.BACKUP, AdvertisementDue),
        (_S.BACKUP, AnnouncementDue),
        (_S.BACKUP, PriorityChanged),  # counts from the next advertisement on
        (_S.MASTER, Startup),
        (_S.MASTER, OwnerStartup),
        (_S.MASTER, MasterSilent),  # the silent Master is this router
        (_S.MASTER, Preemption),  # as a Backup only
    }
)
"""Pairs that change nothing, each on purpose; every other pair is in TRANSITIONS."""
