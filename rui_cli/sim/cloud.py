"""One life of the cloud's process: the shell of its core, as ``manager`` has it, and its lines to routers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from manager.fetch import Fetcher
from manager.store import NeedsSnapshot, Store
from rui.backup.cloud import Cloud, CloudOptions
from rui.backup.cloud_outputs import (
    Acknowledge,
    Apply,
    Claim,
    Deliver,
    GiveUp,
    Identify,
    Instruct,
    Keep,
    Output,
    Read,
    Relay,
)
from rui.backup.delivery import Forgotten
from rui.backup.identity import IdentityNotification, Role
from rui.backup.lease import GrantRequest, Leases
from rui.backup.messages import Batch, Position, Quarantined, Receipt, Result
from rui.backup.replica import Join
from rui.backup.requests import Fetch, Fetched
from rui.backup.source import SourceOptions, WantPage
from rui.backup.table import Page, Slice
from rui.backup.version import ZERO, Epoch
from rui_cli.sim.clock import Alarm, Host
from rui_cli.sim.line import DIALLER, Line
from rui_cli.sim.options import CLOUD
from rui_cli.sim.router import GROUP, RETRY
from rui_cli.sim.store import CloudStore, answered
from rui_cli.sim.wire import Wire

if TYPE_CHECKING:
    from rui_cli.sim.world import World

STORE_ID = "store-1"
FULL = "no space left on device"

Found = Slice | Page | Forgotten | None


class CloudLine(Line):
    """The session that the cloud dials to a router."""

    def __init__(self, world: World, wire: Wire, router: str) -> None:
        super().__init__(wire, world.chance, world.odds.link.interval)
        self._world = world
        self.router = router

    def opened(self) -> None:
        """The router is told that the cloud listens."""
        self.send(DIALLER, self._subscribed)

    def _subscribed(self) -> None:
        self._world.routers[self.router].subscribed()

    def lost_by(self, end: int, reason: str) -> None:
        """Router or cloud learns that the session is gone."""
        if end == DIALLER:
            self._world.cloud.device_down(self.router, reason)
        else:
            self._world.routers[self.router].unsubscribed(reason)

    def answered(self, number: int) -> None:  # noqa: ARG002 - a line's word
        """The cloud has got the answer to its probe."""
        self._world.cloud.hears(self.router)

    def probed(self, rtt: float | None, lost: int) -> None:
        """The router has got the cloud's probe."""
        self._world.routers[self.router].probed(rtt, lost)


