"""What a member asks of the program around it, its bounds and its refusals; see :mod:`rui.backup.member`."""

from __future__ import annotations

from dataclasses import dataclass

from rui.backup.identity import IdentityNotification
from rui.backup.journal import Frame
from rui.backup.messages import Receipt
from rui.backup.version import Epoch

CLOUD = "cloud"
"""The name of the cloud device where replicas are named."""


class NotPrimaryError(Exception):
    """A subscriber change was handed to a router that does not serve the group; try the primary."""


class JournalFullError(Exception):
    """Too much waits for the disk: the login is turned away until the journal catches up."""


@dataclass(frozen=True, slots=True)
class Append:
    """Please write these frames durably, in order, and say ``stored`` or ``failed``."""

    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Please send this receipt to whoever sent the batch that was handed in with ``tag``."""

    tag: object
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Notify:
    """Please tell the cloud who this device is (S402)."""

    notification: IdentityNotification


@dataclass(frozen=True, slots=True)
class Superseded:
    """Another device is primary under a newer epoch: the owner decides whether this one steps down."""

    by: str
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a replica alone held has been taken over, ``count`` changes of it, and is written anew.

    Of ``passed_over`` users something newer is known; of ``unsure`` ones it is not known whether they have
    logged off, since too many deletes are forgotten. ``live``: it serves users beside this primary. Who of
    those written anew is online has the keys ``online``.
    """

    offered_by: str
    count: int
    passed_over: int
    live: bool
    unsure: tuple[bytes, ...] = ()
    online: tuple[bytes, ...] = ()


Output = Append | Answer | Notify | Superseded | Adopted


@dataclass(frozen=True, slots=True)
class MemberOptions:
    """Bounds of a member. ``pending_bytes`` counts records that wait for the disk; pauses are in seconds."""

    pending_bytes: int = 64 << 20
    pending_batches: int = 64
    tombstones: int = 100_000
    retry_pause: float = 1.0
    claims: int = 8
    """How often a refused claim is raised in a row before only the timer tries again."""
