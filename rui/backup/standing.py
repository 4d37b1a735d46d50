"""A router's standing in a group, joined with what it sees: links, its replica, an election, other primaries.

:class:`rui.backup.mastership.Mastership` says what follows from news; here it is found out what the news is:
which link tells that the primary is lost, when nobody is to be judged, which of two primaries goes on,
when a lease is released, and when a router is in sync enough for an operator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from rui.backup.identity import Role
from rui.backup.lease import GrantRequest, GrantResult
from rui.backup.links import LinkState
from rui.backup.mastership import (
    PREEMPTS,
    AskGrant,
    Changed,
    Demote,
    MasterOptions,
    Mastership,
    MasterState,
    Promote,
    Share,
    Stand,
    UseGrant,
)
from rui.backup.member import Member
from rui.backup.switchover import Taken
from rui.backup.version import NO_EPOCH, Epoch

PERIOD = 0.2
"""Seconds from one look at the links to the next."""
_SILENT = 4
"""Link timeouts after which a member that has said nothing of what it says in each of them is silent."""
_REDIAL = 2
"""Link timeouts in which a channel that is dialled anew comes up."""
_WON = PREEMPTS + 1.0
"""Seconds in which who was ordered to be primary has to win the election: else another serves."""
_KEPT = 1.0
"""Seconds after which a router that has taken the role, and says so, has not lost the election again."""


class NotReadyError(Exception):
    """The router lacks what the primary has, or could serve nobody; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a router sees: its link to the cloud, DOWN without a session, and to each other member.

    ``yields`` says that the Master of the election is heard with the priority of one that yields, ``stands``
    that this router takes part in it.
    """

    cloud: LinkState
    peers: Mapping[str, LinkState] = field(default_factory=dict)
    yields: bool = False
    stands: bool = True


@dataclass(frozen=True, slots=True)
class Ask:
    """Please send this to the cloud; :meth:`Standing.grant_result` takes the answer, if there is one."""

    request: GrantRequest


@dataclass(frozen=True, slots=True)
class Release:
    """Please tell the cloud that the primary gives up its lease."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Please tell the cloud that the primary holds again the lease that it gave up."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class TellTaken:
    """Please tell a member, by :meth:`Standing.claim`, that this router is primary; empty: every member."""

    peer: str


@dataclass(frozen=True, slots=True)
class TellShared:
    """Please tell the primary that this router serves beside it; :meth:`Standing.taken` takes the answer."""

    peer: str


@dataclass(frozen=True, slots=True)
class TellFree:
    """Please tell a member that serves beside this router that this one is not primary, or no more."""

    peer: str


