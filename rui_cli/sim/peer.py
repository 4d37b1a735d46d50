"""Another router of the group as one router knows it, and what becomes of the decisions about it.

What ``router.rbs`` does with sockets: an initiator's :class:`Decider` or the other end's :class:`Informant`
is fed with evidence, and what it says is done over the RBS line.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rui.backup.decision import Path
from rui.backup.failover import (
    Ask,
    Decider,
    Informant,
    Output,
    PathChanged,
    StartLocal,
    StopLocal,
    Tell,
    TellWait,
)
from rui.backup.identity import Role
from rui.backup.links import Link, LinkState
from rui.backup.messages import Batch, Position, Receipt
from rui_cli.sim.line import DIALLER, OTHER
from rui_cli.sim.wire import Session

if TYPE_CHECKING:
    from rui_cli.sim.rbs import RbsLine
    from rui_cli.sim.router import Router

POLL = 1.0
NEVER = float("inf")
_PRIMARY = Role.PRIMARY


class Peer:
    """``line`` is dialled by whichever of the two initiates local backup."""

    def __init__(self, router: Router, name: str, line: RbsLine, *, initiates: bool) -> None:
        self.router = router
        self.name = name
        self.line = line
        self.end = DIALLER if initiates else OTHER
        now, odds, role = router.now, router.world.odds, router.member.role
        self.link = Link(odds.link, now)
        self.decider = Decider(role, odds.failover, now) if initiates else None
        self.informant = None if initiates else Informant(role)
        self.told_path = Path.CLOUD
        self.look_at = 0.0
        """When to look at the evidence again; 0 as soon as there is news."""
        self._polled_at = 0.0

    @property
    def path(self) -> Path:
        """The path in use, as this end knows it."""
        return self.decider.path if self.decider else self.told_path

    @property
    def local(self) -> bool:
        """Whether local backup with this peer is active."""
        return self.decider.local if self.decider else self.told_path.local

    @property
    def primary(self) -> bool:
        """Whether this end sends."""
        return self.router.member.role is _PRIMARY

    def news(self) -> None:
        """Something has come that the decision may depend on."""
        self.look_at = 0.0
        self.router.run()

    def evidence(self) -> None:
        """A probe or its answer has come."""
        self.look_at = 0.0
        self.router.look()

    def close(self) -> None:
        """The role has changed: what was between the two begins anew."""
        self.router.member.session_gone(self.name)
        self.line.close("the role has changed")

    # Evidence

    def own_link(self, state: LinkState) -> None:
        """This router's link to the cloud has changed."""
        if self.decider:
            self.decider.own_link(state, self.router.now)
            self.look_at = 0.0
        if self.informant:
            self.informant.own_link(state)

    def opened(self) -> None:
        """There is a session with the peer."""
        now = self.router.now
        if self.decider:
            self.decider.session_opened(now)
        if self.informant:
            self.link.heard(now)
            self.informant.session_opened()
        self.news()

    def session_lost(self) -> None:
        """The session with the peer is gone."""
        self.link.cut(self.router.now)
        self.router.member.session_gone(self.name)
        self._stream_gone()
        self.news()

    def _stream_gone(self) -> None:
        self._stop_local()
        if self.decider:
            self.decider.session_lost(self.router.now)
        else:
            self.told_path = Path.CLOUD

    def _stop_local(self) -> None:
        self.router.member.stop_local(self.name)
        self.router.touched = True

    # The loop

    def perform(self, now: float, touched: bool) -> None:
        """Look at the evidence if it is time, do what the cores say, send what may go out.

        ``touched``: something has been done with the member, so it may have more to send.
        """
        decider = self.decider
        if touched and decider and self.primary:
            decider.caught_up(self.router.member.cloud_has_all, now)
        if now >= self.look_at:
            self._look(now)
        core = decider or self.informant
        outputs = core.outputs() if core else ()
        for output in outputs:
            self._do(output)
        if outputs:
            self.look_at = min(self.look_at, self._deadline())
        if touched or self.router.touched:
            self._pump(now)

    def _look(self, now: float) -> None:
        self.link.handle_timer(now)
        for change in self.link.changes():
            if self.decider:
                self.decider.rbs_link(change.state, now)
            if self.informant:
                self.informant.rbs_link(change.state)
            if change.state is LinkState.DOWN:
                self._stream_gone()
        if self.decider:
            self._decide(self.decider, now)
            self.router.world.checks.path(self.decider)
        self.look_at = self._deadline()

    def _deadline(self) -> float:
        due = self.link.next_deadline()
        decider = self.decider
        if decider is None:
            return due
        decides = decider.next_deadline()
        if decides and decides < due:
            due = decides
        return min(due, self._polled_at + POLL) if decider.inquires else due

    def _decide(self, decider: Decider, now: float) -> None:
        deadline = decider.next_deadline()
        if deadline is not None and now >= deadline:
            decider.handle_timer(now)
        if decider.inquires and now - self._polled_at >= POLL:
            self._polled_at = now
            self._tell_path(Path.BOTH)

    def _do(self, output: Output) -> None:
        other = self.line.other_peer
        match output:
            case Ask():
                self.line.request(self.end, lambda: other(self).queried(), self._answered)
            case Tell():
                state = self.router.link.state
                self.line.send(self.end, lambda: other(self).told(state))
            case TellWait():
                self.line.request(self.end, lambda: other(self).told_to_wait(), lambda _: None)
            case StartLocal(attempt=attempt):
                self._start(attempt)
            case StopLocal():
                self._stop_local()
                self._tell_path(Path.CLOUD)
            case PathChanged(previous, path):
                self.router.world.coverage.path(previous, path)
                if self.decider is not None and self.decider.local and path.local:
                    self._tell_path(path)

    # What the initiator asks

    def _answered(self, state: object) -> None:
        if self.decider is not None and isinstance(state, LinkState):
            self.decider.answer(state, self.router.now)
            self.news()

    def _start(self, attempt: int) -> None:
        decider, member = self.decider, self.router.member
        if decider is None:
            return
        path, stated = decider.path, member.position

        def started(position: object) -> None:
            decider.started(attempt, self.router.now)
            if self.primary and decider.local and isinstance(position, Position):
                self._begin(position)
            if decider.local and decider.path.local and decider.path is not path:
                self._tell_path(decider.path)
            self.news()

        def failed() -> None:
            decider.start_failed(attempt, "no session", self.router.now)
            self.news()

        ask = lambda: self.line.other_peer(self).asked_to_start(path, stated)  # noqa: E731
        self.line.request(self.end, ask, started, failed)

    def _tell_path(self, path: Path) -> None:
        def changed(caught_up: object) -> None:
            if not self.primary and self.decider is not None:
                self.decider.caught_up(bool(caught_up), self.router.now)
                self.news()

        self.line.request(self.end, lambda: self.line.other_peer(self).path_told(path), changed)

    # What the other end answers

    def queried(self) -> LinkState:
        """Answer a query (S602a, S702a)."""
        return self.informant.query() if self.informant else LinkState.UNKNOWN

    def told(self, state: LinkState) -> None:
        """The informant has told of its link (S602b, S702b, S802b, S902b)."""
        if self.decider:
            self.decider.told(state, self.router.now)
            self.news()

    def told_to_wait(self) -> None:
        """Wait for the link to be re-established (S604b, S705b)."""
        if self.informant:
            self.informant.told_to_wait()

    def asked_to_start(self, path: Path, stated: Position) -> Position:
        """Answer the handshake: a secondary states what it holds, a primary sends."""
        self.told_path = path
        if self.primary:
            self._begin(stated)
        self.news()
        return self.router.member.position

    def path_told(self, path: Path) -> bool:
        """Go by what the initiator says; return whether the cloud has everything."""
        self.told_path = path
        if not path.local:
            self.router.member.stop_local(self.name)
        self.news()
        return self.router.member.cloud_has_all

    # Second user-info

    def _begin(self, position: Position) -> None:
        self.router.member.start_local(self.name, position, self.router.world.local_options)

    def _pump(self, now: float) -> None:
        member = self.router.member
        if member.overdue(self.name, now):
            member.stop_local(self.name)
            self.line.close("user-info was not acknowledged in time")
            return
        while (batch := member.next_local(self.name, now)) is not None:
            self.line.send(self.end, partial(self._deliver, batch, self.line.session))

    def _deliver(self, batch: Batch, session: Session | None) -> None:
        """Runs at the other end: store, and send the receipt on the session that the batch came by."""
        there = self.line.other_peer(self)

        def answer(receipt: Receipt) -> None:
            if session is not None:
                session.send(there.end, lambda: self._receipt(receipt, session))

        there.router.receive(batch, answer, there.name)

    def _receipt(self, receipt: Receipt, session: Session) -> None:
        if self.line.session is session:
            self.router.member.local_receipt(self.name, receipt, self.router.now)
            self.news()
