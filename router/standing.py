"""One group's standing: looks at what is reached, and carries out what the core decides of the role."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from router.group import Group
from router.rbs.failover import GroupFailover
from router.vrrp import Election
from rui.backup import switchover
from rui.backup.alarms import AlarmType
from rui.backup.identity import Role
from rui.backup.lease import GrantRequest, GrantResult
from rui.backup.links import LinkState
from rui.backup.mastership import (
    AskGrant,
    Changed,
    Demote,
    MasterOptions,
    Mastership,
    MasterState,
    Promote,
    Stand,
    UseGrant,
)
from rui.backup.switchover import Taken
from rui.backup.version import NO_EPOCH
from rui.netconf.errors import RpcError
from rui.vrrp.states import State

log = structlog.get_logger(__name__)

_PERIOD = 0.2
_REDIAL = 2
"""Link timeouts in which a channel that is dialled anew comes up."""
_YIELD_PRIORITY = 1


class Standing:
    """Drives one group's :class:`Mastership`. All methods belong to the loop's thread.

    ``failover`` is None in a group without RBS channels: then only the cloud's word says that the primary is
    lost. ``election`` is set where VRRP decides.
    """

    def __init__(
        self,
        group: Group,
        failover: GroupFailover | None,
        options: MasterOptions,
        cloud_heard: Callable[[], bool],
        priority: int = 0,
    ) -> None:
        self.election: Election | None = None
        self._group = group
        self._failover = failover
        self._cloud_heard = cloud_heard
        self._priority = priority
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._conflict = ""
        self._released = NO_EPOCH
        self._judged_from = 0.0
        self.core = Mastership(options, primary=group.member.role is Role.PRIMARY)
        group.superseded = self._superseded
        if failover is not None:
            failover.taken = self.taken

    def start(self) -> None:
        """Look from now on."""
        self._task = self._loop.create_task(self._watch(), name=f"standing-{self._group.config.id}")

    async def close(self) -> None:
        """Look no more; an election that was won is resigned."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.election is not None:
            await self.election.close()

    def elected(self, reason: str) -> None:
        """The election has made this router Master."""
        self.core.elected(True, f"VRRP: {reason}", self._loop.time())
        self._perform()

    def deposed(self, reason: str) -> None:
        """The election has made this router Backup."""
        self.core.elected(False, f"VRRP: {reason}", self._loop.time())
        self._perform()

    def grant_result(self, result: GrantResult) -> None:
        """Take the cloud's answer to a grant-request."""
        if not result.granted:
            log.debug("grant-refused", group=result.group, reason=result.reason)
        self.core.grant_result(result.granted, result.seconds, result.reason, self._loop.time())
        self._perform()

    def switch(self, *, force: bool, by: str) -> None:
        """Become primary as an operator wishes; raises RpcError where this router is not in sync."""
        member = self._group.member
        if member.role is Role.PRIMARY:
            return
        if not force and not member.in_sync:
            raise RpcError.operation_failed(
                f"{member.device} is not known to be in sync with the primary of group {member.group}: "
                "wait until it is, or ask with force"
            )
        self.core.ordered(f"asked by {by}", self._loop.time())
        self._perform()

    def taken(self, other: Taken) -> None:
        """Another router says that it is primary: one of two goes on."""
        if not self.core.primary:
            return
        self._two_primaries(other.device)
        mine = self._taken()
        if other.prevails(mine):
            self._superseded(other.device)
        elif self._failover is not None:
            self._failover.tell_taken(mine, other.device)

    def _two_primaries(self, other: str) -> None:
        """Raise the alarm, or with no name clear it: both may be serving users until one has stepped down."""
        text = f"{other} is primary of this group as well: one of the two steps down" if other else ""
        if other or self._conflict:
            group = self._group
            group.alarms.set(
                AlarmType.DUAL_PRIMARY, bool(other), text, group=group.config.id, peer=other or self._conflict
            )
        self._conflict = other

    def _release(self, link: LinkState) -> None:
        """Give up the lease, once, when this primary's own link to the cloud has become poor."""
        member, session = self._group.member, self._group.uplink.current
        poor = self.core.primary and link is LinkState.DEGRADED
        if poor and self._released != member.epoch and session is not None:
            session.notify(switchover.encode_release(member.group, member.epoch))
            log.info("lease-released", group=member.group, epoch=str(member.epoch))
            self._released = member.epoch

    def _taken(self) -> Taken:
        member, since = self._group.member, self._group.primary_since
        age = 0.0 if since is None else self._loop.time() - since
        return Taken(member.group, member.device, member.epoch, member.lineage, age)

    def _superseded(self, by: str) -> None:
        self.core.superseded(by, self._loop.time())
        self._perform()

    async def _watch(self) -> None:
        # Nobody is judged before every link had its time to come up
        await asyncio.sleep(self._group.config.link_timeout)
        while True:
            try:
                self._look()
            except Exception:
                log.exception("standing-failed", group=self._group.config.id)
            await asyncio.sleep(_PERIOD)

    def _look(self) -> None:
        failover, member = self._failover, self._group.member
        cloud = self._cloud_heard()
        peer = member.role is Role.PRIMARY
        if failover is not None and failover.peers:
            cloud = cloud and failover.cloud.state is not LinkState.DOWN
            peer = any(found.link.state is not LinkState.DOWN for found in failover.peers.values())
            self._release(failover.cloud.state)
        self._two_primaries(self._still_master())
        now = self._loop.time()
        if now >= self._judged_from:
            self.core.evidence(cloud=cloud, peer=peer, synced=member.in_sync, now=now)
        due = self.core.next_deadline()
        if due is not None and now >= due:
            self.core.handle_timer(now)
        self._perform()

    def _still_master(self) -> str:
        """Return who is primary where the election has this router forward although it has stepped down."""
        writer = self._group.member.position.writer
        master = self.election is not None and self.election.state().state is State.MASTER
        return writer.device if master and not self.core.primary else ""

    def _perform(self) -> None:
        for output in self.core.outputs():
            match output:
                case Promote(reason):
                    self._moving()
                    self._group.promote(reason)
                    self._tell_all()
                case Demote(reason):
                    self._moving()
                    self._group.demote(reason)
                case AskGrant():
                    self._ask()
                case UseGrant(until):
                    if self.election is not None:
                        self.election.grant(until)
                case Stand(yields, preempts):
                    self._stand(yields, preempts)
                case Changed(old, new, reason):
                    log.info(
                        "standing", group=self._group.config.id, old=old.value, new=new.value, reason=reason
                    )

    def _moving(self) -> None:
        """With the role the channel's two ends change places: nobody is judged before it is up again."""
        self._judged_from = self._loop.time() + _REDIAL * self._group.config.link_timeout

    def _stand(self, yields: bool, preempts: bool) -> None:
        if self.election is None:
            return
        self.election.allow_preemption(preempts)
        if yields:
            self.election.set_priority(_YIELD_PRIORITY, "reaches neither the cloud nor a secondary")
        else:
            self.election.set_priority(self._priority, "in touch")

    def _ask(self) -> None:
        member, session = self._group.member, self._group.uplink.current
        if session is not None:
            request = GrantRequest(member.group, member.device, member.position.live)
            session.notify(switchover.encode_grant_request(request))

    def _tell_all(self) -> None:
        if self._failover is not None:
            for name in self._failover.peers:
                self._failover.tell_taken(self._taken(), name)

    def tell(self, peer: str) -> None:
        """A channel has come up: a primary says so, in case that the other is one too."""
        if self.core.primary and self._failover is not None:
            self._failover.tell_taken(self._taken(), peer)

    @property
    def yielding(self) -> bool:
        """Whether this primary reaches nobody."""
        return self.core.state is MasterState.YIELDING
