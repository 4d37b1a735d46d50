"""Alarms: lasting faults that an operator has to know of, each raised and cleared once (RFC 8632's terms).

An alarm is told apart by its type, its group and its peer, either of which may be empty. Setting it again
while it is raised changes its text and nothing else, so whoever sees a condition may say so as often as it
looks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple


class AlarmType(Enum):
    """The types of module ``rui-alarms``, by their names there."""

    CLOUD_UNREACHABLE = "cloud-unreachable"
    DEVICE_UNREACHABLE = "device-unreachable"
    LOCAL_BACKUP_ACTIVE = "local-backup-active"
    DUAL_PRIMARY = "dual-primary"
    UNPROTECTED_USERS = "unprotected-users"
    DIGEST_MISMATCH = "digest-mismatch"
    ADDRESS_CONFLICT = "address-conflict"
    NEEDS_SNAPSHOT = "needs-snapshot"
    INITIATOR_MISMATCH = "initiator-mismatch"
    JOURNAL_BEHIND_CLOUD = "journal-behind-cloud"
    STORE_FAILING = "store-failing"
    DELIVERY_FAILING = "delivery-failing"
    JOURNAL_FAILING = "journal-failing"
    JOURNAL_NEARLY_FULL = "journal-nearly-full"
    BFD_SESSION_DOWN = "bfd-session-down"


class Severity(Enum):
    """How bad it is; "cleared" is no severity but a state of its own."""

    WARNING = "warning"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


_T, _S = AlarmType, Severity
SEVERITIES: dict[AlarmType, Severity] = {
    _T.CLOUD_UNREACHABLE: _S.MAJOR,
    _T.DEVICE_UNREACHABLE: _S.MAJOR,
    _T.LOCAL_BACKUP_ACTIVE: _S.WARNING,
    _T.DUAL_PRIMARY: _S.CRITICAL,
    _T.UNPROTECTED_USERS: _S.MAJOR,
    _T.DIGEST_MISMATCH: _S.MAJOR,
    _T.ADDRESS_CONFLICT: _S.MAJOR,
    _T.NEEDS_SNAPSHOT: _S.MINOR,
    _T.INITIATOR_MISMATCH: _S.MINOR,
    _T.JOURNAL_BEHIND_CLOUD: _S.CRITICAL,
    _T.STORE_FAILING: _S.CRITICAL,
    _T.DELIVERY_FAILING: _S.MAJOR,
    _T.JOURNAL_FAILING: _S.CRITICAL,
    _T.JOURNAL_NEARLY_FULL: _S.MAJOR,
    _T.BFD_SESSION_DOWN: _S.MAJOR,
}


class AlarmKey(NamedTuple):
    """What tells alarms apart; ``peer`` is ``cloud`` or a device-id."""

    type: AlarmType
    group: str = ""
    peer: str = ""

    @property
    def resource(self) -> str:
        """What the alarm is about, in one text."""
        parts = [f"{name}/{value}" for name, value in (("group", self.group), ("peer", self.peer)) if value]
        return "/".join(parts) or "device"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that is raised, or was lately. Times are seconds since 1970.

    ``created`` is the first time it was raised, ``raised`` the latest, ``cleared`` None while it is raised.
    """

    key: AlarmKey
    text: str
    created: float
    raised: float
    changed: float
    cleared: float | None = None

    @property
    def severity(self) -> Severity:
        """How bad it is while it is raised."""
        return SEVERITIES[self.key.type]


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """An alarm was raised or cleared, for the history, the log and whoever has subscribed."""

    index: int
    alarm: Alarm

    @property
    def raised(self) -> bool:
        """Whether it was raised, not cleared."""
        return self.alarm.cleared is None

    @property
    def at(self) -> float:
        """When, in seconds since 1970."""
        return self.alarm.changed


class AlarmBook:
    """All alarms of one device: the raised ones, a bounded number of cleared ones, and the latest changes.

    The number of raised ones is bounded by the types, groups and peers that there are.
    """

    def __init__(self, *, cleared: int = 256, history: int = 256) -> None:
        self.history: deque[AlarmChange] = deque(maxlen=history)
        self._keep = cleared
        self._raised: dict[AlarmKey, Alarm] = {}
        # Those cleared longest ago come first
        self._cleared: dict[AlarmKey, Alarm] = {}
        self._count = 0

    def set(self, key: AlarmKey, active: bool, text: str, wall: float) -> AlarmChange | None:
        """Say whether the condition holds now; return what that has changed, None where nothing.

        ``text`` says what is wrong and what to do; what clears an alarm may say how it ended.
        """
        held = self._raised.get(key)
        if active and held is not None:
            if text != held.text:
                self._raised[key] = replace(held, text=text, changed=wall)
            return None
        if active:
            before = self._cleared.pop(key, None)
            created = wall if before is None else before.created
            alarm = self._raised[key] = Alarm(key, text, created, wall, wall)
        elif held is not None:
            del self._raised[key]
            alarm = replace(held, text=text or held.text, changed=wall, cleared=wall)
            self._cleared[key] = alarm
            if len(self._cleared) > self._keep:
                del self._cleared[next(iter(self._cleared))]
        else:
            return None
        self._count += 1
        change = AlarmChange(self._count, alarm)
        self.history.append(change)
        return change

    def raised(self, type_: AlarmType, group: str = "", peer: str = "") -> bool:
        """Say whether an alarm is raised."""
        return AlarmKey(type_, group, peer) in self._raised

    def raised_of(self, type_: AlarmType) -> list[AlarmKey]:
        """Return the raised alarms of one type, oldest first."""
        return [key for key in self._raised if key.type is type_]

    @property
    def alarms(self) -> list[Alarm]:
        """The raised alarms, oldest first, then the cleared ones that are still known."""
        return [*self._raised.values(), *self._cleared.values()]

    @property
    def active(self) -> int:
        """How many alarms are raised."""
        return len(self._raised)
