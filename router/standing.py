"""One group's standing: shows the core what is reached, and carries out what it decides of the role."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from router.group import Group
from router.rbs.failover import GroupFailover
from router.vrrp import Election
from rui.backup import standing, switchover
from rui.backup.alarms import AlarmType
from rui.backup.lease import GrantResult
from rui.backup.links import LinkState
from rui.backup.mastership import Changed, Demote, MasterOptions, Promote, Share, Stand, UseGrant
from rui.backup.member_outputs import Adopted
from rui.backup.standing import (
    PERIOD,
    Ask,
    NotReadyError,
    Outclaim,
    Output,
    Release,
    Seen,
    TakeBack,
    TellFree,
    TellShared,
    TellTaken,
    TwoPrimaries,
)
from rui.backup.switchover import LeaseRelease, Taken
from rui.netconf.errors import RpcError
from rui.vrrp.values import YIELDING

log = structlog.get_logger(__name__)


class Standing:
    """Drives one group's :class:`rui.backup.standing.Standing`. All methods belong to the loop's thread.

    ``failover`` is None in a group without RBS channels. ``election`` is set where VRRP decides.
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
        self._performing = False
        self.core = standing.Standing(group.member, options, group.config.link_timeout, self._loop.time())
        group.superseded = self._superseded
        if failover is not None:
            failover.taken = self.taken
            failover.shared = self.shared
            failover.free = self.free
        group.adopted.append(self._adopted)

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
        self.core.elected(True, reason, self._loop.time())
        self._perform()

    def deposed(self, reason: str) -> None:
        """The election has made this router Backup."""
        self.core.elected(False, reason, self._loop.time())
        self._perform()

    def grant_result(self, result: GrantResult) -> None:
        """Take the cloud's answer to a grant-request."""
        if not result.granted:
            log.debug("grant-refused", group=result.group, reason=result.reason)
        self.core.grant_result(result, self._loop.time())
        self._perform()

    def switch(self, *, force: bool, by: str) -> None:
        """Become primary as an operator wishes; raises RpcError where this router is not in sync."""
        try:
            self.core.switch(force=force, by=by, now=self._loop.time())
        except NotReadyError as error:
            raise RpcError.operation_failed(str(error)) from error
        self._perform()

    def taken(self, other: Taken) -> None:
        """Another router says that it is primary: one of two goes on."""
        self.core.taken(other, self._loop.time())
        self._perform()

    def _adopted(self, adopted: Adopted) -> None:
        if adopted.live:
            self.shared(adopted.offered_by)

    def shared(self, peer: str) -> None:
        """Another router says, or shows by its offer, that it serves beside this primary."""
        self.core.shared(peer, self._loop.time())
        self._perform()

    def free(self, peer: str) -> None:
        """Another router says that it is not primary."""
        self.core.free(peer, self._loop.time())
        self._perform()

    def tell(self, peer: str) -> None:
        """A channel has come up: a primary says so, in case that the other is one too."""
        self.core.met(peer)
        self._perform()

    def _superseded(self, by: str) -> None:
        self.core.superseded(by, self._loop.time())
        self._perform()

    async def _watch(self) -> None:
        while True:
            try:
                self.core.look(self._seen(), self._loop.time())
                self._perform()
            except Exception:
                log.exception("standing-failed", group=self._group.config.id)
            await asyncio.sleep(PERIOD)

    def _seen(self) -> Seen:
        failover, election = self._failover, self.election
        cloud, peers = LinkState.UP, {}
        if failover is not None and failover.peers:
            cloud = failover.cloud.state
            peers = {name: peer.link.state for name, peer in failover.peers.items()}
        if not self._cloud_heard():
            cloud = LinkState.DOWN
        yields = election is not None and election.master_priority == YIELDING
        return Seen(cloud, peers, yields, election is None or election.stands)

    def _perform(self) -> None:
        """Do what is to be done, in order; what follows a change of role adds to the end of it."""
        if self._performing:
            return
        self._performing = True
        try:
            while outputs := self.core.outputs():
                for output in outputs:
                    self._do(output)
        finally:
            self._performing = False

    def _do(self, output: Output) -> None:
        group = self._group
        match output:
            case Promote(reason):
                group.promote(reason)
            case Demote(reason):
                group.demote(reason)
            case Share(yes):
                group.share(yes)
            case Outclaim(epoch):
                group.outclaim(epoch)
            case UseGrant(until):
                if self.election is not None:
                    self.election.grant(until)
            case Stand(yields, preempts):
                self._stand(yields, preempts)
            case TwoPrimaries(other, was):
                self._warn(other, was)
            case Changed(old, new, reason):
                group.standing = new.value
                log.info("standing", group=group.config.id, old=old.value, new=new.value, reason=reason)
            case Ask() | Release() | TakeBack():
                self._tell_cloud(output)
            case _:
                self._tell_peers(output)

    def _tell_cloud(self, output: Ask | Release | TakeBack) -> None:
        group = self._group
        session = group.uplink.current
        if session is None:
            return
        if isinstance(output, Ask):
            session.notify(switchover.encode_grant_request(output.request))
            return
        back = isinstance(output, TakeBack)
        session.notify(switchover.encode_release(LeaseRelease(group.member.group, output.epoch, back)))
        facts = {"group": group.config.id, "epoch": str(output.epoch)}
        if back:
            log.info("lease-taken-back", **facts)
        else:
            log.info("lease-released", **facts)

    def _tell_peers(self, output: TellTaken | TellShared | TellFree) -> None:
        failover = self._failover
        if failover is None:
            return
        match output:
            case TellTaken(peer) if self._group.member.serving:
                taken = self.core.claim(self._loop.time())
                for name in (peer,) if peer else failover.peers:
                    failover.tell_taken(taken, name)
            case TellShared(peer):
                failover.tell_shared(peer)
            case TellFree(peer):
                failover.tell_free(peer)

    def _stand(self, yields: bool, preempts: bool) -> None:
        if self.election is None:
            return
        self.election.allow_preemption(preempts)
        if yields:
            self.election.set_priority(YIELDING, "reaches neither the cloud nor a secondary")
        else:
            self.election.set_priority(self._priority, "in touch")

    def _warn(self, other: str, was: str) -> None:
        """Raise the alarm, or clear it: both serve users, one of them beside the other."""
        text = (
            f"{other} serves users of this group as well: the access network is split; one of the two is "
            "primary and writes, see identity and link-status"
        )
        name, alarms = self._group.config.id, self._group.alarms
        if was:
            alarms.set(AlarmType.DUAL_PRIMARY, False, group=name, peer=was)
        if other:
            alarms.set(AlarmType.DUAL_PRIMARY, True, text, group=name, peer=other)
