"""The asyncio shell of one :class:`rui.backup.member.Member`: feed it, do what it says, arm one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from router.alarms import Alarms
from router.audit import Audits
from router.config import GroupConfig
from router.journal import Compactor, Counting, GroupJournal, Quota, Recovered, Upkeep
from router.lag import Lag, LagMeter
from router.lastrole import ROLE, last_role, role_fact
from router.notes import Notes
from router.parking import Parkings
from router.uplink import CloudSession, Uplink
from rui.backup.alarms import AlarmType
from rui.backup.identity import IdentityResult, Role
from rui.backup.member import Member
from rui.backup.member_outputs import CLOUD, Adopted, Answer, Append, JournalFullError, Notify, Superseded
from rui.backup.messages import Batch, Quarantined, Receipt
from rui.backup.source import SourceOptions
from rui.backup.trace import Milestone, Trace
from rui.backup.version import Epoch, Version
from rui.backup.wire import encode_batch, encode_identity

log = structlog.get_logger(__name__)

_STOP_WITHIN = 10.0
_AUDITS_IN_A_ROW = 32


class Group:
    """A device in a group. All methods belong to the loop's thread.

    ``trace``, where one is given, is told what becomes of each change.
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
        alarms: Alarms | None = None,
        quota: Quota | None = None,
    ) -> None:
        self.config = config
        self._trace = trace
        self.alarms = alarms or Alarms()
        self.audits = Audits(config.id, self.alarms)
        self._quota = quota or Quota()
        self._quota.add(journal)
        self.journal = journal
        self.member = Member(
            config.id,
            device,
            # Where VRRP decides, a claim before its election would depose whoever is Master by now
            Role.SECONDARY
            if config.vrrp is not None
            else last_role(config.role, recovered.facts.get(ROLE, "")),
            address=address,
            table=recovered.table,
            position=recovered.position,
            facts=recovered.facts,
            origins=recovered.origins,
            shared=recovered.shared.values(),
            cloud=SourceOptions(
                interval=config.upload_interval,
                batch_records=config.max_records,
                receipt_timeout=3 * config.link_timeout,
            ),
        )
        self.member.quarantined.update(recovered.quarantined)
        self.previous_writer = recovered.position.writer
        """Who wrote before this device."""
        self.role_changed: Callable[[Role], None] = lambda _: None
        self.superseded: Callable[[str], None] = lambda _: None
        self.adopted: list[Callable[[Adopted], None]] = []
        self.serving_changed: Callable[[], None] = lambda: None
        self.standing = self.member.role.value
        """The standing's name, for operators."""
        self.uplink = Uplink(config.id)
        self._notes = Notes(config.id)
        self.history = self._notes.history
        self.parking = Parkings(config.acknowledgement)
        self.refused_logins = 0
        self._lag = LagMeter(recovered.position.live)
        self._loop = asyncio.get_running_loop()
        self._newcomer: CloudSession | None = None
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._progress = asyncio.Event()
        compactor = Compactor(journal, self.member, self._settled)
        self._upkeep = Upkeep(config.id, journal, compactor, Counting(self.member.table, self._perform))
        self._attached: Callable[[], None] | None = None
        self._telling = False
        self._audit_timer: asyncio.TimerHandle | None = None
        self._audits_left = 0

    def start(self) -> None:
        """Begin in the configured role."""
        self.member.start()
        self._perform()
        self._upkeep.look(self._loop.time())
        self._arm_audit()

    async def stop(self) -> None:
        """Write what was taken, for some seconds at most, and close the journal."""
        if self._audit_timer is not None:
            self._audit_timer.cancel()
        await self._upkeep.stop()
        self.member.flush()
        self._perform()
        try:
            async with asyncio.timeout(_STOP_WITHIN):
                await self.written()
        except TimeoutError:
            log.error("changes-not-written", group=self.config.id, count=self.member.waiting_for_disk)
        if self._timer is not None:
            self._timer.cancel()
        await self.journal.close()

    # --- subscribers

    def promote(self, reason: str) -> None:
        """Become primary; ``role_changed`` is called."""
        if self.member.role is Role.PRIMARY:
            return
        self.previous_writer = self.member.position.writer
        self._notes.reason = reason
        self.member.promote()
        self._moved(reason)

    def demote(self, reason: str) -> None:
        """Become secondary; ``role_changed`` is called. What waits for protection is answered now."""
        if self.member.role is Role.SECONDARY:
            return
        self._notes.reason = reason
        self.member.demote(reason)
        self._moved(reason)

    def outclaim(self, epoch: Epoch) -> None:
        """Claim an epoch above that of another primary, which steps down."""
        self.member.outclaim(epoch)
        self._perform()

    def share(self, yes: bool) -> None:
        """Serve users beside the primary, as Master of a part of the access network, or no more."""
        if yes is not self.member.sharing.active:
            self.member.share(yes)
            log.warning(
                "sharing" if yes else "sharing-ended", group=self.config.id, held=len(self.member.sharing)
            )
            self.serving_changed()
            self._perform()

    def _moved(self, reason: str) -> None:
        role = self.member.role
        self.member.remember(ROLE, role_fact(self.config.role, role))
        log.warning("role-changed", group=self.config.id, role=role.value, reason=reason)
        self._perform()
        self.role_changed(role)

    def put(self, key: bytes, record: bytes, release: Callable[[], None] | None = None) -> Version:
        """Take a new or changed record (S501); ``release`` is called once the login may be answered.

        Raises NotPrimaryError, and JournalFullError where the login is turned away.
        """
        try:
            self._quota.check()
            version = self.member.put(key, record)
        except JournalFullError:
            self.refused_logins += 1
            raise
        if release is not None:
            self.parking.park(self.member, version, release, self._loop.time())
        self.uplink.changed(key)
        if self._trace is not None:
            self._trace(self.config.id, Milestone.TAKEN, version)
        self._schedule()
        return version

    def delete(self, key: bytes) -> Version | None:
        """Take a logoff; None if nothing was held of the key. Raises as :meth:`put`."""
        version = self.member.delete(key)
        self.uplink.changed(key)
        if version is not None and self._trace is not None:
            self._trace(self.config.id, Milestone.TAKEN, version)
        self._schedule()
        return version

    async def room(self) -> None:
        """Wait until the disk has caught up; for whoever brings more users than it can take at once."""
        while self.member.waiting_for_disk:
            self._progress.clear()
            await self._progress.wait()

    async def written(self) -> None:
        """Wait until nothing is on its way to the disk: users, the claim, facts."""
        while self.journal.busy or self.member.waiting_for_disk:
            self._progress.clear()
            await self._progress.wait()

    # --- the cloud

    def subscribed(self, session: CloudSession) -> None:
        """Tell a new subscriber who this device is (S401, S402)."""
        self.uplink.add(session)
        self.member.cloud_up()
        self._newcomer = session
        self._perform()
        self._newcomer = None

    def unsubscribed(self, session_id: int, reason: str) -> None:
        """Take note that a subscriber is gone."""
        if self.uplink.remove(session_id):
            self.member.cloud_down(reason)
            if self.uplink.heard:
                # Another session of the cloud may be there already: it answers, and the stream goes on there
                self.member.cloud_up()
        self._perform()

    def identity_result(self, session_id: int, result: IdentityResult) -> bool:
        """Take the cloud's answer (S403); False where the session has not subscribed."""
        if not self.uplink.listens(session_id):
            return False
        if result.accepted and self.uplink.choose(session_id):
            self.member.cloud_moved("the cloud has another session")
        log.info(
            "identity-accepted" if result.accepted else "identity-refused",
            group=self.config.id,
            role=self.member.role.value,
            epoch=str(self.member.epoch),
            reason=result.reason,
            cursor=str(result.position.cursor),
            store=result.store_id,
        )
        behind = result.accepted and self.member.serving and result.position.live > self.member.durable
        text = (
            f"the cloud holds changes up to {result.position.live}, the journal up to {self.member.durable}: "
            "it was lost, or is an old copy; what it lacks is taken over from the cloud"
        )
        self.alarms.set(
            AlarmType.JOURNAL_BEHIND_CLOUD, behind, text if behind else "", group=self.config.id, peer=CLOUD
        )
        self.member.identity_result(result)
        self._perform()
        return True

    def acknowledge(self, session_id: int, receipt: Receipt) -> bool:
        """Take the cloud's receipt (S503); False where the session is not the one that uploads go to."""
        if not self.uplink.takes(session_id):
            return False
        for bad in receipt.quarantined:
            self.uplink.refuse(bad)
        self.member.acknowledge(receipt, self._loop.time())
        self._acknowledged()
        self._perform()
        return True

    # --- the replica side

    async def receive(
        self, batch: Batch, quarantined: tuple[Quarantined, ...], *, via: str = CLOUD
    ) -> Receipt:
        """Take a batch of the cloud (S504) or of the peer ``via``; return the receipt once durable."""
        if quarantined:
            first = quarantined[0]
            log.warning(
                "records-quarantined",
                group=self.config.id,
                count=len(quarantined),
                first=first.key.decode(errors="replace"),
                version=str(first.version),
                reason=first.reason,
            )
        answer: asyncio.Future[Receipt] = self._loop.create_future()
        self.member.receive(batch, quarantined, answer, via=via)
        self._perform()
        receipt = await answer
        if receipt.agrees is not None:
            self.audits.note("", receipt.position.cursor, receipt.agrees)
        return receipt

    def obtain(self, yes: bool) -> None:
        """Whether this secondary obtains from the cloud [0158]."""
        self.member.obtain(yes)
        self._perform()

    # --- local backup

    def upload(self, yes: bool) -> None:
        """Whether this primary uploads to the cloud; beginning again sends what came meanwhile."""
        self.member.uploads = yes
        self._perform()

    def attach(self, perform: Callable[[], None] | None) -> None:
        """Have ``perform`` called in a turn of its own after something has changed here; None for nobody."""
        self._attached = perform

    def local_receipt(self, peer: str, receipt: Receipt) -> None:
        """Take the receipt of a secondary that is backed up directly."""
        self.member.local_receipt(peer, receipt, self._loop.time())
        if receipt.agrees is not None:
            self.audits.note(peer, receipt.position.cursor, receipt.agrees)
        self._acknowledged()
        self._perform()

    # --- audits

    def audit(self) -> None:
        """Have every copy compared with this primary's, now and after each repair that follows from it."""
        self._audits_left = _AUDITS_IN_A_ROW
        self._compare()
        self._perform()

    def repair(self, replica: str, keys: Sequence[bytes]) -> int:
        """Journal keys again that a copy holds otherwise, then compare once more; return how many.

        Raises NotPrimaryError, or JournalFullError, where nothing can be written.
        """
        if self.alarms.book.raised(AlarmType.JOURNAL_BEHIND_CLOUD, self.config.id, CLOUD):
            # What only the cloud holds may be what this journal has lost.
            keys = [key for key in keys if key in self.member.table]
        for key in keys:
            self.member.rewrite(key)
            self.uplink.changed(key)
        if keys:
            log.warning("copy-repaired", group=self.config.id, replica=replica, keys=len(keys))
            self.audits.repaired(replica, len(keys))
            if self._audits_left:
                self._audits_left -= 1
                self._compare()
            self._schedule()
        return len(keys)

    def resync(self, replica: str) -> bool:
        """Send a copy everything again; False where it is not served from here."""
        member = self.member
        source = member.source if replica == CLOUD else member.locals.get(replica)
        if not member.serving or source is None:
            return False
        done = source.resync(member.durable, "an operator has asked for everything again")
        self._perform()
        return done

    def _compare(self) -> None:
        for source in (self.member.source, *self.member.locals.values()):
            source.audit_due = True

    def _arm_audit(self) -> None:
        if self.config.digest_interval:
            self._audit_timer = self._loop.call_later(self.config.digest_interval, self._audit_due)

    def _audit_due(self) -> None:
        if self.member.serving:
            self.audit()
        self._arm_audit()

    # --- what operators see

    def unprotected_users(self) -> int:
        """Return how many users' latest change may be durable here only."""
        return min(self.lag(self.member.protected).records, len(self.member.table))

    def lag(self, cursor: Version) -> Lag:
        """Return how far a replica at ``cursor`` is behind this primary."""
        member = self.member
        held = len(member.table) + member.table.tombstones
        return self._lag.lag(cursor, held, self._loop.time())

    def oldest_unacknowledged(self, cursor: Version) -> Version | None:
        """Return the oldest version that a replica at ``cursor`` has not, None if there is none."""
        member = self.member
        if cursor >= member.durable:
            return None
        return member.table.since(cursor, 1, member.durable).last

    def _acknowledged(self) -> None:
        member = self.member
        sources = (member.source, *member.locals.values())
        self._lag.acknowledged(min(source.position.cursor for source in sources))

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
        self.parking.settle(self.member, now)
        self._notes.look(self.member)
        self._rearm(now)
        if self._attached is not None and not self._telling:
            self._telling = True
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = False
        if self._attached is not None:
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
                    if self._newcomer is not None:
                        self._newcomer.notify(content)
                    else:
                        self.uplink.tell_all(content)
                case Adopted():
                    self._notes.adopted(output)
                    for told in self.adopted:
                        told(output)
                case Superseded(by):
                    self.superseded(by)

    def _upload(self, now: float) -> None:
        session = self.uplink.current
        if session is None:
            return
        batch = self.member.next_upload(now)
        if batch is not None:
            session.notify(encode_batch(batch))
            # One a turn: whoever else waits for the loop has its turn in between
            self._schedule()
        elif self.member.overdue(CLOUD, now):
            session.close(f"the cloud has not acknowledged an upload of group {self.config.id} in time")

    def _written(self, failure: str | None) -> None:
        now = self._loop.time()
        promoting = not self.member.serving
        if failure is None:
            if self.member.failure:
                log.info("journal-writable-again", group=self.config.id)
            self.member.stored()
            if self._trace is not None:
                self._trace(self.config.id, Milestone.DURABLE, self.member.durable)
            if self.member.serving:
                self._lag.durable(self.member.durable, now)
            self._upkeep.look(now)
        else:
            if self.member.failure != failure:
                log.error(
                    "journal-write-failed", group=self.config.id, reason=failure, remedy="free disk space"
                )
            self.member.failed(failure, now)
        if promoting and self.member.serving:
            # A batch that was being written was finished first [0139]; users are served from now on
            self.serving_changed()
        self._perform()
        self._progress.set()

    def _rearm(self, now: float) -> None:
        deadlines = (self.member.next_deadline(), self.parking.next_deadline(self.member))
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

    # --- waiting

    async def _settled(self) -> None:
        """Wait until what the table holds now is durable; a replica's table holds nothing else."""
        head = self.member.table.head
        while self.member.serving and self.member.durable < head:
            self._progress.clear()
            await self._progress.wait()
