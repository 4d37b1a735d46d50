"""What goes into a virtual router and what comes out of it. Times are monotonic seconds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from rui.vrrp.packet import LONGEST_INTERVAL, OWNER, Advertisement, Fault, IPAddress

YIELDING: Final = 1
"""Priority of a Master that forwards until somebody else does [0245]."""
GRANTED: Final = 254
"""Priority of a Master by the cloud's grant, so that the Master that it replaces gives way."""


class OptionsError(ValueError):
    """Settings that cannot work together; the message says which and what to do."""


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """Who sends: by its order equal priorities are decided. The port tells routers on one host apart."""

    address: IPAddress
    port: int = 0

    def __str__(self) -> str:
        return f"{self.address} port {self.port}" if self.port else str(self.address)


@dataclass(frozen=True, slots=True)
class VrrpOptions:
    """One virtual router as configured; the intervals are in centiseconds, the delay in seconds.

    ``addresses`` are advertised and of one family; an IPv6 router's first one is link-local (RFC 9568
    section 5.2.9). ``compatible`` also speaks version 2 beside version 3 (section 8.4).
    With ``yield_needs_grant`` only a granted Backup replaces a Master that advertises priority 1. Raises
    OptionsError.
    """

    vrid: int
    addresses: tuple[IPAddress, ...]
    priority: int = 100
    interval: int = 100
    version: int = 3
    compatible: bool = False
    preempt: bool = True
    preempt_delay: float = 0.0
    yield_needs_grant: bool = False

    def __post_init__(self) -> None:
        self._check_addresses()
        longest = 25_500 if self.version == 2 else LONGEST_INTERVAL
        if not 1 <= self.interval <= longest:
            raise OptionsError(f"interval {self.interval} is not in 1 to {longest} centiseconds")
        if self.version not in (2, 3):
            raise OptionsError(f"there is no VRRP version {self.version}: set 2 or 3")
        if self.version == 2 and self.interval % 100:
            raise OptionsError(
                f"version 2 has whole seconds, not {self.interval} centiseconds: use version 3"
            )
        if not 1 <= self.vrid <= 255:
            raise OptionsError(f"virtual router id {self.vrid} is not in 1 to 255")
        if not 1 <= self.priority <= OWNER:
            raise OptionsError(f"priority {self.priority} is not in 1 to {OWNER}")
        if self.preempt_delay < 0:
            raise OptionsError(f"preempt delay {self.preempt_delay} s is negative")
        if self.yield_needs_grant and not YIELDING < self.priority < GRANTED:
            raise OptionsError(
                f"priority {self.priority} in a group that yields: {YIELDING} is a Master that yields, "
                f"{GRANTED} one with a grant, and an owner ({OWNER}) never gives way; set 2 to {GRANTED - 1}"
            )

    def _check_addresses(self) -> None:
        families = {address.version for address in self.addresses}
        if len(families) != 1:
            raise OptionsError("a virtual router needs addresses of one family: list the others as carried")
        if len(set(self.addresses)) != len(self.addresses) or len(self.addresses) > 255:
            raise OptionsError("the virtual addresses are more than 255, or one stands twice")
        if families == {6} and not self.addresses[0].is_link_local:
            raise OptionsError(f"the first IPv6 address must be link-local, not {self.addresses[0]}")
        if families == {6} and (self.version != 3 or self.compatible):
            raise OptionsError("IPv6 has version 3 only")

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.addresses[0].version

    @property
    def owner(self) -> bool:
        """Whether the addresses are this router's own."""
        return self.priority == OWNER


@dataclass(frozen=True, slots=True)
class Send:
    """Send this to all routers of the group, at once."""

    advertisement: Advertisement


@dataclass(frozen=True, slots=True)
class BecomeMaster:
    """Take the addresses and forward."""

    reason: str


@dataclass(frozen=True, slots=True)
class BecomeBackup:
    """Leave the addresses and the forwarding to another router."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave the addresses: the virtual router is in Initialize."""

    reason: str


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell hosts and switches where the addresses are: gratuitous ARP, unsolicited Neighbor Advertisement."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Have switches find the virtual MAC here again and again, for so many seconds or until Backup.

    Each frame that the Master that was replaced still forwards leads them back to it; what goes to it after
    its last one is lost.
    """

    seconds: float


Output = Send | BecomeMaster | BecomeBackup | Stop | Announce | Claim


@dataclass(frozen=True, slots=True)
class Heard:
    """The Master that a Backup follows."""

    source: Source
    priority: int
    version: int
    at: float


@dataclass(slots=True)
class Counters:
    """Since the start, in the terms of ietf-vrrp; ``faults`` counts what was refused, by its rule."""

    master_transitions: int = 0
    received: int = 0
    sent: int = 0
    resignations_received: int = 0
    resignations_sent: int = 0
    address_list_errors: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