class CloudDevice:
    """The cloud's part in the group, for as long as its process lives."""

    def __init__(self, world: World, host: Host, store: CloudStore) -> None:
        self.world = world
        self.host = host
        self.store = store
        odds = world.odds
        self.core = Cloud(
            GROUP,
            STORE_ID,
            position=store.position,
            floor=store.table.floor,
            entries=store.entries.values(),
            options=CloudOptions(
                odds.mode,
                SourceOptions(
                    0.0, odds.batch_records, receipt_timeout=3 * odds.link.timeout, retry_pause=RETRY
                ),
                retry_pause=RETRY,
                lease=odds.lease,
            ),
        )
        self._leases = Leases(odds.lease, self.now)
        self._heard_at: dict[str, float] = {}
        self._fetcher = Fetcher(cast("Store", store), now=lambda: host.clock.now)
        self._alarm = Alarm(host, self._timer)
        self._free_at = 0.0

    def start(self) -> None:
        """Begin to serve."""
        for line in self.world.cloud_lines.values():
            line.begin()
        self.run()

    # What routers send

    def hears(self, device: str) -> None:
        """Take a sign of life."""
        self._heard_at[device] = self.now
        self.world.witness.reaches_cloud(device, self.now)

    def grant_requested(self, device: str, request: GrantRequest) -> None:
        """A secondary asks to take the primary's place, as ``manager.group`` answers it."""
        self.hears(device)
        holder = self.core.holder(device)
        held = None if holder is None else (*holder, self._heard_at.get(holder[0]))
        result = self._leases.ask(request, held, self.core.cursors, self.now)
        self.world.witness.answered(request, result, self.store.entries, self.now)

        def arrive() -> None:
            standing = self.world.routers[device].standing
            if standing is not None:
                standing.grant_result(result)

        self.world.cloud_lines[device].send(DIALLER, arrive)

    def lease_released(self, device: str, epoch: Epoch) -> None:
        """The primary's own link is poor."""
        self.hears(device)
        self._leases.release(device, epoch, self.now)
        self.world.witness.released(device, epoch, self.now)

    def lease_taken_back(self, device: str, epoch: Epoch) -> None:
        """The primary's own link is good again."""
        self.hears(device)
        self._leases.take_back(device, epoch)
        self.world.witness.taken_back(device, epoch)

    def identify(self, device: str, notification: IdentityNotification) -> None:
        """Take an identity (S402)."""
        self.hears(device)
        self.core.identify(device, notification, self.host.wall)
        self.run()

    def upload(self, device: str, batch: Batch) -> None:
        """Take a batch (S502)."""
        self.hears(device)
        self.core.upload(device, batch, self.world.refused(self.host.name, batch))
        self.run()

    def device_down(self, device: str, reason: str) -> None:
        """A session is gone."""
        self.core.device_down(device, reason)
        self.run()

    def fetch(self, device: str, question: Fetch) -> Fetched | None:
        """Answer a fetch, as ``manager.northbound`` does; None for an error."""
        entry = self.core.entries.get(device)
        if entry is None or entry.role is not Role.SECONDARY:
            return None
        try:
            fetched = answered(self._fetcher.fetch(question))
        except LookupError:
            return None
        self.core.fetched(device, question.position, len(fetched.batch.changes), self.now)
        self.run()
        return fetched

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self.host.clock.now

    # The loop

    def run(self) -> None:
        """Do all that is to be done now."""
        while outputs := self.core.outputs(self.now):
            for output in outputs:
                self._do(output)
        self._alarm.move(self.core.next_deadline())
        self.world.checks.cloud(self)

    def _timer(self) -> None:
        self.core.handle_timer(self.now)
        self.run()

    def _do(self, output: Output) -> None:
        lines = self.world.cloud_lines
        match output:
            case Apply(device, ticket, batch, quarantined, joins):
                self._write(
                    partial(self._apply, device, batch, quarantined, joins),
                    lambda receipt: self.core.applied(device, ticket, receipt),
                )
            case Read():
                self._read(output)
            case Relay():
                self._relay(output)
            case Acknowledge(device, receipt):
                lines[device].send(DIALLER, lambda: self.world.routers[device].acknowledge(receipt))
            case Deliver():
                self._deliver(output)
            case Instruct():
                lines[output.device].send(DIALLER, partial(self._instruct, output.device))
            case GiveUp(device, reason):
                lines[device].close(reason)
            case Claim(epoch):
                self._write(
                    lambda: self.store.claim(GROUP, epoch),
                    self._claimed,
                )
            case Keep(entry):
                self._write(
                    lambda: self.store.keep(entry),
                    lambda receipt: (
                        self.core.kept(entry)
                        if receipt.result is Result.STORED
                        else self.core.keep_failed(receipt.reason, self.now)
                    ),
                )
            case Identify(device, result):
                lines[device].send(DIALLER, lambda: self.world.routers[device].identity_result(result))
            case _:
                pass

    def _claimed(self, receipt: Receipt) -> None:
        self.core.claimed(receipt, self.now)
        if receipt.result is Result.STORED:
            self._leases.claimed()
            self.world.witness.claimed()

    def _instruct(self, device: str) -> None:
        self.world.routers[device].instructed()

    def _deliver(self, output: Deliver) -> None:
        line, device = self.world.cloud_lines[output.device], output.device

        def receipt(found: Receipt) -> None:
            self.core.delivered(device, output.ticket, found, self.now)
            self.run()

        def arrive() -> None:
            router = self.world.routers[device]
            router.receive(output.batch, lambda found: line.send(1 - DIALLER, lambda: receipt(found)))

        line.send(DIALLER, arrive)

    def _relay(self, output: Relay) -> None:
        """Pass an offer on to the primary, and its receipt back."""
        shared = output.batch.offer.shared if output.batch.offer is not None else ZERO

        def relayed(receipt: Receipt) -> None:
            self.core.relayed(output.device, output.ticket, receipt)
            self.run()

        failed = Receipt(GROUP, Result.FAILED, Position(shared), "the primary's session is gone")
        self.world.cloud_lines[output.primary].call(
            DIALLER,
            lambda reply: self.world.routers[output.primary].receive(output.batch, reply),
            lambda found: relayed(found if isinstance(found, Receipt) else failed),
            lambda: relayed(failed),
        )

    # The store: one job after the other, each in its own time

    def _write(self, job: Callable[[], Receipt], done: Callable[[Receipt], None]) -> None:
        def commit() -> None:
            if self.world.power_fails(self.host):
                return
            if self.world.disk_full(CLOUD):
                receipt = Receipt(GROUP, Result.FAILED, self.store.position, FULL)
            else:
                receipt = job()
                self.world.news = True
                self.world.checks.stored(self.store)
            if self.world.power_fails(self.host):
                return
            self.host.after(0.0, partial(self._done, done, receipt))

        self._in_turn(commit)

    def _done(self, done: Callable[[Receipt], None], receipt: Receipt) -> None:
        self.core.moved(self.store.position, self.store.table.floor)
        done(receipt)
        self.run()

    def _apply(
        self, device: str, batch: Batch, quarantined: tuple[Quarantined, ...], joins: Join | None
    ) -> Receipt:
        checks, before = self.world.checks, self.store.position.writer
        checks.applied(self.store, device, batch)
        receipt = self.store.apply(batch, quarantined, joins)
        checks.judged(before, batch, receipt)
        return receipt

    def _read(self, output: Read) -> None:
        def read() -> None:
            want = output.want
            if self.world.disk_full(CLOUD):
                self.core.read_failed(output.device, output.ticket, FULL, self.now)
                self.run()
                return
            found: Slice | Page | NeedsSnapshot | None
            if isinstance(want, WantPage):
                found = self.store.buckets(want.first, want.limit)
            else:
                found = self.store.read(want.after, want.limit, output.upto)
            answer = Forgotten(found.floor) if isinstance(found, NeedsSnapshot) else found
            self.host.after(0.0, partial(self._found, output, answer))

        self._in_turn(read)

    def _found(self, output: Read, answer: Found) -> None:
        self.core.read(output.device, output.ticket, answer, self.now)
        self.run()

    def _in_turn(self, job: Callable[[], None]) -> None:
        odds = self.world.odds
        takes = odds.disk * self.world.slowness * self.world.chance.random()
        self._free_at = max(self.now, self._free_at) + takes
        self.host.at(self._free_at, job)
