"""One router's part in one backup group: the writer as primary, a replica as secondary.

Values in, values out. What must survive a crash leaves as :class:`Append`; :meth:`Member.stored` or
:meth:`Member.failed` says what became of it, and only then does anything that depends on it go out: nothing
leaves before the journal's fsync. One append is under way at a time, so what comes meanwhile is committed
together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

from rui.backup.adoption import Adoption, Own
from rui.backup.copies import comes_to
from rui.backup.holdings import STORE_ID
from rui.backup.identity import IdentityNotification, IdentityResult, Role
from rui.backup.intake import Incoming, Intake, apply
from rui.backup.journal import Frame
from rui.backup.lineage import NO_ONE_HISTORY
from rui.backup.member_outputs import (
    CLOUD,
    Adopted,
    Answer,
    Append,
    JournalFullError,
    MemberOptions,
    Notify,
    NotPrimaryError,
    Output,
    Superseded,
)
from rui.backup.messages import Batch, Change, Offer, Position, Quarantined, Receipt, Result, Shared
from rui.backup.offering import refusal
from rui.backup.origins import Origins
from rui.backup.replica import Join, Judgement, judge_joining
from rui.backup.sender import Sender
from rui.backup.source import Source, SourceOptions
from rui.backup.table import Table
from rui.backup.version import ZERO, Epoch, Version

_PRIMARY = Role.PRIMARY
_BESIDE = "local backup is active: the cloud is told when it ends"


class Member(Sender):
    """A device in a group. Times are monotonic seconds."""

    def __init__(
        self,
        group: str,
        device: str,
        role: Role,
        *,
        address: str = "",
        table: Table | None = None,
        position: Position | None = None,
        facts: Mapping[str, str] | None = None,
        origins: Origins | None = None,
        shared: Iterable[Shared] = (),
        options: MemberOptions | None = None,
        cloud: SourceOptions | None = None,
    ) -> None:
        sending = cloud or SourceOptions()
        super().__init__(
            group,
            device,
            role,
            table=table,
            position=position,
            facts=facts,
            origins=origins,
            shared=shared,
            cloud=sending,
        )
        self.address = address
        self.options = options or MemberOptions()
        self.obtains = True
        self.cloud_connected = False
        self.failure = ""
        self.target: Version | None = None
        """Up to where the cloud was when this secondary was last answered; None before that."""
        self._outputs: deque[Output] = deque()
        self._promoting = False
        self._adoption = Adoption(group, self.origins)
        self._facts_changed = False
        self._intake = Intake()
        self._writing: tuple[Frame, ...] = ()
        self._retry_at: float | None = None
        self._claims = 0
        # The primary's history, once it has taken over what it lacked: followed with its next batch
        self._joins: Join | None = None
        self._offered_upto = ZERO

    def start(self) -> None:
        """Begin in the configured role; a primary takes a new epoch at every start."""
        if self.role is _PRIMARY:
            self._take_office()

    def promote(self) -> None:
        """Become primary under a new epoch; a batch that is being written is finished first [0139]."""
        if self.role is _PRIMARY:
            return
        self.role = Role.PRIMARY
        self._offers.drop()
        self._joins = None
        self.uploads = self.obtains = True
        for incoming in self._intake.drop():
            self._answer(incoming.tag, Result.REFUSED, f"{self.device} has become primary")
        self._promoting = bool(self._intake.judged)
        if not self._promoting:
            self._take_office()

    def demote(self, reason: str) -> None:
        """Become secondary; what has been taken is still written, and offered to the next primary."""
        if self.role is Role.SECONDARY:
            return
        self.role = Role.SECONDARY
        self._promoting = False
        # Another one: what is under way of this one is still answered on the same session
        self.source = Source(self.group, self.source.options)
        self.source.disconnect(reason)
        self.locals.clear()
        self._outputs.extend(self._adoption.give_up(reason))
        self._write()
        if self.cloud_connected:
            self._notify()

    def outclaim(self, epoch: Epoch) -> None:
        """As primary, claim an epoch above another's who was primary too."""
        if self.serving and epoch > self.epoch:
            self._claim(epoch)

    def share(self, yes: bool) -> None:
        """Serve users beside the primary, from a :meth:`demote` on, until told otherwise."""
        if yes and self.role is Role.SECONDARY:
            self.sharing.begin(self._writer.last)
        else:
            self.sharing.end()

    # The subscriber side

    @property
    def serving(self) -> bool:
        """Whether subscriber changes are written here."""
        return self.role is _PRIMARY and not self._promoting

    @property
    def takes(self) -> bool:
        """Whether subscriber changes are taken here: by the primary, or beside it."""
        return self.serving or self.sharing.active

    @property
    def in_sync(self) -> bool:
        """Whether this secondary holds what the cloud held when it was asked, or is backed up directly."""
        if self.role is _PRIMARY or not self.obtains:
            return True
        whole = self.position.snapshot is None and self.offering is None and self._joins is None
        return whole and self.target is not None and self.position.live >= self.target

    @property
    def wanted(self) -> Position:
        """Behind which this secondary downloads: what it holds, or where it joins the primary's history."""
        return self.position if self._joins is None else self._joins.behind(self.position)

    def remember(self, fact: str, value: str) -> None:
        """Keep a small text with the journal."""
        self.facts[fact] = value
        self._facts_changed = True
        self._write()

    def put(self, key: bytes, record: bytes) -> Version:
        """Take a new or changed record (S501); raises NotPrimaryError or JournalFullError."""
        return self._take(key, record)

    def delete(self, key: bytes) -> Version | None:
        """Take a logoff; None if nothing was held of the key. Raises NotPrimaryError or JournalFullError."""
        return self._take(key, None) if key in self.users else None

    def rewrite(self, key: bytes) -> Version:
        """Journal a key again as it is held, as a delete where nothing is; raises as :meth:`put`."""
        self._check_serving()
        held = self.table.get(key)
        return self._change(key, None) if held is None else self._again(held)

    # The replica side

    def receive(
        self, batch: Batch, quarantined: tuple[Quarantined, ...], tag: object, *, via: str = CLOUD
    ) -> None:
        """Take a batch from the cloud (S504) or from the peer ``via`` (S603a); an Answer follows.

        A secondary takes what the primary wrote, and nothing from the cloud while local backup is active
        [0158]; a primary takes what replicas offer.
        """
        if batch.offer is not None:
            self._adopt(batch, batch.offer, quarantined, tag)
            return
        if self.role is _PRIMARY:
            self._refuse(batch, tag)
            return
        if via == CLOUD and not self.obtains:
            self._answer(tag, Result.DISCARDED, _BESIDE)
            return
        if len(self._intake.waiting) >= self.options.pending_batches:
            self._answer(tag, Result.FAILED, "too many batches wait for the disk")
            return
        self._intake.waiting.append(Incoming(batch, quarantined, tag, via))
        self._write()

    # The cloud side

    def cloud_up(self) -> None:
        """The cloud listens: tell it who this device is (S401, S402)."""
        self.cloud_connected = True
        self._claims = 0
        self._notify()

    def cloud_down(self, reason: str) -> None:
        """The session with the cloud is gone."""
        self.cloud_connected = False
        self.cloud_moved(reason)

    def identity_result(self, result: IdentityResult) -> None:
        """Take the cloud's answer (S403): begin behind its cursor, or claim higher."""
        if self.facts.get(STORE_ID) != result.store_id:
            self.facts[STORE_ID] = result.store_id
            self._facts_changed = True
            self._write()
        if not self.serving:
            self.target = result.position.live
            return
        if not result.accepted:
            if result.primary and result.primary != self.device:
                self._outputs.append(Superseded(result.primary, result.highest))
                return
            if result.highest >= self.epoch and self._claims < self.options.claims:
                self._claims += 1
                self._claim(result.highest)
            return
        if result.highest < self.epoch:
            return  # It answers what this device said before it claimed anew
        position = replace(result.position, writer=result.highest)
        if position.live > self.durable and position.live.epoch >= self.epoch:
            # This journal was lost, or an old one was put back: the epoch was used before, and versions
            # taken under it again would be ignored as known.
            self._writer.forget_epoch()
            self._claim(max(result.highest, position.live.epoch))
            return
        self.source.connect(position, self.epoch, self.durable, self.table.floor, self._writer.lineage)
        self.source.stated(position, self.table.complete_from)

    def acknowledge(self, receipt: Receipt, now: float) -> None:
        """Take the cloud's receipt for an upload (S503), or for what a secondary offers."""
        self._joins = self._answered(CLOUD, receipt, now) or self._joins

    # Local backup over the RBS channel

    def start_local(self, peer: str, position: Position, options: SourceOptions) -> None:
        """Begin to send to a secondary directly, behind its own cursor: second user-info (S603a)."""
        source = self.locals[peer] = Source(self.group, options)
        if position.writer > self.epoch:
            # The secondary has been primary meanwhile, or has followed another one.
            self._claim(position.writer)
        source.connect(position, self.epoch, self.durable, self.table.floor, self._writer.lineage)

    def local_receipt(self, peer: str, receipt: Receipt, now: float) -> None:
        """Take a secondary's receipt for a batch that went to it directly, or the primary's for an offer."""
        self._joins = self._answered(peer, receipt, now) or self._joins

    def obtain(self, yes: bool) -> None:
        """Whether this secondary obtains from the cloud; beginning again tells it the cursor (S402)."""
        again = yes and not self.obtains
        self.obtains = yes
        for incoming in self._intake.drop(CLOUD) if not yes else ():
            self._answer(incoming.tag, Result.DISCARDED, _BESIDE)
        if again and self.cloud_connected:
            self._notify()

    def outputs(self) -> list[Output]:
        """Return what is to be done now, in order, and forget it."""
        drained = list(self._outputs) if self._outputs else []
        self._outputs.clear()
        return drained

    def flush(self) -> None:
        """Write what has been put since; call it once after a burst of puts."""
        self._write()

    def stored(self) -> None:
        """The append is durable."""
        self.failure = ""
        writing, self._writing = self._writing, ()
        self.sharing.written()
        if self._intake.judged:
            self._finish_all()
        elif writing:
            claimed = self.position.writer != writing[-1].position.writer
            self.position = writing[-1].position
            self.durable = max(self.durable, self.position.live)
            self._writer.written(writing)
            self.table.trim_tombstones(self.options.tombstones, self.durable)
            if claimed and self.cloud_connected:
                self._notify()
            self._outputs.extend(self._adoption.durable(self.durable))
        if self._promoting:
            self._take_office()
        self._write()

    def failed(self, reason: str, now: float) -> None:
        """The append failed, nothing of it is durable: a primary tries again, a replica tells the sender."""
        self.failure = reason
        if self._intake.judged:
            for incoming, _ in self._intake.drain():
                self._answer(incoming.tag, Result.FAILED, reason)
            self._writing = tuple(
                replace(frame, position=self.position) for frame in self._writing if frame.settled is not None
            )
        if self._writing:
            self._retry_at = now + self.options.retry_pause
        # What waits starts an append of its own, which must not be repeated
        if self._promoting:
            self._take_office()
        self._write()

    def handle_timer(self, now: float) -> None:
        """Do what is due: retry the journal, the source's own timer."""
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self._outputs.append(Append(self._writing))
        self._handle_sources(now)

    def next_deadline(self) -> float | None:
        """Return when :meth:`handle_timer` and :meth:`next_upload` are due next, None for never."""
        due = self._sources_due()
        if self._retry_at is not None:
            due.append(self._retry_at)
        return min(due) if due else None

    @property
    def waiting_for_disk(self) -> int:
        """How many changes are not durable yet."""
        return self._writer.waiting + sum([len(frame.changes) for frame in self._writing])

    def _check_serving(self) -> None:
        if not self.takes:
            raise NotPrimaryError(f"{self.device} is {self.role.value} of group {self.group}")
        if self._full:
            octets = self._writer.pending_bytes + self.sharing.octets
            what = f"{octets} octets of group {self.group} wait for the journal, or for the primary"
            raise JournalFullError(f"{what} {self.failure}: free disk space, then log in again")

    @property
    def _full(self) -> bool:
        return self._writer.pending_bytes + self.sharing.octets > self.options.pending_bytes

    def _take(self, key: bytes, record: bytes | None) -> Version:
        self._check_serving()
        if not self.sharing.active:
            return self._change(key, record)
        held, before = self.table.get(key), self.users.get(key)
        known = [self.position.live, self._writer.last, *([held.version] if held is not None else [])]
        version = self.sharing.take(key, record, max(known))
        self.users.tell(key, before.record if before is not None else None)
        return version

    def _change(self, key: bytes, record: bytes | None) -> Version:
        change = self._writer.change(key, record)
        self.table.apply(change)
        self.quarantined.pop(key, None)
        return change.version

    def _again(self, held: Change) -> Version:
        """Write what is held under a new version: what was known of it is true of that."""
        bad = self.quarantined.get(held.key)
        written = self._change(held.key, held.record)
        self.origins.moved(held, written)
        if bad is not None:
            self.quarantined[held.key] = bad._replace(version=written)
        return written

    def _claim(self, above: Epoch) -> None:
        """Take an epoch above all that are known; the cloud is told of it once it is durable."""
        self._writer.claim(above, self.position.writer)
        self._outputs.extend(self._adoption.begin_again())
        for source in self.locals.values():
            source.connect(source.position, self.epoch, self.durable, self.table.floor, self._writer.lineage)
        self._write()

    def _take_office(self) -> None:
        self._promoting = False
        self._adoption = Adoption(self.group, self.origins)
        self._writer.continue_from(self.position)
        # A replica may hold more than its cursor says, and all that it holds is durable.
        self.durable = self.table.complete_from = max(self.position.cursor, self.table.head)
        self._claim(self.position.writer)
        for shared in self.sharing.clear():
            known = self.origins.of(self.table.get(shared.key))
            if known is None or known <= shared.base:
                self._change(shared.key, shared.record)

    def _adopt(self, batch: Batch, offer: Offer, quarantined: tuple[Quarantined, ...], tag: object) -> None:
        """Take over what a replica alone holds; the receipt goes out once that is durable."""
        if not self.serving or batch.writer != self.epoch:
            reason = f"{self.device} is {self.role.value}, its epoch {self.epoch}, not {batch.writer}"
            self._outputs.append(Answer(tag, refusal(batch, reason)))
            return
        if self._full:
            held = self._adoption.position(offer)
            receipt = Receipt(self.group, Result.FAILED, held, "too much waits for the journal")
            self._outputs.append(Answer(tag, receipt))
            return
        own = Own(self.table, self.lineage, self._change, self._again)
        found = self._adoption.receive(batch, offer, quarantined, tag, own=own)
        written = found.written
        taken = written.keys() - found.passed_over.keys()
        live = [bad for bad in quarantined if bad.key in taken and bad.key in self.table]
        self.quarantined |= {bad.key: bad._replace(version=written[bad.key]) for bad in live}
        if written or found.passed_over:
            counts = (len(written), len(found.passed_over))
            online = tuple(key for key in taken if key in self.table)
            self._outputs.append(Adopted(offer.by, *counts, offer.live, found.unsure, online))
            self._write()
        self._outputs.extend(self._adoption.durable(self.durable))

    def _write(self) -> None:
        """Start one append with all that waits, unless one is under way."""
        if self._writing:
            return
        frames = self._writer.frames(self.position, self.origins, self.quarantined)
        if self._facts_changed:
            self._facts_changed = False
            frames.append(Frame(frames[-1].position if frames else self.position, facts=dict(self.facts)))
        frames = frames or self._intake.judge(self.position, self._judge)
        position = frames[-1].position if frames else self.position
        shared = self.sharing.frame(position, alone=not frames)
        if shared is not None:
            frames.append(shared)
        if frames:
            self._writing = tuple(frames)
            self._outputs.append(Append(self._writing))
        else:
            self._finish_all()

    def _refuse(self, batch: Batch, tag: object) -> None:
        """As primary take nothing but offers; who writes under a newer epoch is primary instead."""
        if self.serving and batch.writer > self.epoch and batch.writer.device != self.device:
            self._outputs.append(Superseded(batch.writer.device, batch.writer))
        self._answer(tag, Result.REFUSED, f"{self.device} is primary under {self.epoch}")

    def _judge(self, position: Position, batch: Batch) -> Judgement:
        # What was offered before this history was joined is not offered again
        newest = ZERO if self.table.head == self._offered_upto else self.table.head
        return judge_joining(position, self._joins, batch, newest)

    def _finish_all(self) -> None:
        for incoming, judgement in self._intake.drain():
            if judgement.result is Result.DIVERGED:
                self._diverged(incoming, judgement)
            elif judgement.apply:
                apply(incoming, judgement, self.table, self.quarantined, self.origins)
                if judgement.position.lineage != self.position.lineage:
                    self._offers.drop()  # It was for another history
                    if self._joins is not None and self._joins.lineage == judgement.position.lineage:
                        self._offered_upto = self.table.head
                    self._joins = None
                self.position = judgement.position
                self.durable = self.position.live
                self.table.trim_tombstones(self.options.tombstones, self.durable)
            agrees = comes_to(incoming.batch, judgement.result, self.position, self.table)
            self._outputs.append(Answer(incoming.tag, incoming.receipt(judgement, agrees)))
        for shared in self.sharing.passed(self.position.live):
            held = self.table.get(shared.key)
            if (held.record if held is not None else None) != shared.record:
                self.users.tell(shared.key, shared.record)

    def _diverged(self, incoming: Incoming, judgement: Judgement) -> None:
        """Begin to offer what the sender's history lacks; where that is nothing, follow it at once."""
        batch, common = incoming.batch, judgement.shared
        self.position = judgement.position
        # What a given-up snapshot has passed without a record is nothing to offer
        given_up = self.position.lineage == NO_ONE_HISTORY
        until = self.table.head if given_up else max(self.position.live, self.table.head)
        if common == until:
            self._joins = Join(batch.writer, batch.lineage, common)
        elif common is not None:
            offer = Offer(self.device, common, until)
            self._offers.begin(offer, batch, incoming.via, self.position, self.table.floor)

    def _notify(self) -> None:
        if self.role is _PRIMARY and self.position.writer != self.epoch:
            return
        epoch = self.epoch if self.role is _PRIMARY else self.position.writer
        facts = (self.group, self.device, self.address, self.role, epoch, self.position)
        self._outputs.append(Notify(IdentityNotification(*facts)))

    def _answer(self, tag: object, result: Result, reason: str) -> None:
        self._outputs.append(Answer(tag, Receipt(self.group, result, self.position, reason)))
