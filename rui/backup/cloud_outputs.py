"""What the cloud's core asks of the program around it; see :mod:`rui.backup.cloud`."""

from __future__ import annotations

from dataclasses import dataclass

from rui.backup.identity import IdentityResult, StorageEntry
from rui.backup.messages import Batch, Quarantined, Receipt
from rui.backup.replica import Join
from rui.backup.source import WantPage, WantStream
from rui.backup.version import ZERO, Epoch, Version


@dataclass(frozen=True, slots=True)
class Claim:
    """Please make ``epoch`` the group's writer durably; then ``Cloud.claimed``."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Keep:
    """Please keep the storage entry durably (S403); then ``Cloud.kept`` or ``keep_failed``."""

    entry: StorageEntry


@dataclass(frozen=True, slots=True)
class Apply:
    """Please judge and store the batch (S503), in the order of these outputs; then ``Cloud.applied``.

    With ``joins`` the store follows that history from this batch on.
    """

    device: str
    ticket: int
    batch: Batch
    quarantined: tuple[Quarantined, ...]
    joins: Join | None = None


@dataclass(frozen=True, slots=True)
class Identify:
    """Please send ``identity-result`` to the device (S403)."""

    device: str
    result: IdentityResult


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Please send ``acknowledge-user-info`` to the device (S503)."""

    device: str
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Report:
    """Please log this, and tell whoever subscribes to events. ``event`` is its id in kebab-case."""

    event: str
    device: str
    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Read:
    """Please read what ``want`` asks for and hand it to ``Cloud.read`` with the ticket.

    With ``upto`` what came early is read too, up to there.
    """

    device: str
    ticket: int
    want: WantStream | WantPage
    upto: Version = ZERO


@dataclass(frozen=True, slots=True)
class Deliver:
    """Please send ``deliver-user-info``; its output goes to ``Cloud.delivered`` with the ticket."""

    device: str
    ticket: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class Relay:
    """Please pass what the secondary ``device`` offers on to the primary; then ``Cloud.relayed``."""

    device: str
    ticket: int
    primary: str
    batch: Batch


@dataclass(frozen=True, slots=True)
class Instruct:
    """Please send ``download-user-info``: there is news up to ``last``."""

    device: str
    last: Version


@dataclass(frozen=True, slots=True)
class Delivered:
    """Please note how far the secondary has been served; only bookkeeping, it states its cursor itself."""

    device: str
    cursor: Version


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Please end the session with the device: it answers nothing any more."""

    device: str
    reason: str


Output = (
    Claim
    | Keep
    | Apply
    | Identify
    | Acknowledge
    | Report
    | Read
    | Deliver
    | Relay
    | Instruct
    | Delivered
    | GiveUp
)
