"""Bugs, planted into the cores one at a time: what a simulator is worth is what it finds of them.

Each is a context manager that replaces one function of the product while it lasts; nothing in the product
knows of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import router.journal.recovery
import rui.backup.decision
import rui.backup.failover
import rui.backup.journal
import rui.backup.replica
from rui.backup.adoption import Adoption, TakenOver
from rui.backup.cloud import Cloud
from rui.backup.cloud_outputs import Acknowledge
from rui.backup.decision import Links, Path, Policy
from rui.backup.lease import GrantRequest, LeaseOptions, Leases
from rui.backup.links import LinkState
from rui.backup.mastership import Event, Mastership, Stand
from rui.backup.member import Member
from rui.backup.messages import Batch, Position, Quarantined, Receipt, Result, Stream
from rui.backup.replica import Judgement
from rui.backup.source import Source, WantPage, WantStream
from rui.backup.table import Slice, Table
from rui.backup.version import ZERO, Epoch, Version
from rui.backup.writer import Writer
from rui.vrrp.fsm import VirtualRouter
from rui.vrrp.packet import Advertisement
from rui_cli.sim.cloud import CloudDevice
from rui_cli.sim.roles import Roles


@dataclass(frozen=True)
class Bug:
    """``breaks`` are the invariants that may find it, ``seeds`` stories of ``roles`` in which it shows."""

    name: str
    plant: Callable[[], Any]
    breaks: frozenset[int]
    roles: Roles
    seeds: tuple[int, ...]


def _replaced(where: object, name: str, new: Callable[..., Any]) -> Any:
    return patch.object(where, name, new)


def skip_the_gap_check() -> Any:
    real = rui.backup.replica._judge_stream

    def judge(position: Position, claimed: Position, part: Stream) -> Judgement:
        return real(position, claimed, part._replace(prev=min(part.prev, position.live)))

    return _replaced(rui.backup.replica, "_judge_stream", judge)


def acknowledge_before_the_commit() -> Any:
    real = Cloud.upload

    def upload(self: Cloud, device: str, batch: Batch, quarantined: tuple[Quarantined, ...]) -> None:
        real(self, device, batch, quarantined)
        if isinstance(batch.part, Stream):
            position = Position(batch.part.last, None, batch.writer, self.position.lineage)
            self._outputs.append(Acknowledge(device, Receipt(batch.group, Result.STORED, position)))

    return _replaced(Cloud, "upload", upload)


def drop_tombstones() -> Any:
    real = Table.since

    def since(self: Table, after: Version, limit: int, upto: Version) -> Slice:
        part = real(self, after, limit, upto)
        return part._replace(changes=tuple(change for change in part.changes if change.record is not None))

    return _replaced(Table, "since", since)


def accept_an_old_epoch() -> Any:
    real = rui.backup.replica.judge

    def judge(position: Position, batch: Batch, newest: Version = ZERO) -> Judgement:
        return real(replace(position, writer=min(position.writer, batch.writer)), batch, newest)

    return _everywhere("judge", real, judge)


def snapshot_over_a_cursor_that_is_ahead() -> Any:
    real = Source._begin

    def begin(self: Source, position: Position, head: Version, *others: Any) -> None:
        real(self, position, head, *others)
        if position.live > head:
            self._owed = False
            self._snapshot = self._sent = max(head, position.cursor)
            self._next_bucket = 0

    return _replaced(Source, "_begin", begin)


def no_adoption_after_a_takeover() -> Any:
    real = Adoption._take_over

    def take_over(self: Adoption, batch: Batch, *others: Any) -> TakenOver:
        return real(self, replace(batch, changes=()), *others)

    return _replaced(Adoption, "_take_over", take_over)


def take_another_history_for_the_own() -> Any:
    def shared(source: object, replica: object, cursor: Version) -> Version:
        return cursor

    return _replaced(rui.backup.replica, "shared", shared)


def reuse_numbers_after_a_crash() -> Any:
    real = Writer.claim

    def claim(self: Writer, *above: Epoch) -> None:
        newest = max(above)
        if self.epoch.counter == 0 and newest.device == self._device:
            above = (Epoch(newest.counter - 1, self._device),)
        real(self, *above)

    return _replaced(Writer, "claim", claim)


def forget_deletes_without_a_trace() -> Any:
    real = Table.trim_tombstones

    def trim(self: Table, keep: int, upto: Version) -> int:
        floor = self.floor
        dropped = real(self, keep, upto)
        self.floor = floor
        return dropped

    return _replaced(Table, "trim_tombstones", trim)


def forget_a_coalesced_newer_version() -> Any:
    real = Table.since

    def since(self: Table, after: Version, limit: int, upto: Version) -> Slice:
        part = real(self, after, limit, upto)
        return part._replace(changes=tuple(change for change in part.changes if change.version <= part.last))

    return _replaced(Table, "since", since)


class _NoChecksum:
    @staticmethod
    def crc32(data: bytes) -> int:
        return 1


def trust_a_torn_frame() -> Any:
    return _replaced(rui.backup.journal, "zlib", _NoChecksum)


def deliver_while_local_backup_is_active() -> Any:
    real = Member.receive

    def receive(self: Member, *arguments: Any, **named: Any) -> None:
        obtains, self.obtains = self.obtains, True
        real(self, *arguments, **named)
        self.obtains = obtains

    return _replaced(Member, "receive", receive)


def resume_a_snapshot_at_the_wrong_bucket() -> Any:
    real = Source._begin

    def begin(self: Source, *arguments: Any) -> None:
        real(self, *arguments)
        if self._snapshot is not None and self._next_bucket:
            self._next_bucket -= min(self._next_bucket, 2000)
            self._sent = max(self._sent, arguments[1])

    return _replaced(Source, "_begin", begin)


def lose_the_quarantine_mark() -> Any:
    def forget(*arguments: object) -> None:
        """Read the journal without its reasons."""

    return _replaced(router.journal.recovery.Recovered, "_quarantine", forget)


def send_before_it_is_durable() -> Any:
    real = Member.put

    def put(self: Member, key: bytes, record: bytes) -> Version:
        self.durable = real(self, key, record)
        return self.durable

    return _replaced(Member, "put", put)


def send_without_a_window() -> Any:
    real = Source.want

    def want(self: Source, *arguments: Any) -> WantStream | WantPage | None:
        kept, self._in_flight = self._in_flight, type(self._in_flight)()
        try:
            return real(self, *arguments)
        finally:
            self._in_flight = kept

    return _replaced(Source, "want", want)


def take_a_degraded_link_for_a_good_one() -> Any:
    real = rui.backup.decision.decide

    def decide(links: Links, fault_policy: Policy, *, waited: bool) -> Path:
        good = LinkState.UP if links.a is LinkState.DEGRADED else links.a
        return real(links._replace(a=good), fault_policy, waited=waited)

    return _replaced(rui.backup.failover, "decide", decide)


def preempt_out_of_sync() -> Any:
    def tell_election(self: Mastership, now: float) -> None:
        if self.options.elected and self._stand is None:
            self._stand = Stand(yields=False, preempts=True)
            self._outputs.append(self._stand)

    return _replaced(Mastership, "_tell_election", tell_election)


def grant_right_after_a_cloud_start() -> Any:
    real = Leases.__init__

    def init(self: Leases, options: LeaseOptions, now: float) -> None:
        real(self, options, now - options.lease)

    return _replaced(Leases, "__init__", init)


def grant_while_the_primary_is_heard_of() -> Any:
    real = Leases.ask

    def ask(self: Leases, request: GrantRequest, primary: Any, *others: Any) -> Any:
        return real(self, request, None, *others)

    return _replaced(Leases, "ask", ask)


def take_over_without_a_grant() -> Any:
    real = Mastership._happen

    def happen(self: Mastership, event: Event, reason: str, now: float) -> None:
        real(self, event, reason, now)
        if event is Event.PRIMARY_LOST and not self.options.elected:
            real(self, Event.GRANTED, reason, now)

    return _replaced(Mastership, "_happen", happen)


def yield_without_a_grant() -> Any:
    def may_preempt(self: VirtualRouter, advertisement: Advertisement) -> bool:
        return self.options.preempt and (self.preemption_allowed or advertisement.priority == 1)

    return _replaced(VirtualRouter, "_may_preempt", may_preempt)


def expire_by_the_wrong_clock() -> Any:
    real = CloudDevice.hears

    def hears(self: CloudDevice, device: str) -> None:
        real(self, device)
        # By the time of day that the device says, compared with the cloud's own
        self._heard_at[device] += self.world.hosts[device].skew - self.host.skew

    return _replaced(CloudDevice, "hears", hears)


@contextmanager
def _everywhere(name: str, real: object, new: object) -> Iterator[None]:
    """Replace a function in every module that has imported it by name."""
    import sys

    places = [
        module
        for found, module in list(sys.modules.items())
        if found.startswith(("rui.", "rui_cli.sim")) and getattr(module, name, None) is real
    ]
    for module in places:
        setattr(module, name, new)
    try:
        yield
    finally:
        for module in places:
            setattr(module, name, real)


def _bug(plant: Callable[[], Any], breaks: set[int], roles: Roles, *seeds: int) -> Bug:
    return Bug(plant.__name__.replace("_", "-"), plant, frozenset(breaks), roles, seeds)


CONFIGURED, ELECTED, MASTERSHIP = Roles.CONFIGURED, Roles.ELECTED, Roles.MASTERSHIP

BUGS = [
    _bug(skip_the_gap_check, {1, 2}, CONFIGURED, 0, 11, 22, 27),
    _bug(acknowledge_before_the_commit, {1}, CONFIGURED, 0, 1, 2, 3),
    _bug(drop_tombstones, {1, 2, 5}, CONFIGURED, 0, 1, 6, 7),
    _bug(accept_an_old_epoch, {3}, ELECTED, 15, 17, 28),
    _bug(snapshot_over_a_cursor_that_is_ahead, {1, 2, 5, 6}, ELECTED, 2, 6, 11, 12),
    _bug(no_adoption_after_a_takeover, {1, 2}, ELECTED, 0, 1, 2, 10),
    _bug(reuse_numbers_after_a_crash, {4}, CONFIGURED, 5, 6, 10, 11),
    _bug(forget_a_coalesced_newer_version, {1, 2}, CONFIGURED, 0, 1, 4, 5),
    _bug(trust_a_torn_frame, {0, 1, 4}, CONFIGURED, 2, 6, 27, 28),
    _bug(deliver_while_local_backup_is_active, {7}, CONFIGURED, 0, 5, 7, 10),
    _bug(resume_a_snapshot_at_the_wrong_bucket, {1, 2}, CONFIGURED, 4, 8, 10, 16),
    _bug(lose_the_quarantine_mark, {1, 2}, CONFIGURED, 53, 67, 85),
    _bug(send_before_it_is_durable, {1, 4}, CONFIGURED, 0, 1, 2, 3),
    _bug(send_without_a_window, {8}, CONFIGURED, 0, 1, 2, 4),
    _bug(take_a_degraded_link_for_a_good_one, {7}, CONFIGURED, 2, 3, 11, 12),
    _bug(take_another_history_for_the_own, {1, 2, 5}, ELECTED, 0, 1, 2, 10),
    _bug(forget_deletes_without_a_trace, {1, 2, 5}, CONFIGURED, 0, 2, 3, 4),
    _bug(preempt_out_of_sync, {10}, ELECTED, 5, 14, 15, 36),
    _bug(yield_without_a_grant, {10}, ELECTED, 4, 10, 11),
    _bug(take_over_without_a_grant, {10}, MASTERSHIP, 0, 3, 4, 5),
    _bug(grant_right_after_a_cloud_start, {10}, MASTERSHIP, 0, 11, 29),
    _bug(grant_while_the_primary_is_heard_of, {10}, MASTERSHIP, 0, 3, 4, 5),
    _bug(expire_by_the_wrong_clock, {10}, MASTERSHIP, 4, 5, 26, 32),
]