@dataclass(frozen=True, slots=True)
class Outclaim:
    """Please claim an epoch above this one: the other primary's, which steps down."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class TwoPrimaries:
    """For operators: the other that may be serving users as well; empty: not any more, it was ``was``."""

    other: str
    was: str = ""


Output = (
    Promote
    | Demote
    | Share
    | Ask
    | UseGrant
    | Stand
    | Changed
    | Release
    | TakeBack
    | TellTaken
    | TellShared
    | TellFree
    | Outclaim
    | TwoPrimaries
)


class Standing:
    """One router's standing in one group. Values in, values out; times are monotonic seconds."""

    def __init__(self, member: Member, options: MasterOptions, link_timeout: float, now: float) -> None:
        """Nobody is judged before every link had its time to come up, from ``now`` on."""
        self.core = Mastership(options, primary=member.role is Role.PRIMARY)
        self._member = member
        self._link_timeout = link_timeout
        self._judged_from = now + link_timeout
        self._since = now
        self._master = False
        self._yields, self._stands = False, True
        self._leader = ""
        self._leader_heard = now
        self._leader_sure = False
        self._doubt_from = now
        self._tell_at = now
        self._told = NO_EPOCH
        self._sharer, self._sharer_heard = "", now
        self._conflict = ""
        # Who has said that it is not primary, and the newest epoch known then
        self._free: dict[str, Epoch] = {}
        self._asked = 0
        self._release_at = now
        self._released = False
        self._poor = False
        self._outputs: deque[Output] = deque()

    @property
    def yielding(self) -> bool:
        """Whether this primary reaches nobody."""
        return self.core.state is MasterState.YIELDING

    def elected(self, master: bool, reason: str, now: float) -> None:
        """The election has made this router Master, or Backup."""
        self._master = master
        self.core.elected(master, f"VRRP: {reason}", now)
        self._follow(now)

    def grant_result(self, result: GrantResult, now: float) -> None:
        """Take the cloud's answer to Ask; one to a former question says what was true then: it is ignored."""
        if result.number != self._asked:
            return
        self.core.grant_result(result.granted, result.seconds, result.reason, now)
        self._follow(now)

    def switch(self, *, force: bool, by: str, now: float) -> None:
        """Become primary as an operator wishes; raises NotReadyError unless forced."""
        member = self._member
        if member.role is Role.PRIMARY:
            return
        if not force and not member.in_sync:
            raise NotReadyError(
                f"{member.device} is not known to be in sync with the primary of group {member.group}: "
                "wait until it is, or ask with force"
            )
        if not force and self.core.options.elected and not self._stands:
            raise NotReadyError(
                f"{member.device} does not take part in the election of group {member.group}: "
                "bring its access link up, or ask with force"
            )
        self.core.ordered(f"asked by {by}", now)
        self._follow(now)

    def superseded(self, by: str, now: float) -> None:
        """Another router is primary under a newer epoch."""
        self._free.pop(by, None)
        self._leader, self._leader_heard = by, now
        self._leader_sure, self._doubt_from = False, now
        self._tell_at = now + self._link_timeout
        self.core.superseded(by, now)
        self._follow(now)

    def taken(self, other: Taken, now: float) -> None:
        """Another router says that it is primary: one of two goes on, and who is Master serves beside it."""
        self._free.pop(other.device, None)
        if self.core.state is MasterState.SHARING:
            self._leader, self._leader_heard = other.device, now
            self._leader_sure |= now >= self._since + _KEPT
        if not self.core.primary or not self._member.serving:
            return  # Else this router's own epoch is claimed in a moment, and told
        self._two_primaries(other.device)
        if other.prevails(self._claim(now)):
            self.superseded(other.device, now)
            self._doubt_from = now + _KEPT
            return
        if other.epoch > self._member.epoch:
            self._outputs.append(Outclaim(other.epoch))
        self._outputs.append(TellTaken(other.device))

    def shared(self, peer: str, now: float) -> None:
        """A member says that it serves beside this primary, or its offer has shown it."""
        if self.core.primary:
            self._sharer, self._sharer_heard = peer, now
            self._outputs.append(TellTaken(peer))
        else:
            self._outputs.append(TellFree(peer))

    def free(self, peer: str, now: float) -> None:
        """A member says that it is not primary."""
        self._free[peer] = self._member.position.writer
        if peer == self._leader:
            self.core.unled(f"{peer} is primary no more", now)
            self._follow(now)

    def met(self, peer: str) -> None:
        """A channel has come up: say whether this router is primary.

        The other may be primary too, or take this one for it: two that step down for each other.
        """
        self._outputs.append(TellTaken(peer) if self.core.primary else TellFree(peer))

    def claim(self, now: float) -> Taken:
        """Return what this primary says of itself, for everybody who is reached."""
        self._told = self._member.epoch
        return self._claim(now)

    def _claim(self, now: float) -> Taken:
        member = self._member
        return Taken(member.group, member.device, member.epoch, member.lineage, now - self._since)

    def look(self, seen: Seen, now: float) -> None:
        """Take what is seen now, every :data:`PERIOD`, and do what is due."""
        self._yields, self._stands = seen.yields, seen.stands
        self._poor = seen.cloud is LinkState.DEGRADED
        if seen.peers:
            self._release(seen.cloud, now)
        # An election that lets this router forward although it has stepped down
        stuck = self._master and not self.core.primary
        if self._sharer and now >= self._sharer_heard + _SILENT * self._link_timeout:
            self._sharer = ""
        self._two_primaries(self._leading if stuck else self._sharer)
        if self.core.state is MasterState.SHARING:
            self._share(seen.peers.get(self._leader, LinkState.DOWN), now)
        cloud, judged = seen.cloud is not LinkState.DOWN, now >= self._judged_from
        sharing = cloud and self.core.state is MasterState.SHARING
        # Who has taken the role may have lost the election since, and then nobody is primary: the cloud knows
        doubted = sharing and not self._leader_sure and now >= self._doubt_from
        if judged or sharing:
            peer = not doubted and (self._reached(seen.peers) or not judged)
            self.core.evidence(cloud=cloud, peer=peer, synced=self._member.in_sync, now=now)
        elif not self._member.in_sync:
            self.core.out_of_sync(now)
        if self._unelected and now >= self._since + _WON:
            self.core.elected(False, "VRRP: ordered to be primary, it has not become Master", now)
        if self.core.primary and self._member.serving and self._member.epoch != self._told:
            # A batch that was being written was finished first [0139]
            self._outputs.append(TellTaken(""))
        due = self.core.next_deadline()
        if due is not None and now >= due:
            self.core.handle_timer(now)
        self._follow(now)

    def outputs(self) -> list[Output]:
        """Return what is to be done, in order, and forget it."""
        drained = list(self._outputs)
        self._outputs.clear()
        return drained

    @property
    def _unelected(self) -> bool:
        return self.core.options.elected and self.core.primary and not self._master

    @property
    def _leading(self) -> str:
        """Who is primary, as far as a secondary knows."""
        writer = self._member.position.writer.device
        return self._leader if writer == self._member.device else writer

    def _reached(self, peers: Mapping[str, LinkState]) -> bool:
        """Say whether whoever counts is reached: any member for a primary, the primary for a secondary.

        Without channels only the cloud's word says that the primary is lost.
        """
        primary = self._member.role is Role.PRIMARY
        if not peers:
            return primary
        leading = self._leading
        if not primary and leading in peers:
            free = leading in self._free and self._free[leading] == self._member.position.writer
            return not free and peers[leading] is not LinkState.DOWN
        return any(state is not LinkState.DOWN for state in peers.values())

    def _share(self, link: LinkState, now: float) -> None:
        """Tell the primary, and hear whether it still is one, while there is a way to it."""
        if link is LinkState.DOWN:
            self._leader_heard = now
        elif now >= self._leader_heard + _SILENT * self._link_timeout:
            self.core.unled(f"{self._leader} does not say that it is primary", now)
        elif now >= self._tell_at:
            self._tell_at = now + self._link_timeout
            self._outputs.append(TellShared(self._leader))

    def _release(self, cloud: LinkState, now: float) -> None:
        """Give up the lease for as long as this primary's own link to the cloud is poor."""
        if not self.core.primary:
            self._released = False
        elif cloud is LinkState.DEGRADED and now >= self._release_at:
            self._release_at, self._released = now + self._link_timeout, True
            self._outputs.append(Release(self._member.epoch))
        elif cloud is LinkState.UP and self._released:
            self._release_at, self._released = now, False
            self._outputs.append(TakeBack(self._member.epoch))

    def _two_primaries(self, other: str) -> None:
        if other != self._conflict:
            self._outputs.append(TwoPrimaries(other, self._conflict))
        self._conflict = other

    def _follow(self, now: float) -> None:
        """Pass on what the core says, with what belongs to it here."""
        for output in self.core.outputs():
            match output:
                case AskGrant():
                    member = self._member
                    cursor = member.position.live
                    self._asked += 1
                    facts = (cursor, self._yields, self._poor, self._asked, member.position.writer)
                    self._outputs.append(Ask(GrantRequest(member.group, member.device, *facts)))
                case Promote():
                    self._moving(now)
                    self._outputs += (output, TellTaken(""))
                case Demote():
                    self._moving(now)
                    if self._sharer:
                        # While there is a session: with the role the channel's ends change places
                        self._outputs.append(TellFree(self._sharer))
                        self._sharer = ""
                    self._outputs.append(output)
                case _:
                    self._outputs.append(output)

    def _moving(self, now: float) -> None:
        """With the role the channel's two ends change places: nobody is judged before it is up again."""
        self._judged_from = now + _REDIAL * self._link_timeout
        self._since = now
