"""The cloud's admission of identities (FIG. 4): one after the other, answered once the entry is durable.

A primary's claim is made the store's writer first (:class:`Claim`), then the storage entry is kept
(:class:`Keep`), then the device is answered (:class:`Identify`, S403). Where the store cannot, the device
waits for its answer and the store is asked again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, replace

from rui.backup.cloud_outputs import Claim, Identify, Keep, Output, Report
from rui.backup.identity import IdentityNotification, IdentityResult, Role, StorageEntry, admit
from rui.backup.messages import Position, Receipt, Result


@dataclass(frozen=True, slots=True)
class _Waiting:
    """``answer`` says whether the session that it came over still stands."""

    notification: IdentityNotification
    wall: float
    answer: bool = True


class Registrar:
    """The identities of one group. Times as in :class:`rui.backup.cloud.Cloud`.

    ``emit`` takes outputs; ``accepted`` is called when a device has been admitted and is answered.
    Methods that go on to the next identity take the store's ``position``.
    """

    def __init__(
        self,
        group: str,
        store_id: str,
        entries: Iterable[StorageEntry],
        retry_pause: float,
        *,
        emit: Callable[[Output], None],
        accepted: Callable[[StorageEntry, Position], None],
    ) -> None:
        self.entries = {entry.device: entry for entry in entries}
        self._group = group
        self._store_id = store_id
        self._retry_pause = retry_pause
        self._emit = emit
        self._accepted = accepted
        self._queue: deque[_Waiting] = deque()
        self._current: _Waiting | None = None
        self._retry_at: float | None = None
        self._in_touch: set[str] = set()

    @property
    def primary(self) -> StorageEntry | None:
        """The newest writer's entry while its device is in touch with the cloud."""
        recorded = (entry for entry in self.entries.values() if entry.role is Role.PRIMARY)
        found = max(recorded, key=lambda entry: entry.epoch, default=None)
        return found if found is not None and found.device in self._in_touch else None

    @property
    def claiming(self) -> IdentityNotification | None:
        """The primary that is being admitted, if one is."""
        current = self._current
        return current.notification if current and current.notification.role is Role.PRIMARY else None

    @property
    def in_touch(self) -> Set[str]:
        """The devices that have identified themselves on the session that they have now."""
        return self._in_touch

    def identify(
        self, device: str, notification: IdentityNotification, position: Position, wall: float
    ) -> None:
        """Take an identity notification (S402) from the session with ``device``.

        Of several of a device that wait only the newest counts.
        """
        if notification.device != device or notification.group != self._group:
            reason = f"it names device {notification.device}, the session is {device}'s"
            self._emit(Report("identity-refused", device, reason))
            return
        self._forget(device)
        self._in_touch.add(device)
        self._queue.append(_Waiting(notification, wall))
        self._next(position)

    def device_down(self, device: str) -> None:
        """The session is gone: what waits is forgotten; what the store is at is finished, not answered."""
        self._in_touch.discard(device)
        self._forget(device)
        if self._current is not None and self._current.notification.device == device:
            self._current = replace(self._current, answer=False)

    def claimed(self, receipt: Receipt, position: Position, now: float) -> None:
        """Take what became of the Claim; ``position`` is the store's after it."""
        if self._current is None:
            return
        if receipt.result is Result.FAILED:
            self.failed(receipt.reason, now)
        elif receipt.result is not Result.STORED:
            self._refuse(self._current, receipt.reason, position)
            self._next(position)
        else:
            self._keep(self._current, position)

    def kept(self, entry: StorageEntry, position: Position) -> None:
        """The storage entry is durable: answer."""
        self.entries[entry.device] = entry
        current, self._current = self._current, None
        if current is not None and current.answer:
            self._emit(Identify(entry.device, self._result(entry.device, True, entry.reason, position)))
            self._emit(Report("identity-accepted", entry.device, entry.reason))
            self._accepted(entry, current.notification.position)
        if entry.role is Role.PRIMARY:
            self._tell_superseded(entry, position)
        newest = max(self.entries.values(), key=lambda known: known.epoch)
        if self.primary is not None and newest.epoch > self.primary.epoch:
            # Who knows of it takes nothing written under an older epoch: the primary claims a newer one.
            self._have_claimed_above(newest, self.primary.device, position)
        self._next(position)

    def failed(self, reason: str, now: float) -> None:
        """The store could not keep it (a full disk): try again after a pause."""
        self._emit(Report("store-failed", "", reason))
        self._retry_at = now + self._retry_pause

    def handle_timer(self, position: Position, now: float) -> None:
        """Ask the store again when that is due."""
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            if self._current is not None:
                self._admit(self._current, position)
                self._next(position)

    def next_deadline(self) -> float | None:
        """Return when :meth:`handle_timer` is due, None for never."""
        return self._retry_at

    def _forget(self, device: str) -> None:
        self._queue = deque(item for item in self._queue if item.notification.device != device)

    def _next(self, position: Position) -> None:
        while self._current is None and self._queue:
            self._current = self._queue.popleft()
            self._admit(self._current, position)

    def _admit(self, current: _Waiting, position: Position) -> None:
        admission = admit(self.entries, position, current.notification, self.primary)
        if not admission.accepted:
            self._refuse(current, admission.reason, position)
        elif admission.claims:
            self._emit(Claim(current.notification.epoch))
        else:
            self._keep(current, position)

    def _keep(self, current: _Waiting, position: Position) -> None:
        found = current.notification
        held = self.entries.get(found.device)
        same = held is not None and (held.role, held.epoch, held.address) == (
            found.role,
            found.epoch,
            found.address,
        )
        if held is not None and same:
            self.kept(held, position)
            return
        reason = admit(self.entries, position, found, self.primary).reason
        self._emit(
            Keep(
                StorageEntry(
                    self._group, found.device, found.address, found.role, found.epoch, reason, current.wall
                )
            )
        )

    def _refuse(self, current: _Waiting, reason: str, position: Position) -> None:
        self._current = None
        device = current.notification.device
        if current.answer:
            self._emit(Identify(device, self._result(device, False, reason, position)))
        self._emit(Report("identity-refused", device, reason))

    def _tell_superseded(self, entry: StorageEntry, position: Position) -> None:
        """Tell whoever was primary before, if it is in touch, that it is so no longer [0248]."""
        for other in self.entries.values():
            if other.role is Role.PRIMARY and other.epoch < entry.epoch and other.device in self._in_touch:
                reason = f"superseded by {entry.device} under {entry.epoch}"
                self._emit(Identify(other.device, self._result(other.device, False, reason, position)))

    def _have_claimed_above(self, entry: StorageEntry, primary: str, position: Position) -> None:
        reason = f"{entry.device} knows epoch {entry.epoch}: claim a higher one"
        result = self._result(primary, False, reason, position)
        self._emit(Identify(primary, replace(result, highest=entry.epoch, primary="")))

    def _result(self, device: str, accepted: bool, reason: str, position: Position) -> IdentityResult:
        primary = self.primary.device if not accepted and self.primary is not None else ""
        return IdentityResult(
            self._group, device, accepted, reason, position.writer, self._store_id, position, primary
        )
