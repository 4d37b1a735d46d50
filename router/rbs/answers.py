"""What the end that was dialled answers to the initiator's RPCs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog
from lxml import etree

from router.group import Group
from router.rbs.peer import Peer
from router.rbs.stream import LocalStream
from rui.backup import rbs
from rui.backup.decision import Path
from rui.backup.failover import Informant
from rui.backup.identity import Role
from rui.backup.messages import Receipt
from rui.netconf.errors import RpcError

log = structlog.get_logger(__name__)


class Answers:
    """One group's answers; each raises RpcError where the peer may not ask, or not of this end.

    ``follow`` takes the path that the initiator says, ``perform`` lets the group act on what has changed,
    ``overrule`` makes this end the informant where the peer may ask although this end initiates.
    """

    def __init__(
        self,
        group: Group,
        device: str,
        peers: Mapping[str, Peer],
        stream: LocalStream,
        *,
        follow: Callable[[Peer, Path], None],
        perform: Callable[[], None],
        overrule: Callable[[Peer], None],
    ) -> None:
        self._group = group
        self._device = device
        self._peers = peers
        self._stream = stream
        self._follow = follow
        self._perform = perform
        self._overrule = overrule

    @property
    def _role(self) -> Role:
        return self._group.member.role

    def query(self, name: str) -> list[etree._Element]:
        """Return the response to the peer's query: this end's link to the cloud (S602a, S702a)."""
        _, informant = self._asked_by(name)
        link = rbs.CloudLink(self._group.config.id, self._device, informant.query())
        log.info(
            "response",
            step="S602a" if self._role is Role.SECONDARY else "S702a",
            group=self._group.config.id,
            peer=name,
            state=link.state.value,
        )
        return rbs.encode_response(self._role, link)

    def wait(self, name: str) -> None:
        """Wait for this end's link to be re-established (S604b, S705b)."""
        _, informant = self._asked_by(name)
        informant.told_to_wait()
        log.info("told-to-wait", group=self._group.config.id, peer=name)

    def start(self, name: str, start: rbs.Start) -> list[etree._Element]:
        """Answer the handshake of local backup: a secondary states what it holds, a primary sends."""
        peer, _ = self._asked_by(name)
        if peer.caller is None:
            raise RpcError.operation_failed(
                f"subscribe to the stream {rbs.STREAM} first: the handshake needs it"
            )
        if self._role is Role.PRIMARY and start.position is None:
            raise RpcError.missing_element("cursor", "a secondary that starts local backup states its cursor")
        self._follow(peer, start.path)
        if start.position is None or self._role is Role.SECONDARY:
            return rbs.encode_started(self._group.member.position)
        self._stream.begin(peer, start.position)
        self._perform()
        return []

    def change(self, name: str, path: Path) -> list[etree._Element]:
        """Take a change of path; say whether the cloud has everything, as far as this end knows."""
        peer, _ = self._asked_by(name)
        self._follow(peer, path)
        if not path.local:
            self._stream.end(peer)
        self._perform()
        return rbs.encode_changed(self._group.member.cloud_has_all)

    def receipt(self, name: str, receipt: Receipt) -> None:
        """Take a secondary's acknowledgement of what was streamed to it (S704a)."""
        peer, _ = self._asked_by(name)
        self._stream.receipt(peer, receipt)

    def _asked_by(self, name: str) -> tuple[Peer, Informant]:
        peer = self._peers.get(name)
        if peer is None:
            raise RpcError.access_denied(f"{name} has no RBS channel with {self._device} in this group")
        if peer.informant is None:
            self._overrule(peer)
        if peer.informant is None:
            raise RpcError.operation_failed(
                f"{self._device} is {self._role.value} and initiates local backup itself: "
                "set the same initiator at both ends"
            )
        return peer, peer.informant
