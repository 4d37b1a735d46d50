"""The RBS lines between two routers (S404): each of the two dials while it initiates local backup."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rui_cli.sim.clock import Act
from rui_cli.sim.line import DIALLER, OTHER, Line, RefusedError
from rui_cli.sim.peer import Peer
from rui_cli.sim.wire import Wire

if TYPE_CHECKING:
    from rui_cli.sim.world import World


class RbsLine(Line):
    """What one router dials to the other end of ``wire``; ``dialler`` is its end of it."""

    def __init__(self, world: World, wire: Wire, dialler: int) -> None:
        super().__init__(wire, world.chance, world.odds.link.interval, dialler)
        self._world = world

    def peer(self, end: int) -> Peer | None:
        """Return what the router at one end knows of the other, while it uses this line."""
        router = self._world.routers.get(self.hosts[end].name)
        peer = router.peers.get(self.hosts[1 - end].name) if router is not None else None
        return peer if peer is not None and peer.line is self else None

    def other_peer(self, peer: Peer) -> Peer:
        """Return what the router at the other end knows of this one; for use in that router's turn.

        Raises RefusedError where that end thinks that it initiates too.
        """
        found = self.peer(1 - peer.end)
        if found is None:
            raise RefusedError(f"{peer.name} initiates local backup itself")
        return found

    def send(self, end: int, act: Act) -> None:
        """Send a notification; an end that has changed its role meanwhile has no use for it."""

        def arrive() -> None:
            with suppress(RefusedError):
                act()

        super().send(end, arrive)

    def wanted(self) -> bool:
        """While the dialler initiates local backup."""
        return self.peer(DIALLER) is not None

    def opened(self) -> None:
        """Subscribe; each end begins once it knows of the other."""
        self.request(DIALLER, self._subscribed, lambda _: self._ready())
        self._meet(DIALLER)
        super().send(DIALLER, lambda: self._meet(OTHER))

    def _meet(self, end: int) -> None:
        standing = self._world.routers[self.hosts[end].name].standing
        if standing is not None:
            standing.met(self.hosts[1 - end].name)

    def _subscribed(self) -> None:
        peer = self.peer(OTHER)
        if peer is None:
            raise RefusedError("no peer here")
        peer.opened()

    def _ready(self) -> None:
        peer = self.peer(DIALLER)
        if peer is not None:
            peer.opened()

    def lost_by(self, end: int, reason: str) -> None:  # noqa: ARG002 - a line's word
        """An end's process learns that the session is gone."""
        peer = self.peer(end)
        if peer is not None:
            peer.session_lost()

    def probing(self) -> int:
        """Count a probe with the dialler's evidence."""
        peer = self.peer(DIALLER)
        return peer.link.probe(self.wire.clock.now) if peer is not None else super().probing()

    def probed(self, rtt: float | None, lost: int) -> None:
        """The other end hears it."""
        peer = self.peer(OTHER)
        if peer is not None:
            peer.link.heard(self.wire.clock.now, rtt, lost)
            peer.evidence()

    def answered(self, number: int) -> None:
        """The dialler's evidence takes the answer."""
        peer = self.peer(DIALLER)
        if peer is not None:
            peer.link.answered(number, self.wire.clock.now)
            peer.evidence()
