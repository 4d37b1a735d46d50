"""The cloud device's part in one backup group (FIG. 4 and FIG. 5): every decision, no I/O.

Values in, values out, as for a :class:`rui.backup.member.Member`. What must survive a crash, and what must be
read, leaves as an output for the store; the answer comes back by the method that the output names, and
only then does anything that depends on it go out: an identity result after its storage entry, a receipt after
the commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from rui.backup.delivery import (
    Deliver,
    Delivered,
    Delivery,
    DeliveryMode,
    DirectDelivery,
    DownloadDelivery,
    Forgotten,
    GiveUp,
    Instruct,
    Outlook,
    Read,
    Refused,
    new_delivery,
)
from rui.backup.identity import (
    Admission,
    IdentityNotification,
    IdentityResult,
    Role,
    StorageEntry,
    admit,
    may_upload,
)
from rui.backup.messages import Batch, Position, Quarantined, Receipt, Result
from rui.backup.source import SourceOptions
from rui.backup.table import Page, Slice
from rui.backup.version import ZERO, Epoch, Version


@dataclass(frozen=True, slots=True)
class Claim:
    """Please make ``epoch`` the group's writer durably; then ``Cloud.claimed`` or ``identity_failed``."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Keep:
    """Please keep the storage entry durably (S403); then ``Cloud.kept`` or ``identity_failed``."""

    entry: StorageEntry


@dataclass(frozen=True, slots=True)
class Apply:
    """Please judge and store the batch (S503), in the order of these outputs; then ``Cloud.applied``."""

    device: str
    ticket: int
    batch: Batch
    quarantined: tuple[Quarantined, ...]


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


Output = (
    Claim | Keep | Apply | Identify | Acknowledge | Report | Read | Deliver | Instruct | Delivered | GiveUp
)


@dataclass(frozen=True, slots=True)
class CloudOptions:
    """How a group is served; pauses are in seconds."""

    mode: DeliveryMode = DeliveryMode.DIRECT
    source: SourceOptions = field(default_factory=SourceOptions)
    retry_pause: float = 1.0


@dataclass(slots=True)
class Counters:
    """What happened to the group since the process started."""

    batches: int = 0
    records: int = 0
    discarded: int = 0
    refused: int = 0
    gaps: int = 0
    failed: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class _Identity:
    device: str
    notification: IdentityNotification
    wall: float


@dataclass(slots=True)
class _Upload:
    """A batch that waits for its receipt; receipts leave in the order of the batches."""

    device: str
    ticket: int
    records: int
    receipt: Receipt | None = None


