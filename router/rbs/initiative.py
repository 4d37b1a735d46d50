"""Who of the two ends initiates local backup, as configured, and where the two settings differ.

The primary's setting counts, with an alarm. Where both initiate, the primary refuses what the secondary asks,
and the secondary becomes the end that is asked. Where neither does, the secondary is called by nobody: after
some link timeouts it dials, and initiates for as long as nobody calls it.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from router.config import FailoverConfig
from router.group import Group
from router.rbs.peer import Peer
from rui.backup.alarms import AlarmType
from rui.backup.failover import Decider, Informant
from rui.backup.identity import Role
from rui.backup.links import Link

log = structlog.get_logger(__name__)

_UNCALLED = 4
"""Link timeouts without a call after which a secondary that waits for one dials by itself."""
_SURE = 2
"""Link timeouts after which the session that it has dialled shows that the primary does not."""


class Initiative:
    """One group's. ``dial`` lets the channels be dialled, or not, as the peers' deciders ask."""

    def __init__(self, group: Group, config: FailoverConfig, device: str, cloud: Link) -> None:
        self._group = group
        self._config = config
        self._device = device
        self._cloud = cloud
        self.dial: Callable[[], None] = lambda: None

    @property
    def _role(self) -> Role:
        return self._group.member.role

    def assign(self, peer: Peer, now: float) -> None:
        """Decide or inform, as the role and the setting say."""
        peer.alone_since, peer.volunteers = now, False
        if self._config.initiator is self._role:
            self._decide(peer, now)
        else:
            peer.informant = Informant(self._role)

    def overrule(self, peer: Peer) -> None:
        """The other end initiates too: the primary's setting counts."""
        self._mismatch(peer, True)
        if self._role is Role.PRIMARY:
            return
        peer.overruled = True
        self._inform(peer)

    def called(self, peer: Peer, now: float) -> None:
        """The peer has dialled: it initiates after all."""
        peer.alone_since = now
        if peer.volunteers:
            peer.volunteers = False
            self._mismatch(peer, False)
            self._inform(peer)
            self.dial()

    def hung_up(self, peer: Peer, now: float) -> None:
        """The session that the peer has dialled is gone."""
        peer.alone_since = now
        self._mismatch(peer, False)

    def back(self, peer: Peer, now: float) -> None:
        """Be the initiator again, as configured, where the primary's session had overruled that."""
        if peer.overruled:
            peer.overruled = False
            self._decide(peer, now)
            peer.link.cut(now)

    def look(self, peer: Peer, now: float) -> None:
        """Dial where nobody calls; say so once the session shows that the primary waits for it."""
        if now < self.deadline(peer):
            return
        if peer.informant is not None:
            log.info("rbs-volunteered", group=self._group.config.id, peer=peer.name)
            peer.volunteers, peer.alone_since = True, now
            self._decide(peer, now)
            self.dial()
        elif peer.dialled:
            self._mismatch(peer, True)

    def session(self, peer: Peer, now: float) -> None:
        """The session that this end dials has opened or ended."""
        if peer.volunteers:
            peer.alone_since = now
            if not peer.dialled:
                self._mismatch(peer, False)

    def deadline(self, peer: Peer) -> float:
        """Return when :meth:`look` has something to do."""
        timeout = self._config.link.timeout
        if peer.volunteers:
            return peer.alone_since + _SURE * timeout if peer.dialled else float("inf")
        waits = peer.informant is not None and peer.caller is None
        if waits and self._role is Role.SECONDARY and self._config.initiator is Role.PRIMARY:
            return peer.alone_since + _UNCALLED * timeout
        return float("inf")

    def _decide(self, peer: Peer, now: float) -> None:
        peer.informant = None
        peer.decider = Decider(self._role, self._config.options, now)
        peer.decider.own_link(self._cloud.state, now)
        peer.channel.links.append(peer.link)

    def _inform(self, peer: Peer) -> None:
        peer.decider = None
        peer.channel.links.remove(peer.link)
        peer.informant = Informant(self._role)
        peer.informant.own_link(self._cloud.state)
        peer.informant.rbs_link(peer.link.state)

    def _mismatch(self, peer: Peer, yes: bool) -> None:
        says = "nor does" if peer.volunteers else "and so does"
        initiates = "does not initiate" if peer.volunteers else "initiates"
        text = (
            f"{peer.name} {initiates} local backup of this group, {says} {self._device}: the primary's "
            "setting counts; set the same initiator at both ends"
        )
        self._group.alarms.set(
            AlarmType.INITIATOR_MISMATCH,
            yes,
            text if yes else "",
            group=self._group.config.id,
            peer=peer.name,
        )
