"""Identities: what a router tells the cloud of its role, and the cloud's storage entries (FIG. 4).

A storage entry is one per (group, device). The primary's entry says who may upload [0141]; what anybody else
uploads is discarded [0144].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from rui.backup.messages import Position
from rui.backup.version import ZERO, Epoch


class Role(Enum):
    """A device's identity in one group."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


@dataclass(frozen=True, slots=True)
class IdentityNotification:
    """S402: the first identity notification tells of a primary, the second of a secondary.

    ``epoch`` is the primary's claim, or the newest epoch that a secondary knows; ``position`` is what the
    device durably holds.
    """

    group: str
    device: str
    address: str
    role: Role
    epoch: Epoch
    position: Position


@dataclass(frozen=True, slots=True)
class StorageEntry:
    """S403: what the cloud keeps of a device in a group; ``since``, seconds since 1970, is for people."""

    group: str
    device: str
    address: str
    role: Role
    epoch: Epoch
    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class IdentityResult:
    """The cloud's answer to an identity notification.

    ``position`` is what the cloud holds of the group, ``highest`` the newest epoch that it knows: a refused
    primary claims a higher one, unless ``primary`` names another device that is alive as the group's primary.
    """

    group: str
    device: str
    accepted: bool
    reason: str
    highest: Epoch
    store_id: str
    position: Position
    primary: str = ""


@dataclass(frozen=True, slots=True)
class Admission:
    """The cloud's decision on an identity notification; ``claims`` says that the writer changes with it."""

    accepted: bool
    reason: str
    claims: bool = False


def admit(
    entries: Mapping[str, StorageEntry],
    position: Position,
    notification: IdentityNotification,
    primary: StorageEntry | None = None,
) -> Admission:
    """Decide on an identity notification, given the group's entries by device and the cloud's position.

    A primary is accepted under an epoch that is its own and not older than the newest known, so two writers
    never share one. While ``primary`` is in touch with the cloud only a device that has followed it may take
    its place: one that comes back after a fault knows nothing of what happened since [0248]. A secondary is
    always accepted: it claims nothing.
    """
    if notification.role is Role.SECONDARY:
        return Admission(True, "secondary")
    if notification.epoch.device != notification.device:
        return Admission(False, f"epoch {notification.epoch} is not one of {notification.device}'s own")
    if notification.epoch < position.writer:
        reason = f"epoch {notification.epoch} is superseded by {position.writer}: claim a higher one"
        return Admission(False, reason)
    if primary is not None and _rivals(primary, notification):
        followed = any(fork.epoch == primary.epoch for fork in notification.position.lineage)
        if primary.epoch == position.writer and position.live != ZERO and not followed:
            return Admission(False, f"{primary.device} is primary under {primary.epoch}: follow it first")
    other = next((entry for entry in entries.values() if _rivals(entry, notification)), None)
    reason = f"supersedes {other.device} of {other.epoch}" if other else "primary"
    return Admission(True, reason, claims=notification.epoch > position.writer)


def may_upload(entry: StorageEntry | None) -> str:
    """Say why a device's upload is to be discarded [0144]; empty if it is to be taken."""
    if entry is None:
        return "the device has sent no identity notification for this group"
    if entry.role is Role.SECONDARY:
        return f"the device is recorded as secondary ({entry.reason})"
    return ""


def _rivals(entry: StorageEntry, notification: IdentityNotification) -> bool:
    return entry.role is Role.PRIMARY and entry.device != notification.device
