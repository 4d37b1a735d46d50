"""Small worlds: two routers and the cloud, nothing that fails by itself, and a few users."""

from __future__ import annotations

import random
from collections.abc import Callable

from rui.backup.decision import Policy
from rui.backup.failover import Decider, FailoverOptions
from rui.backup.identity import Role
from rui.backup.links import LinkOptions, LinkState
from rui_cli.sim.options import CLOUD, ROUTERS, Odds
from rui_cli.sim.story import Story
from rui_cli.sim.truth import record
from rui_cli.sim.wire import Wire
from rui_cli.sim.world import World

A, B = ROUTERS[:2]
WIRES = {"a": f"{CLOUD}-{A}", "b": f"{CLOUD}-{B}", "c": f"{A}-{B}"}
"""The three links of the decision, by their letters."""
TIMEOUT, HOLD, MAX_WAIT = 0.5, 0.5, 1.0
SLOW = 0.14
"""A wire's delay at which its link is degraded: a message takes about as long, a round trip twice."""


def odds(initiator: Role, fault: Policy, degraded: Policy) -> Odds:
    return Odds(
        initiator=initiator,
        delay=0.001,
        disk=0.001,
        batch_records=20,
        link=LinkOptions(timeout=TIMEOUT, hold=HOLD, window=HOLD, probe_interval=TIMEOUT / 4),
        failover=FailoverOptions(
            fault, degraded, max_wait=MAX_WAIT, hold=HOLD, query_timeout=0.2, start_pause=0.2
        ),
    )


class SmallWorld(World):
    """A world in which only happens what a test says."""

    def __init__(self, odds: Odds, crash_at: int | None = None) -> None:
        super().__init__(random.Random(0), odds, crash_at=crash_at)
        self.quiet = True
        self.number = 0

    def run_for(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.step()

    def run_until(self, what: Callable[[], bool], within: float) -> bool:
        end = self.clock.now + within
        while not what():
            if self.clock.now > end:
                return False
            self.clock.step()
        return True

    def wire(self, letter: str) -> Wire:
        return self.wires[WIRES[letter]]

    def bring(self, letter: str, state: LinkState) -> None:
        """Bring a link into a state, from any other."""
        wire = self.wire(letter)
        wire.mend()
        if state is LinkState.DOWN:
            wire.cut()
        elif state is LinkState.DEGRADED:
            wire.delay = SLOW

    @property
    def decider(self) -> Decider:
        """The one end that decides."""
        found = [peer.decider for router in self.routers.values() for peer in router.peers.values()]
        (decider,) = [decider for decider in found if decider is not None]
        return decider

    def login(self, user: int) -> None:
        """A user logs in, or changes, at the primary, if that runs."""
        self.number += 1
        router = self.routers.get(A)
        if router is not None:
            router.member.put(key(user), record(self.number))
            router.member.flush()
            router.run()

    def logoff(self, user: int) -> None:
        self.number += 1
        router = self.routers.get(A)
        version = router.member.delete(key(user)) if router is not None else None
        if router is not None and version is not None:
            self.checks.truth.logged_off(version, self.number)
            router.member.flush()
            router.run()

    def end(self) -> None:
        """Heal what is wrong and demand equal copies and the cloud path."""
        story = Story(self)
        story.faults.heal()
        story.converge()


def key(user: int) -> bytes:
    return b"02:00:00:00:00:%02x/0/0" % user
