"""What leaves a router of a group: as primary its streams to the copies, as secondary its offers.

Every way, to the cloud and to each peer, carries one of them at a time. A receipt is taken for the batch that
it answers, and where what sent that has ended meanwhile, it says nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rui.backup.copies import next_compared
from rui.backup.holdings import Holdings
from rui.backup.identity import Role
from rui.backup.lineage import Lineage
from rui.backup.member_outputs import CLOUD
from rui.backup.messages import Batch, Position, Receipt, Shared
from rui.backup.offering import Offering, Offers
from rui.backup.origins import Origins
from rui.backup.replica import Join
from rui.backup.sharing import Sharing, Users
from rui.backup.source import Source, SourceOptions, SourceState
from rui.backup.table import Table
from rui.backup.version import Epoch, Version
from rui.backup.ways import Ways
from rui.backup.writer import Writer

_SECONDARY = Role.SECONDARY


class Sender(Holdings):
    """The sending half of a :class:`rui.backup.member.Member`. Times are monotonic seconds."""

    def __init__(
        self,
        group: str,
        device: str,
        role: Role,
        *,
        table: Table | None,
        position: Position | None,
        facts: Mapping[str, str] | None,
        origins: Origins | None,
        shared: Iterable[Shared],
        cloud: SourceOptions,
    ) -> None:
        super().__init__(table, position, facts, origins)
        self.group = group
        self.device = device
        self.role = role
        self.source = Source(group, cloud)
        self.locals: dict[str, Source] = {}
        self.uploads = True
        self.sharing = Sharing(group, device, cloud, shared)
        self.users = Users(self.table, self.sharing)
        self._offers = Offers(cloud)
        self._ways = Ways()
        self._writer = Writer(device, self.position)

    @property
    def epoch(self) -> Epoch:
        """The newest epoch that this device has claimed in this life."""
        return self._writer.epoch

    @property
    def lineage(self) -> Lineage:
        """The history that this device holds, and as primary continues."""
        return self._writer.lineage if self.role is Role.PRIMARY else self.position.lineage

    @property
    def offering(self) -> Offering | None:
        """The offer of what this replica alone holds, None where there is none under way."""
        return self._offers.current

    @property
    def protected(self) -> Version:
        """All changes up to here are durable at one replica besides this primary."""
        return max([self.source.protected, *(source.protected for source in self.locals.values())])

    @property
    def cloud_has_all(self) -> bool:
        """Whether the cloud holds all that is durable here, so that local backup may end."""
        return self.source.state is SourceState.STREAMING and self.source.protected >= self.durable

    def next_upload(self, now: float) -> Batch | None:
        """Return the next batch for the cloud, None if nothing may go out now (S502)."""
        return self._next(CLOUD, self.source if self.uploads else None, now)

    def next_local(self, peer: str, now: float) -> Batch | None:
        """Return the next batch for a secondary, or of an offer to the primary; None if none may go now."""
        return self._next(peer, self.locals.get(peer), now)

    def stop_local(self, peer: str) -> None:
        """Local backup to a secondary has ended; what is under way is still answered."""
        self.locals.pop(peer, None)
        self._offers.end(peer)

    def session_gone(self, peer: str) -> None:
        """The session with a peer is gone: what is under way on it is answered no more."""
        self._ways.gone(peer)
        self.sharing.way_gone(peer)
        self.stop_local(peer)

    def cloud_moved(self, reason: str) -> None:
        """The session with the cloud is gone, or the cloud answers on another one."""
        self._ways.gone(CLOUD)
        self.sharing.way_gone(CLOUD)
        self.source.disconnect(reason)
        self._offers.end(CLOUD)

    def overdue(self, via: str, now: float) -> bool:
        """Say whether a receipt is missing for so long that the session must be given up."""
        source = self.source if via == CLOUD else self.locals.get(via)
        if self.role is _SECONDARY:
            offering = self._offers.current
            if offering is not None and offering.via == via:
                source = offering.source
            else:
                source = self.sharing.source if self.sharing.via == via else None
        return source is not None and source.overdue(now)

    def _offered(self, via: str, now: float) -> Batch | None:
        """Return the next batch of an offer."""
        batch = self._offers.next(via, self.table, now)
        return None if batch is None else self._with_origins(batch)

    def _with_origins(self, batch: Batch) -> Batch:
        return replace(batch, origins=self.origins.among(batch.changes)) if len(self.origins) else batch

    def _next(self, via: str, source: Source | None, now: float) -> Batch | None:
        if self.role is _SECONDARY:
            offering = self._offers.current
            if offering is not None:
                batch, source = self._offered(via, now), offering.source
            elif (batch := self.sharing.next(via, self.position, now)) is not None:
                source = self.sharing.source
        elif source is None or self.position.writer != self._writer.epoch:
            return None  # Else the claim is not durable yet
        else:
            batch = next_compared(source, self.table, self.durable, now)
            batch = None if batch is None else self._with_origins(batch)
        if batch is not None and source is not None:
            self._ways.sent(via, source)
        return batch

    def _answered(self, via: str, receipt: Receipt, now: float) -> Join | None:
        """Take the receipt for the oldest batch under way; return what to follow once all is taken over."""
        sent_by = self._ways.answered(via)
        if sent_by is None:
            return None
        if self.role is Role.SECONDARY:
            if sent_by is self._offers.source:
                return self._offers.receive(via, receipt, self.table, now)
            if sent_by is self.sharing.source:
                self.sharing.receive(receipt, now)
        elif sent_by is (self.source if via == CLOUD else self.locals.get(via)):
            sent_by.receive(receipt, self.durable, self.table.floor, self.table.complete_from, now)
        return None

    def _handle_sources(self, now: float) -> None:
        for source in (self.source, *self.locals.values()):
            source.handle_timer(self.durable, self.table.floor, now)
        if self.offering is not None:
            self.offering.handle_timer(self.table, now)
        self.sharing.handle_timer(now)

    def _sources_due(self) -> list[float]:
        """Return when each of what sends is to be looked at again, where it is at all."""
        due = []
        if (at := self.source.next_deadline()) is not None:
            due.append(at)
        if (at := self.sharing.next_deadline()) is not None:
            due.append(at)
        others = list(self.locals.values())
        if self._offers.current is not None:
            others.append(self._offers.current.source)
        return due + [at for source in others if (at := source.next_deadline()) is not None]
