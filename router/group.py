"""The asyncio shell of one :class:`rui.backup.member.Member`: feed it, do what it says, arm one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog
from lxml import etree

from router.config import GroupConfig
from router.history import History
from router.journal import Compactor, GroupJournal, Recovered
from router.lag import Lag, LagMeter
from router.parking import Parking
from rui.backup.identity import IdentityResult
from rui.backup.member import CLOUD, Answer, Append, JournalFullError, Member, Notify
from rui.backup.messages import Batch, Quarantined, Receipt
from rui.backup.source import SourceOptions, SourceState
from rui.backup.trace import Milestone, Trace
from rui.backup.version import NO_EPOCH, Version
from rui.backup.wire import encode_batch, encode_identity

log = structlog.get_logger(__name__)

_COMPACTION_PAUSE = 5.0
_STOP_WITHIN = 10.0
_REFUSED_KEPT = 10_000


class CloudSession(Protocol):
    """A session that subscribed to the stream ``rui-backup``."""

    @property
    def id(self) -> int:
        """The session-id."""

    def notify(self, content: etree._Element | Sequence[bytes]) -> None:
        """Send one notification to this session only."""

    def close(self, reason: str) -> None:
        """End the session."""


class Group:
    """A device in a group. All methods belong to the loop's thread.

    Every subscriber of the stream is told who this device is (S402); the one that answers (S403) gets the
    uploads.
    """

    def __init__(
        self,
        config: GroupConfig,
        device: str,
        address: str,
        journal: GroupJournal,
        recovered: Recovered,
        *,
        trace: Trace | None = None,
    ) -> None:
        self.config = config
        self._trace = trace
        self.journal = journal
        self.member = Member(
            config.id,
            device,
            config.role,
            address=address,
            table=recovered.table,
            position=recovered.position,
            facts=recovered.facts,
            cloud=SourceOptions(
                interval=config.upload_interval,
                batch_records=config.max_records,
                receipt_timeout=3 * config.link_timeout,
            ),
        )
        self.member.quarantined.update(recovered.quarantined)
        self.previous_writer = recovered.position.writer
        """Who wrote before this start."""
        self.history = History()
        self.parking = Parking(config.acknowledgement)
        self.refused_logins = 0
        self._refused_by_cloud: dict[bytes, Version] = {}
        self._lag = LagMeter(recovered.position.live)
        self._loop = asyncio.get_running_loop()
        self._listeners: dict[int, CloudSession] = {}
        self._audience: tuple[CloudSession, ...] | None = None
        self._uplink: CloudSession | None = None
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._progress = asyncio.Event()
        self._shown: tuple[SourceState, str] = (SourceState.DISCONNECTED, "")
        self._compactor = Compactor(journal, self.member, self._settled)
        self._compaction: asyncio.Task[None] | None = None
        self._compaction_after = 0.0
        self._stopping = False
        self._attached: Callable[[], None] | None = None
        self._telling = False

    def start(self) -> None:
        """Begin in the configured role."""
        self.member.start()
        self._perform()

    async def stop(self) -> None:
        """Write what was taken, for some seconds at most, and close the journal."""
        self._stopping = True
        if self._compaction is not None:
            self._compaction.cancel()
            await asyncio.gather(self._compaction, return_exceptions=True)
        try:
            async with asyncio.timeout(_STOP_WITHIN):
                await self._idle()
        except TimeoutError:
            log.error("changes-not-written", group=self.config.id, count=self.member.waiting_for_disk)
        if self._timer is not None:
            self._timer.cancel()
        await self.journal.close()

    # --- subscribers

    def put(self, key: bytes, record: bytes, release: Callable[[], None] | None = None) -> Version:
        """Take a new or changed record (S501); ``release`` is called once the login may be answered.

        Raises NotPrimaryError, and JournalFullError where the login is turned away.
        """
        try:
            version = self.member.put(key, record)
        except JournalFullError:
            self.refused_logins += 1
            raise
        if release is not None:
            self.parking.park(version, release, self._loop.time())
        if self._refused_by_cloud:
            self._refused_by_cloud.pop(key, None)
        if self._trace is not None:
            self._trace(self.config.id, Milestone.TAKEN, version)
        self._schedule()
        return version

    def delete(self, key: bytes) -> Version | None:
        """Take a logoff; None if nothing was held of the key. Raises as :meth:`put`."""
        version = self.member.delete(key)
        self._refused_by_cloud.pop(key, None)
        if version is not None and self._trace is not None:
            self._trace(self.config.id, Milestone.TAKEN, version)
        self._schedule()
        return version

    async def room(self) -> None:
        """Wait until the disk has caught up; for whoever brings more users than it can take at once."""
        while self.member.waiting_for_disk:
            self._progress.clear()
            await self._progress.wait()

    # --- the cloud

    def subscribed(self, session: CloudSession) -> None:
        """Tell a new subscriber who this device is (S401, S402)."""
        self._listeners[session.id] = session
        self.member.cloud_up()
        self._audience = (session,)
        self._perform()
        self._audience = None

    def unsubscribed(self, session_id: int, reason: str) -> None:
        """Take note that a subscriber is gone."""
        self._listeners.pop(session_id, None)
        if self._uplink is not None and self._uplink.id == session_id:
            self._uplink = None
            self.member.cloud_down(reason)
            if self._listeners:
                self.member.cloud_up()
        elif not self._listeners:
            self.member.cloud_down(reason)
        self._perform()

    def identity_result(self, session_id: int, result: IdentityResult) -> bool:
        """Take the cloud's answer (S403); False where the session has not subscribed."""
        session = self._listeners.get(session_id)
        if session is None:
            return False
        if result.accepted:
            if self._uplink is not None and self._uplink is not session:
                log.info("uplink-superseded", group=self.config.id, old=self._uplink.id, new=session.id)
            self._uplink = session
        log.info(
            "identity-accepted" if result.accepted else "identity-refused",
            group=self.config.id,
            role=self.member.role.value,
            epoch=str(self.member.epoch),
            reason=result.reason,
            cursor=str(result.position.cursor),
            store=result.store_id,
        )
        self.member.identity_result(result)
        self._perform()
        return True

    def acknowledge(self, session_id: int, receipt: Receipt) -> bool:
        """Take the cloud's receipt (S503); False where the session is not the one that uploads go to."""
        if self._uplink is None or self._uplink.id != session_id:
            return False
        for bad in receipt.quarantined:
            self._refuse(bad)
        self.member.acknowledge(receipt, self._loop.time())
        self._lag.acknowledged(self.member.source.position.cursor)
        self._perform()
        return True

    # --- the replica side

    async def receive(
        self, batch: Batch, quarantined: tuple[Quarantined, ...], *, local: bool = False
    ) -> Receipt:
        """Take a batch of the cloud (S504) or, ``local``, of the primary; return the receipt once durable."""
        answer: asyncio.Future[Receipt] = self._loop.create_future()
        self.member.receive(batch, quarantined, answer, local=local)
        self._perform()
        return await answer

    def obtain(self, yes: bool) -> None:
        """Whether this secondary obtains from the cloud [0158]."""
        self.member.obtain(yes)
        self._perform()

    # --- local backup

    def attach(self, perform: Callable[[], None]) -> None:
        """Have ``perform`` called in a turn of its own after something has changed here."""
        self._attached = perform

    def local_receipt(self, peer: str, receipt: Receipt) -> None:
        """Take the receipt of a secondary that is backed up directly."""
        self.member.local_receipt(peer, receipt, self._loop.time())
        self._perform()

    # --- what operators see

    @property
    def uplink_up(self) -> bool:
        """Whether the cloud has answered this device's identity and takes uploads."""
        return self._uplink is not None

    @property
    def cloud_quarantined(self) -> int:
        """How many records the cloud's model has refused, by its receipts."""
        return len(self._refused_by_cloud)

    def unprotected_users(self) -> int:
        """Return how many users' latest change may be durable here only."""
        return min(self.cloud_lag().records, len(self.member.table))

    def cloud_lag(self) -> Lag:
        """Return how far the cloud is behind this primary."""
        member = self.member
        held = len(member.table) + member.table.tombstones
        return self._lag.lag(member.source.position.cursor, held, self._loop.time())

    def oldest_unacknowledged(self) -> Version | None:
        """Return the oldest version that the cloud has not acknowledged, None if there is none."""
        member = self.member
        cursor = member.source.position.cursor
        if cursor >= member.durable:
            return None
        return member.table.since(cursor, 1, member.durable).last

    # --- the loop

    def _schedule(self) -> None:
        """Have one turn after all that happens in this one: what was put in it is written together."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self.member.flush()
        self._perform()

    def _perform(self) -> None:
        now = self._loop.time()
        self._drain()
        self._upload(now)
        self.parking.settle(self.member.durable, self.member.protected, now)
        self._note_changes()
        self._rearm(now)
        if self._attached is not None and not self._telling:
            self._telling = True
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = False
        if self._attached is not None and not self._stopping:
            self._attached()

    def _drain(self) -> None:
        for output in self.member.outputs():
            match output:
                case Append():
                    self.journal.append(output.frames, self._written)
                case Answer(tag=asyncio.Future() as answer):
                    if not answer.done():
                        answer.set_result(output.receipt)
                case Notify():
                    content = encode_identity(output.notification)
                    for session in self._audience or tuple(self._listeners.values()):
                        session.notify(content)

    def _upload(self, now: float) -> None:
        if self._uplink is None:
            return
        batch = self.member.next_upload(now)
        if batch is not None:
            self._uplink.notify(encode_batch(batch))
            # One a turn: whoever else waits for the loop has its turn in between
            self._schedule()
        elif self.member.source.overdue(now):
            self._uplink.close(f"the cloud has not acknowledged an upload of group {self.config.id} in time")

    def _written(self, failure: str | None) -> None:
        now = self._loop.time()
        if failure is None:
            if self.member.failure:
                log.info("journal-writable-again", group=self.config.id)
            self.member.stored()
            if self._trace is not None:
                self._trace(self.config.id, Milestone.DURABLE, self.member.durable)
            if self.member.serving:
                self._lag.durable(self.member.durable, now)
            self._compact_if_due(now)
        else:
            if self.member.failure != failure:
                log.error(
                    "journal-write-failed", group=self.config.id, reason=failure, remedy="free disk space"
                )
            self.member.failed(failure, now)
        self._perform()
        self._progress.set()

    def _rearm(self, now: float) -> None:
        deadlines = (self.member.next_deadline(), self.parking.next_deadline(self.member.durable))
        due = min((time for time in deadlines if time is not None), default=None)
        if self._timer is not None:
            if due is not None and self._timer.when() == due and not self._timer.cancelled():
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            # Never at once again: a deadline that stays in the past must not take the whole loop
            self._timer = self._loop.call_at(max(due, now + 0.001), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.member.handle_timer(self._loop.time())
        self._perform()

    def _note_changes(self) -> None:
        member = self.member
        epoch = member.epoch if member.serving else member.position.writer
        if epoch != NO_EPOCH or not self.history.entries:
            reason = "configured" if not self.history.entries else "a newer epoch became known"
            if self.history.note(member.role, epoch, reason, datetime.now(UTC)):
                log.info("identity", group=self.config.id, role=member.role.value, epoch=str(epoch))
        source = member.source
        if (source.state, source.reason) != self._shown and member.serving:
            old, self._shown = self._shown[0], (source.state, source.reason)
            log.info(
                "replica-state",
                group=self.config.id,
                replica=CLOUD,
                old=old.value,
                new=source.state.value,
                reason=source.reason,
            )

    # --- compaction and stopping

    def _refuse(self, bad: Quarantined) -> None:
        log.error(
            "record-refused-by-cloud",
            group=self.config.id,
            key=bad.key.decode(),
            version=str(bad.version),
            reason=bad.reason,
            remedy="the user is served here but not protected: correct the record or the cloud's model",
        )
        if len(self._refused_by_cloud) < _REFUSED_KEPT:
            self._refused_by_cloud[bad.key] = bad.version

    def _compact_if_due(self, now: float) -> None:
        if (
            self._compaction is None
            and not self._stopping
            and now >= self._compaction_after
            and self._compactor.due()
        ):
            self._compaction = self._loop.create_task(self._compact(), name=f"compaction-{self.config.id}")

    async def _compact(self) -> None:
        started = self._loop.time()
        try:
            freed = await self._compactor.run()
            log.info(
                "journal-compacted",
                group=self.config.id,
                freed=freed,
                octets=self.journal.octets,
                seconds=round(self._loop.time() - started, 3),
            )
        except OSError as error:
            log.error("journal-not-compacted", group=self.config.id, reason=error.strerror)
        finally:
            self._compaction_after = self._loop.time() + _COMPACTION_PAUSE
            self._compaction = None

    async def _settled(self) -> None:
        """Wait until what the table holds now is durable; a replica's table holds nothing else."""
        head = self.member.table.head
        while self.member.serving and self.member.durable < head:
            self._progress.clear()
            await self._progress.wait()

    async def _idle(self) -> None:
        self.member.flush()
        self._perform()
        await self.room()
