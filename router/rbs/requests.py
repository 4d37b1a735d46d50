"""What the initiator of local backup asks of the other end: RPCs over the channel that it dialled."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from lxml import etree

from netconf_client import NetconfClientError
from router.rbs.peer import Peer
from router.rbs.stream import LocalStream
from rui.backup import rbs
from rui.backup.decision import Path
from rui.backup.identity import Role
from rui.backup.member import Member
from rui.backup.messages import Position
from rui.netconf.errors import RpcError

log = structlog.get_logger(__name__)

FAULTS = (RpcError, NetconfClientError, ConnectionError, ValueError)
"""What may become of a request: refused, unanswered, without a channel, or answered by what is no answer."""


class Requests:
    """One group's requests. What an answer means is the decider's affair; ``perform`` lets it act on it."""

    def __init__(
        self,
        member: Member,
        stream: LocalStream,
        now: Callable[[], float],
        perform: Callable[[], None],
    ) -> None:
        self._member = member
        self._stream = stream
        self._now = now
        self._perform = perform

    async def query(self, peer: Peer) -> None:
        """Ask for the state of the other end's link to the cloud (S601a, S701a)."""
        decider = peer.decider
        if decider is None:
            return
        operation = rbs.encode_group(rbs.QUERIES[self._member.role], self._member.group)
        try:
            reply = await peer.channel.rpc(operation, decider.options.query_timeout)
            state = rbs.decode_cloud_link(reply).state
        except FAULTS as error:
            log.warning("query-unanswered", group=self._member.group, peer=peer.name, reason=str(error))
            return  # the decider's own timer counts the tries
        decider.answer(state, self._now())
        self._perform()

    async def tell_wait(self, peer: Peer) -> None:
        """Tell the other end to wait for the re-establishment of its link (S604b, S705b)."""
        await self.send(peer, rbs.encode_group(rbs.WAITS[self._member.role], self._member.group))

    async def start(self, peer: Peer, attempt: int) -> None:
        """Start local backup by the handshake; whichever end is the secondary states what it holds."""
        decider = peer.decider
        if decider is None:
            return
        member = self._member
        primary = member.role is Role.PRIMARY
        start = rbs.Start(member.group, member.role, decider.path, None if primary else member.position)
        try:
            reply = await peer.channel.rpc(rbs.encode_start(start))
            position = rbs.decode_started(reply)
        except FAULTS as error:
            if str(error) != decider.reason:
                # Tried again every second for as long as it lasts
                log.warning("local-backup-refused", group=member.group, peer=peer.name, reason=str(error))
            decider.start_failed(attempt, str(error), self._now())
        else:
            decider.started(attempt, self._now())
            if primary and decider.local:
                self._stream.begin(peer, position or Position())
            if decider.local and decider.path.local and decider.path is not start.path:
                await self.tell_path(peer, decider.path)
        self._perform()

    async def tell_path(self, peer: Peer, path: Path) -> None:
        """Say that the path has changed; a primary answers whether the cloud has everything."""
        reply = await self.send(peer, rbs.encode_change(self._member.group, path))
        if reply is None:
            peer.channel.give_up("a change of path was not taken")
        elif peer.decider is not None and self._member.role is Role.SECONDARY:
            peer.decider.caught_up(rbs.decode_changed(reply), self._now())
            self._perform()

    async def tell(self, peer: Peer, operation: etree._Element) -> None:
        """Send what has no answer of interest."""
        await self.send(peer, operation)

    async def send(self, peer: Peer, operation: etree._Element) -> etree._Element | None:
        """Send an operation; None where it was not answered, which is logged and nothing worse."""
        try:
            return await peer.channel.rpc(operation)
        except FAULTS as error:
            log.warning(
                "rbs-request-failed",
                group=self._member.group,
                peer=peer.name,
                what=etree.QName(operation).localname,
                reason=str(error),
            )
            return None
