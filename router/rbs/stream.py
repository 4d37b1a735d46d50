"""User-info over the RBS channel: second user-info from the primary, its receipts from the secondary.

A primary that dialled the channel pushes each batch as the cloud does (S504), and the reply is its receipt. A
primary that was dialled streams to the subscriber as it does to the cloud (S502), and the secondary answers
with ``acknowledge-user-info``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine

import structlog

from netconf_client import ClientSession, NetconfClientError
from router.audit import find_difference, report_difference
from router.group import Group
from router.rbs.peer import Peer, Tasks
from rui.backup import wire
from rui.backup.member_outputs import JournalFullError, NotPrimaryError
from rui.backup.messages import Batch, Position, Quarantined, Receipt
from rui.backup.source import SourceOptions
from rui.netconf.errors import RpcError

log = structlog.get_logger(__name__)

_NOT_WRITTEN = (JournalFullError, NotPrimaryError)


class LocalStream:
    """One group's local backup. ``inspect`` says which records of a batch the model refuses."""

    def __init__(
        self,
        group: Group,
        receipt_timeout: float,
        inspect: Callable[[Batch], tuple[Quarantined, ...]],
        tasks: Tasks,
    ) -> None:
        self._group = group
        self._options = SourceOptions(batch_records=group.config.max_records, receipt_timeout=receipt_timeout)
        self._inspect = inspect
        self._tasks = tasks

    def begin(self, peer: Peer, position: Position) -> None:
        """Send to this secondary from now on, behind what it holds (S603a, S704a)."""
        self._group.member.start_local(peer.name, position, self._options)

    def end(self, peer: Peer) -> None:
        """Local backup has ended; what is under way is still answered."""
        self._group.member.stop_local(peer.name)

    def gone(self, peer: Peer) -> None:
        """The session is gone, and what was under way on it."""
        self._group.member.session_gone(peer.name)

    def pump(self, peer: Peer, now: float) -> None:
        """Send what may go out; give the session up where a receipt is overdue."""
        member = self._group.member
        if member.overdue(peer.name, now):
            self.end(peer)
            peer.give_up(f"{peer.name} has not acknowledged user-info of group {member.group} in time")
            return
        while (batch := member.next_local(peer.name, now)) is not None:
            if peer.decider is not None:
                self._tasks.spawn(self._deliver(peer, batch, peer.channel.session))
            elif peer.caller is not None:
                peer.caller.notify(wire.encode_batch(batch))

    def receipt(self, peer: Peer, receipt: Receipt) -> None:
        """Take the secondary's receipt."""
        self._group.local_receipt(peer.name, receipt)

    def take(self, peer: Peer, batch: Batch) -> None:
        """Store what the primary streams, then acknowledge it; batches of one turn are stored in order.

        Raises WireError where the batch cannot be kept as it is.
        """
        self._tasks.spawn(self._store(peer, batch, self._inspect(batch), peer.channel.session))

    async def _deliver(self, peer: Peer, batch: Batch, session: ClientSession | None) -> None:
        if peer.channel.session is not session:
            return
        try:
            # A window of batches may wait for the secondary's disk, each for as long as a receipt may take.
            within = self._options.receipt_timeout * self._options.window
            reply = await peer.channel.rpc(wire.encode_batch(batch, wire.DELIVER), within)
            receipt = wire.decode_receipt(reply)
        except (RpcError, NetconfClientError, ConnectionError, ValueError) as error:
            log.warning("local-delivery-failed", group=batch.group, peer=peer.name, reason=str(error))
            if peer.channel.session is session:
                self.end(peer)
                peer.give_up("a delivery was not answered by a receipt")
            return
        if peer.channel.session is session:
            self.receipt(peer, receipt)
            if receipt.agrees is False:
                self._tasks.spawn(self._audited(peer, self._repair(peer)))

    async def _store(
        self, peer: Peer, batch: Batch, quarantined: tuple[Quarantined, ...], session: ClientSession | None
    ) -> None:
        receipt = await self._group.receive(batch, quarantined, via=peer.name)
        if peer.channel.session is not session:
            # On another session it would be taken for the receipt of what is under way there
            log.info("receipt-not-sent", group=batch.group, peer=peer.name, reason="the session is gone")
            return
        try:
            await peer.channel.rpc(wire.encode_receipt(receipt))
        except (RpcError, NetconfClientError, ConnectionError) as error:
            # The primary misses the receipt in time and gives the session up.
            log.warning("receipt-not-taken", group=batch.group, peer=peer.name, reason=str(error))
            return
        if receipt.agrees is False:
            member, version = self._group.member, receipt.position.cursor
            work = report_difference(member, member.device, version, peer.channel.rpc)
            await self._audited(peer, work)

    async def _repair(self, peer: Peer) -> None:
        self._group.repair(peer.name, await find_difference(self._group.member, peer.channel.rpc))

    async def _audited(self, peer: Peer, work: Coroutine[object, object, None]) -> None:
        """Narrow a difference to keys; where that fails the next digest shows it again."""
        try:
            await work
        except (RpcError, NetconfClientError, ConnectionError, ValueError, *_NOT_WRITTEN) as error:
            log.warning("audit-failed", group=self._group.member.group, peer=peer.name, reason=str(error))
