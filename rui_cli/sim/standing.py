"""Who is primary, at one router: its standing as ``router.standing`` drives it, its place in the election."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rui.backup import standing
from rui.backup.lease import GrantResult
from rui.backup.links import LinkState
from rui.backup.mastership import Changed, Demote, MasterOptions, Promote, Share, Stand, UseGrant
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
)
from rui.backup.switchover import Taken
from rui.vrrp.states import State
from rui.vrrp.values import YIELDING
from rui_cli.sim.access import Election
from rui_cli.sim.line import DIALLER, OTHER

if TYPE_CHECKING:
    from rui_cli.sim.router import Router


class Standing:
    """Drives one router's :class:`rui.backup.standing.Standing`."""

    def __init__(self, router: Router) -> None:
        self._router = router
        odds = router.world.odds
        options = MasterOptions(
            elected=bool(odds.vrrp_interval),
            wait_to_restore=odds.wait_to_restore,
            retry=max(1.0, odds.link.timeout),
        )
        self.core = standing.Standing(router.member, options, odds.link.timeout, router.now)
        self.election = Election(router, router.world.access, self) if odds.vrrp_interval else None
        self._performing = False

    def start(self) -> None:
        """Look from now on, and stand for election."""
        if self.election is not None:
            self.election.vrrp.allow_preemption(False, self._router.now)
            self.election.start()
        self._router.host.after(0.0, self._look)

    def elected(self, master: bool, reason: str) -> None:
        """The election has decided."""
        self.core.elected(master, reason, self._router.now)
        self._perform()

    def grant_result(self, result: GrantResult) -> None:
        """The cloud has answered."""
        self.core.grant_result(result, self._router.now)
        self._perform()

    def switch(self, *, force: bool) -> None:
        """An operator wants this router to be primary; one that is not in sync refuses."""
        world, router = self._router.world, self._router
        try:
            self.core.switch(force=force, by="operator", now=router.now)
        except NotReadyError:
            return
        world.witness.ordered(router.name, router.now)
        self._perform()

    def superseded(self, by: str) -> None:
        """The member has learnt of another primary."""
        self.core.superseded(by, self._router.now)
        self._perform()

    def taken(self, other: Taken) -> None:
        """Another router says that it is primary."""
        self.core.taken(other, self._router.now)
        self._perform()

    def shared(self, peer: str) -> None:
        """Another router says, or shows by its offer, that it serves beside this primary."""
        self.core.shared(peer, self._router.now)
        self._perform()

    def free(self, peer: str) -> None:
        """Another router says that it is not primary."""
        self.core.free(peer, self._router.now)
        self._perform()

    def met(self, peer: str) -> None:
        """A session with another router has opened."""
        self.core.met(peer)
        self._perform()

    def _look(self) -> None:
        router = self._router
        router.host.after(PERIOD, self._look)
        cloud = router.link.state if router.member.cloud_connected else LinkState.DOWN
        peers = {name: peer.link.state for name, peer in router.peers.items()}
        yields = self.election is not None and self.election.master_priority == YIELDING
        router.world.witness.looks(router.name, synced=router.member.in_sync, now=router.now)
        stands = self.election is None or self.election.vrrp.state is not State.INITIALIZE
        self.core.look(Seen(cloud, peers, yields, stands), router.now)
        self._perform()

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
        self._router.world.access.watch()

    def _do(self, output: Output) -> None:
        router, election = self._router, self.election
        match output:
            case Promote(reason):
                router.promote(reason)
            case Demote(reason):
                router.demote(reason)
            case Share(yes):
                router.share(yes)
            case Outclaim(epoch):
                router.outclaim(epoch)
            case UseGrant(until) if election is not None:
                election.grant(until)
            case Stand(yields, preempts) if election is not None:
                election.stand(yields=yields, preempts=preempts)
            case Changed(old, new, _):
                router.world.coverage.saw("standing", old, new)
            case _:
                self._say(output)

    def _say(self, output: Output) -> None:
        router, world = self._router, self._router.world
        line = world.cloud_lines[router.name]
        match output:
            case Ask(request):
                line.send(OTHER, lambda: world.cloud.grant_requested(router.name, request))
            case Release(epoch):
                line.send(OTHER, lambda: world.cloud.lease_released(router.name, epoch))
            case TakeBack(epoch):
                line.send(OTHER, lambda: world.cloud.lease_taken_back(router.name, epoch))
            case TellTaken(peer) if router.member.serving:
                said = self.core.claim(router.now)
                for name in (peer,) if peer else router.peers:
                    self._tell(name, lambda other: other.taken(said))
            case TellShared(peer):
                self._tell(peer, lambda other: other.shared(router.name))
            case TellFree(peer):
                self._tell(peer, lambda other: other.free(router.name))
            case _:
                pass

    def _tell(self, name: str, tell: Callable[[Standing], None]) -> None:
        """Tell another router of this one's standing, over whichever session there is."""
        router, world = self._router, self._router.world

        def arrive() -> None:
            other = world.routers[name].standing
            if other is not None:
                tell(other)

        for pair, end in (((router.name, name), DIALLER), ((name, router.name), OTHER)):
            session = world.rbs_lines[pair].session
            if session is not None and session.open:
                session.send(end, arrive)
                return
