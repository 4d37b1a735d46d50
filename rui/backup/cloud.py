"""The cloud device's part in one backup group (FIG. 4 and FIG. 5): every decision, no I/O.

Values in, values out, as for a :class:`rui.backup.member.Member`. What must survive a crash, and what must be
read, leaves as an output for the store; the answer comes back by the method that the output names, and
only then does anything that depends on it go out: an identity result after its storage entry, a receipt after
the commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rui.backup.cloud_outputs import Acknowledge, Apply, Output, Relay, Report
from rui.backup.delivery import (
    Delivery,
    DeliveryMode,
    DirectDelivery,
    DownloadDelivery,
    Forgotten,
    Outlook,
    Refused,
    new_delivery,
)
from rui.backup.identity import IdentityNotification, Role, StorageEntry, may_upload
from rui.backup.lease import LeaseOptions
from rui.backup.lineage import Lineage
from rui.backup.member_outputs import CLOUD
from rui.backup.messages import Batch, Offer, Position, Quarantined, Receipt, Result
from rui.backup.registrar import Registrar
from rui.backup.replica import Join, judge
from rui.backup.source import SourceOptions
from rui.backup.table import Page, Slice
from rui.backup.version import ZERO, Epoch, Version


@dataclass(frozen=True, slots=True)
class CloudOptions:
    """How a group is served; pauses are in seconds."""

    mode: DeliveryMode = DeliveryMode.DIRECT
    source: SourceOptions = field(default_factory=SourceOptions)
    retry_pause: float = 1.0
    lease: LeaseOptions = field(default_factory=LeaseOptions)


@dataclass(slots=True)
class Counters:
    """What happened to the group since the process started; batches, and records where it says so."""

    stored: int = 0
    stored_records: int = 0
    discarded: int = 0
    discarded_records: int = 0
    refused: int = 0
    gaps: int = 0
    failed: int = 0
    quarantined_records: int = 0


@dataclass(slots=True)
class _Upload:
    """A batch that waits for its receipt; receipts leave in the order of the batches."""

    ticket: int
    records: int
    lineage: Lineage
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
        self.position = position or Position()
        self.floor = floor
        self.options = options or CloudOptions()
        self.counters = Counters()
        self.deliveries: dict[str, Delivery] = {}
        self.offer: DirectDelivery | None = None
        """What goes to the primary because only the cloud holds it."""
        # The history to follow once its writer has taken over what it lacked, which the offer is about
        self._joins: Join | None = None
        self._offers = 0
        self._outputs: deque[Output] = deque()
        self.marker: tuple[Version, str] | None = None
        """The primary's newest digest, and the version that it is of."""
        self._ticket = 0
        # What could not be done last time: the store's work (""), or the delivery to a device.
        self._failing: set[str] = set()
        self._uploads: dict[str, deque[_Upload]] = {}
        self._registrar = Registrar(
            group,
            store_id,
            entries,
            self.options.retry_pause,
            emit=self._outputs.append,
            accepted=self._admitted,
        )

    @property
    def entries(self) -> Mapping[str, StorageEntry]:
        """The storage entries by device."""
        return self._registrar.entries

    @property
    def primary(self) -> StorageEntry | None:
        """The newest primary that is recorded, whether in touch or not."""
        recorded = (entry for entry in self.entries.values() if entry.role is Role.PRIMARY)
        return max(recorded, key=lambda entry: entry.epoch, default=None)

    def holder(self, asker: str) -> tuple[str, Epoch] | None:
        """Whose place it is that ``asker`` asks for, and under which epoch.

        That of a primary that has claimed is its own although its storage entry may not be durable yet.
        """
        claiming = self._registrar.claiming
        if claiming and claiming.device != asker and claiming.epoch == self.position.writer:
            return claiming.device, claiming.epoch
        return None if self.primary is None else (self.primary.device, self.primary.epoch)

    @property
    def cursors(self) -> Mapping[str, Version]:
        """How far each secondary that is in touch has come."""
        in_touch = self._registrar.in_touch
        return {
            name: delivery.position.live for name, delivery in self.deliveries.items() if name in in_touch
        }

    @property
    def outlook(self) -> Outlook:
        """What deliveries go by. While a snapshot comes in, what lies behind the cursor is not whole yet."""
        position = self.position
        return Outlook(position.cursor, self.floor, position.writer, position.lineage)

    # Sessions and identities

    def device_down(self, device: str, reason: str) -> None:
        """The session is gone: nothing that is still under way is answered to the next one."""
        self._uploads.pop(device, None)
        self._registrar.device_down(device)
        self._recovered(device)
        delivery = self.deliveries.get(device)
        if delivery is not None:
            delivery.disconnect(reason)
        if self.offer is not None and self.offer.device == device:
            self.offer = self._joins = None

    def identify(self, device: str, notification: IdentityNotification, wall: float) -> None:
        """Take an identity notification (S402) that came over the session with ``device``."""
        self._registrar.identify(device, notification, self.position, wall)

    def claimed(self, receipt: Receipt, now: float) -> None:
        """Take what became of a Claim; the caller has said :meth:`moved` before."""
        if receipt.result is Result.FAILED:
            self._failing.add("")
        if receipt.result is Result.STORED:
            self.offer = self._joins = None
            for delivery in self.deliveries.values():
                delivery.writer_changed(self.outlook)
        self._registrar.claimed(receipt, self.position, now)

    def kept(self, entry: StorageEntry) -> None:
        """The storage entry of a Keep is durable."""
        self._recovered("")
        self._registrar.kept(entry, self.position)

    def keep_failed(self, reason: str, now: float) -> None:
        """The store could not do a Keep."""
        self._failing.add("")
        self._registrar.failed(reason, now)

    # Uploads

    def upload(self, device: str, batch: Batch, quarantined: tuple[Quarantined, ...]) -> None:
        """Take a batch of the session's device (S502); exactly one Acknowledge answers it, in order."""
        self._ticket += 1
        waiting = self._uploads.setdefault(device, deque())
        waiting.append(_Upload(self._ticket, len(batch.changes), batch.lineage))
        if batch.offer is not None:
            self._relay(device, batch, batch.offer)
            return
        reason = may_upload(self.entries.get(device))
        if not reason and batch.writer.device != device:
            reason = f"it is written under {batch.writer}, no epoch of {device}"
        if reason:
            self._discard(device, len(batch.changes), reason)
            return
        if quarantined:
            self.counters.quarantined_records += len(quarantined)
            self._outputs.append(_quarantine_report(device, quarantined, "the cloud's model"))
        joins = self._joins if self.offer is None and self._joins is not None else None
        if joins is not None:
            judgement = judge(joins.position(self.position, batch), batch)
            if judgement.result is Result.GAP:
                # Told from where to go on, and nothing is joined before that comes
                self._answer(device, self._ticket, judgement.receipt(self.group))
                return
        self._outputs.append(Apply(device, self._ticket, batch, quarantined, joins))

    def applied(self, device: str, ticket: int, receipt: Receipt) -> None:
        """Take what became of an Apply; the caller has said :meth:`moved` before."""
        match receipt.result:
            case Result.STORED:
                self.counters.stored += 1
                self._recovered("")
            case Result.REFUSED:
                self.counters.refused += 1
                self._outputs.append(Report("upload-refused", device, receipt.reason))
            case Result.GAP:
                self.counters.gaps += 1
            case Result.DIVERGED:
                self._diverged(device, ticket, receipt)
            case _:
                self.counters.failed += 1
                self._failing.add("")
                self._outputs.append(Report("store-failed", device, receipt.reason))
        self._answer(device, ticket, receipt)

    def relayed(self, device: str, ticket: int, receipt: Receipt) -> None:
        """Take the primary's receipt for a Relay."""
        self._answer(device, ticket, receipt)

    def moved(self, position: Position, floor: Version) -> None:
        """Take where the store stands now; deliveries follow at the next :meth:`outputs`."""
        if position != self.position or floor != self.floor:
            same_history = position.lineage == self.position.lineage
            self.position, self.floor = position, floor
            if self._joins is not None and position.lineage == self._joins.lineage:
                self._joins = None
            for delivery in self.deliveries.values():
                if same_history:
                    delivery.news()
                else:
                    delivery.writer_changed(self.outlook)

    def mark(self, version: Version, digest: str) -> None:
        """Hand the primary's digest on: a secondary that has come to ``version`` must come to it too."""
        self.marker = (version, digest)
        for delivery in self.deliveries.values():
            delivery.mark(version, digest)

    def resync(self, device: str, reason: str) -> bool:
        """Send a secondary everything again; False where it is not delivered to."""
        delivery = self.deliveries.get(device)
        return delivery is not None and delivery.resync(self.outlook, reason)

    # Deliveries

    def read(self, device: str, ticket: int, found: Slice | Page | Forgotten | None, now: float) -> None:
        """Take what was read for a Read."""
        delivery = self._direct(device)
        if delivery is not None:
            delivery.read(ticket, found, self.outlook, now)

    def read_failed(self, device: str, ticket: int, reason: str, now: float) -> None:
        """The store could not do a Read."""
        self._failing.add("")
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
            self._outputs.append(_quarantine_report(device, receipt.quarantined, "the secondary's model"))
        if receipt.result is Result.FAILED:
            self._undeliverable(device, receipt.reason)
        elif receipt.result is Result.STORED:
            self._recovered(device)
        delivery.delivered(ticket, receipt, self.outlook, now)
        if delivery is self.offer and delivery.done:
            self.offer = None

    def undelivered(self, device: str, ticket: int, reason: str, now: float) -> None:
        """A Deliver was answered by an error."""
        delivery = self._direct(device)
        if delivery is not None:
            self._undeliverable(device, reason)
            delivery.undelivered(ticket, reason, self.outlook, now)

    def uninstructed(self, device: str, reason: str, now: float) -> None:
        """An Instruct was answered by an error."""
        delivery = self.deliveries.get(device)
        if isinstance(delivery, DownloadDelivery):
            self._undeliverable(device, reason)
            delivery.uninstructed(reason, now)

    def fetched(self, device: str, position: Position, sent: int, now: float) -> None:
        """A secondary has fetched from ``position`` on by itself and was given ``sent`` records."""
        delivery = self.deliveries.get(device)
        if isinstance(delivery, DownloadDelivery):
            self._recovered(device)
            delivery.fetched(position, sent, now)

    # Outputs and time

    def outputs(self, now: float) -> list[Output]:
        """Return what is to be done now, in order, and forget it."""
        outlook = self.outlook
        for delivery in self._all_deliveries():
            for output in delivery.step(outlook, now):
                if isinstance(output, Refused):
                    self._outputs.append(Report("delivery-refused", output.device, output.reason))
                else:
                    self._outputs.append(output)
        if not self._outputs:
            return []
        drained = list(self._outputs)
        self._outputs.clear()
        return drained

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._registrar.handle_timer(self.position, now)
        for delivery in self._all_deliveries():
            delivery.handle_timer(self.outlook, now)

    def next_deadline(self) -> float | None:
        """Return when :meth:`handle_timer` is due next, None for never."""
        due = self._registrar.next_deadline()
        for delivery in self._all_deliveries():
            time = delivery.next_deadline()
            if time is not None and (due is None or time < due):
                due = time
        return due

    def _admitted(self, entry: StorageEntry, position: Position) -> None:
        """Serve a secondary from what it holds; a primary is served no more."""
        if entry.role is Role.PRIMARY:
            self.deliveries.pop(entry.device, None)
            return
        delivery = self.deliveries.get(entry.device)
        if delivery is None or delivery.mode is not self.options.mode:
            delivery = new_delivery(self.options.mode, self.group, entry.device, self.options.source)
            self.deliveries[entry.device] = delivery
        delivery.connect(position, self.outlook)

    def _all_deliveries(self) -> list[Delivery]:
        deliveries = list(self.deliveries.values())
        return deliveries if self.offer is None else [*deliveries, self.offer]

    def _diverged(self, device: str, ticket: int, receipt: Receipt) -> None:
        """Offer the primary what its history lacks of what is held here, unless that is under way."""
        waiting = self._uploads.get(device, ())
        upload = next((upload for upload in waiting if upload.ticket == ticket), None)
        position, common = self.position, receipt.shared
        if upload is None or common is None or self.offer is not None or position.writer.device != device:
            return  # Without its upload the session is gone, too
        self._joins = Join(position.writer, upload.lineage, common)
        offer = Offer(CLOUD, common, receipt.held)
        self._offers += 1
        first = self._offers << 32
        self.offer = DirectDelivery(self.group, device, self.options.source, offer=offer, first=first)
        self.offer.connect(Position(common), self.outlook)
        reason = f"the cloud holds {common or 'the beginning'} to {receipt.held}, which {device} lacks"
        self._outputs.append(Report("offer-begun", device, reason))

    def _relay(self, device: str, batch: Batch, offer: Offer) -> None:
        primary = self._registrar.primary
        if primary is not None and primary.device != device and primary.epoch == batch.writer:
            self._outputs.append(Relay(device, self._ticket, primary.device, batch))
            return
        reason = f"the primary under {batch.writer} is not in touch with the cloud"
        receipt = Receipt(self.group, Result.FAILED, Position(offer.shared), reason)
        self._answer(device, self._ticket, receipt)

    def _discard(self, device: str, records: int, reason: str) -> None:
        self.counters.discarded += 1
        self.counters.discarded_records += records
        self._outputs.append(Report("upload-discarded", device, reason, records))
        receipt = Receipt(self.group, Result.DISCARDED, self.position, reason)
        self._answer(device, self._ticket, receipt)

    def _answer(self, device: str, ticket: int, receipt: Receipt) -> None:
        """Note the receipt, and send all that are not behind one that is still missing."""
        waiting = self._uploads.get(device, deque())
        for upload in waiting:
            if upload.ticket == ticket:
                upload.receipt = receipt
                if receipt.result is Result.STORED:
                    self.counters.stored_records += upload.records
                break
        while waiting and waiting[0].receipt is not None:
            self._outputs.append(Acknowledge(device, waiting.popleft().receipt or receipt))

    def _undeliverable(self, device: str, reason: str) -> None:
        self._failing.add(device)
        self._outputs.append(Report("delivery-failed", device, reason))

    def _recovered(self, what: str) -> None:
        """The store's work ("") or a device's delivery succeeds again, or is not tried any more."""
        if what in self._failing:
            self._failing.discard(what)
            event = "delivery-recovered" if what else "store-recovered"
            self._outputs.append(Report(event, what, ""))

    def _direct(self, device: str) -> DirectDelivery | None:
        if self.offer is not None and self.offer.device == device:
            return self.offer
        delivery = self.deliveries.get(device)
        return delivery if isinstance(delivery, DirectDelivery) else None


def _quarantine_report(device: str, quarantined: tuple[Quarantined, ...], by: str) -> Report:
    first = quarantined[0]
    reason = f"refused by {by}: {first.key.decode()} of version {first.version}: {first.reason}"
    return Report("record-quarantined", device, reason, len(quarantined))