class Cloud:
    """The cloud's part in one group. ``now`` is in monotonic seconds, ``wall`` in seconds since 1970."""

    def __init__(
        self,
        group: str,
        store_id: str,
        *,
        position: Position | None = None,
        floor: Version = ZERO,
        entries: Iterable[StorageEntry] = (),
        options: CloudOptions | None = None,
    ) -> None:
        self.group = group
        self.store_id = store_id
        self.position = position or Position()
        self.floor = floor
        self.entries = {entry.device: entry for entry in entries}
        self.options = options or CloudOptions()
        self.counters = Counters()
        self.deliveries: dict[str, Delivery] = {}
        self._outputs: deque[Output] = deque()
        self._ticket = 0
        self._uploads: dict[str, deque[_Upload]] = {}
        self._identities: deque[_Identity] = deque()
        self._admitting: _Identity | None = None
        self._retry_at: float | None = None

    # Sessions and identities

    def device_down(self, device: str, reason: str) -> None:
        """The session is gone: nothing that is still under way is answered to the next one."""
        self._uploads.pop(device, None)
        self._identities = deque(item for item in self._identities if item.device != device)
        if self._admitting is not None and self._admitting.device == device:
            # It is finished, since the store may be at it, but not answered.
            self._admitting = _Identity("", self._admitting.notification, self._admitting.wall)
        delivery = self.deliveries.get(device)
        if delivery is not None:
            delivery.disconnect(reason)

    def identify(self, device: str, notification: IdentityNotification, now: float, wall: float) -> None:
        """Take an identity notification (S402) that came over the session with ``device``.

        Of several that wait only the newest of a device counts.
        """
        if notification.device != device or notification.group != self.group:
            reason = f"it names device {notification.device}, the session is {device}'s"
            self._outputs.append(Report("identity-refused", device, reason))
            return
        self._identities = deque(item for item in self._identities if item.device != device)
        self._identities.append(_Identity(device, notification, wall))
        self._next_identity(now)

    def claimed(self, receipt: Receipt, now: float) -> None:
        """Take what became of a Claim."""
        identity = self._admitting
        if identity is None:
            return
        if receipt.result is Result.FAILED:
            self.identity_failed(receipt.reason, now)
        elif receipt.result is not Result.STORED:
            self._refuse(identity, receipt.reason)
            self._next_identity(now)
        else:
            for delivery in self.deliveries.values():
                delivery.writer_changed(self.outlook)
            self._keep(identity, now)

    def kept(self, entry: StorageEntry, now: float) -> None:
        """The storage entry is durable: answer, and begin to serve a secondary."""
        self.entries[entry.device] = entry
        identity, self._admitting = self._admitting, None
        if identity is not None:
            self._accept(identity, entry)
        self._next_identity(now)

    def identity_failed(self, reason: str, now: float) -> None:
        """The store could not keep it (a full disk): the device is answered when it can."""
        self._outputs.append(Report("store-failed", "", reason))
        self._retry_at = now + self.options.retry_pause

    # Uploads

    def upload(self, device: str, batch: Batch, quarantined: tuple[Quarantined, ...]) -> None:
        """Take a batch of the session's device (S502); exactly one Acknowledge answers it, in order."""
        self._ticket += 1
        waiting = self._uploads.setdefault(device, deque())
        waiting.append(_Upload(device, self._ticket, len(batch.changes)))
        reason = may_upload(self.entries.get(device))
        if not reason and batch.writer.device != device:
            reason = f"it is written under {batch.writer}, no epoch of {device}"
        if reason:
            self.counters.discarded += 1
            self._outputs.append(Report("upload-discarded", device, reason, len(batch.changes)))
            receipt = Receipt(self.group, Result.DISCARDED, self.position, reason)
            self._answer(device, self._ticket, receipt)
            return
        if quarantined:
            self.counters.quarantined += len(quarantined)
            first = quarantined[0]
            what = f"{first.key.decode()} of version {first.version}: {first.reason}"
            self._outputs.append(Report("record-quarantined", device, what, len(quarantined)))
        self._outputs.append(Apply(device, self._ticket, batch, quarantined))

    def applied(self, device: str, ticket: int, receipt: Receipt) -> None:
        """Take what became of an Apply; the caller has said :meth:`moved` before."""
        match receipt.result:
            case Result.STORED:
                self.counters.batches += 1
            case Result.REFUSED:
                self.counters.refused += 1
                self._outputs.append(Report("upload-refused", device, receipt.reason))
            case Result.GAP:
                self.counters.gaps += 1
            case _:
                self.counters.failed += 1
                self._outputs.append(Report("store-failed", device, receipt.reason))
        self._answer(device, ticket, receipt)

    def moved(self, position: Position, floor: Version) -> None:
        """Take where the store stands now; deliveries follow at the next :meth:`outputs`."""
        if position != self.position or floor != self.floor:
            self.position, self.floor = position, floor
            for delivery in self.deliveries.values():
                delivery.news()

    def waiting(self, device: str) -> int:
        """Return how many batches of a device wait for their receipt."""
        return len(self._uploads.get(device, ()))

    # Deliveries

    def read(self, device: str, ticket: int, found: Slice | Page | Forgotten | None, now: float) -> None:
        """Take what was read for a Read."""
        delivery = self._direct(device)
        if delivery is not None:
            delivery.read(ticket, found, self.outlook, now)

    def read_failed(self, device: str, ticket: int, reason: str, now: float) -> None:
        """The store could not read."""
        self._outputs.append(Report("store-failed", device, reason))
        delivery = self._direct(device)
        if delivery is not None:
            delivery.read_failed(ticket, now)

    def delivered(self, device: str, ticket: int, receipt: Receipt, now: float) -> None:
        """Take a secondary's receipt for a Deliver."""
        delivery = self._direct(device)
        if delivery is None:
            return
        if receipt.quarantined:
            bad = receipt.quarantined[0]
            what = f"refused by the secondary's model: {bad.key.decode()}: {bad.reason}"
            self._outputs.append(Report("record-quarantined", device, what, len(receipt.quarantined)))
        if receipt.result is Result.FAILED:
            self._outputs.append(Report("delivery-failed", device, receipt.reason))
        delivery.delivered(ticket, receipt, self.outlook, now)

    def undelivered(self, device: str, ticket: int, reason: str, now: float) -> None:
        """A Deliver was answered by an error."""
        delivery = self._direct(device)
        if delivery is not None:
            self._outputs.append(Report("delivery-failed", device, reason))
            delivery.undelivered(ticket, reason, self.outlook, now)

    def uninstructed(self, device: str, reason: str, now: float) -> None:
        """An Instruct was answered by an error."""
        delivery = self.deliveries.get(device)
        if isinstance(delivery, DownloadDelivery):
            self._outputs.append(Report("delivery-failed", device, reason))
            delivery.uninstructed(reason, now)

    def fetched(self, device: str, position: Position, sent: int, now: float) -> None:
        """A secondary has fetched from ``position`` on by itself and was given ``sent`` records."""
        delivery = self.deliveries.get(device)
        if isinstance(delivery, DownloadDelivery):
            delivery.fetched(position, sent, now)

    # Time

    @property
    def outlook(self) -> Outlook:
        """What deliveries go by. While a snapshot comes in, what lies behind the cursor is not whole yet."""
        return Outlook(self.position.cursor, self.floor, self.position.writer)

    def outputs(self, now: float) -> list[Output]:
        """Return what is to be done now, in order, and forget it."""
        outlook = self.outlook
        for delivery in self.deliveries.values():
            for output in delivery.step(outlook, now):
                if isinstance(output, Refused):
                    self._outputs.append(Report("delivery-refused", output.device, output.reason))
                else:
                    self._outputs.append(output)
        drained = list(self._outputs)
        self._outputs.clear()
        return drained

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            if self._admitting is not None:
                self._admit(self._admitting, now)
        for delivery in self.deliveries.values():
            delivery.handle_timer(self.outlook, now)

    def next_deadline(self) -> float | None:
        """Return when :meth:`handle_timer` is due next, None for never."""
        times = [delivery.next_deadline() for delivery in self.deliveries.values()]
        return min((time for time in (self._retry_at, *times) if time is not None), default=None)

    def _next_identity(self, now: float) -> None:
        while self._admitting is None and self._identities:
            self._admitting = self._identities.popleft()
            self._admit(self._admitting, now)

    def _admit(self, identity: _Identity, now: float) -> None:
        admission = admit(self.entries, self.position, identity.notification)
        if not admission.accepted:
            self._refuse(identity, admission.reason)
        elif admission.claims:
            self._outputs.append(Claim(identity.notification.epoch))
        else:
            self._keep(identity, now, admission)

    def _keep(self, identity: _Identity, now: float, admission: Admission | None = None) -> None:
        found = identity.notification
        admission = admission or admit(self.entries, self.position, found)
        held = self.entries.get(found.device)
        if held is not None and (held.role, held.epoch, held.address) == (
            found.role,
            found.epoch,
            found.address,
        ):
            self.kept(held, now)
            return
        self._outputs.append(
            Keep(
                StorageEntry(
                    self.group,
                    found.device,
                    found.address,
                    found.role,
                    found.epoch,
                    admission.reason,
                    identity.wall,
                )
            )
        )

    def _accept(self, identity: _Identity, entry: StorageEntry) -> None:
        if not identity.device:
            return
        self._identify(identity, True, entry.reason)
        self._outputs.append(Report("identity-accepted", entry.device, entry.reason))
        if entry.role is Role.SECONDARY:
            delivery = self.deliveries.get(entry.device)
            if delivery is None:
                delivery = new_delivery(self.options.mode, self.group, entry.device, self.options.source)
                self.deliveries[entry.device] = delivery
            delivery.connect(identity.notification.position, self.outlook)
        else:
            self.deliveries.pop(entry.device, None)

    def _refuse(self, identity: _Identity, reason: str) -> None:
        self._admitting = None
        if identity.device:
            self._identify(identity, False, reason)
            self._outputs.append(Report("identity-refused", identity.device, reason))

    def _identify(self, identity: _Identity, accepted: bool, reason: str) -> None:
        result = IdentityResult(
            self.group,
            identity.device,
            accepted,
            reason,
            self.position.writer,
            self.store_id,
            self.position,
        )
        self._outputs.append(Identify(identity.device, result))

    def _answer(self, device: str, ticket: int, receipt: Receipt) -> None:
        waiting = self._uploads.get(device)
        if not waiting:
            return
        for upload in waiting:
            if upload.ticket == ticket:
                upload.receipt = receipt
                if receipt.result is Result.STORED:
                    self.counters.records += upload.records
                break
        while waiting and waiting[0].receipt is not None:
            self._outputs.append(Acknowledge(device, waiting.popleft().receipt or receipt))

    def _direct(self, device: str) -> DirectDelivery | None:
        delivery = self.deliveries.get(device)
        return delivery if isinstance(delivery, DirectDelivery) else None
