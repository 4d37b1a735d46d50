"""What may happen in a lab of continuity: what breaks, who is primary then, and how it is healed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from rui_cli.lab.lab import Lab
from rui_cli.lab.pair import PAIR, Timing
from rui_cli.lab.wires import Shape
from rui_cli.site import MANAGER

Act = Callable[[Lab], Awaitable[None]]
_A, _B = PAIR
_SOON = Timing(wait_to_restore=5)
_POOR = Shape(delay_ms=150)
"""Each way, so that a round trip is above the 200 ms of `enter-rtt`."""
_FEWEST_ARRIVALS = 500


@dataclass(frozen=True, slots=True)
class Noticed:
    """A link that a router judges as ``state`` while it is broken, and as up before and after."""

    router: str
    far_end: str
    state: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """``primary`` is it while the fault lasts, ``after`` in the end if not the same; ``what`` is for people.

    With another ``timing`` than usual a scenario needs a lab of its own.
    """

    name: str
    what: str
    primary: str
    breaks: Act
    heals: Act
    after: str = ""
    noticed: tuple[Noticed, ...] = ()
    timing: Timing = field(default=Timing())

    @property
    def finally_primary(self) -> str:
        """Who is primary in the end."""
        return self.after or self.primary


def _break(*things: str, freeze: bool = False, shape: Shape | None = None) -> Act:
    async def act(lab: Lab) -> None:
        for thing in things:
            await lab.faults.break_(thing, freeze=freeze, shape=shape)

    return act


def _heal(*things: str) -> Act:
    async def act(lab: Lab) -> None:
        for thing in things:
            await lab.faults.heal(thing)

    return act


async def _switch(lab: Lab) -> None:
    await lab.observer.switch(_B)


async def _arrive(lab: Lab) -> None:
    """Have many others log in at once, and wait until all have an address."""
    arrivals = lab.arrivals(max(_FEWEST_ARRIVALS, lab.subscribers.count))
    begun = asyncio.get_running_loop().time()
    arrivals.login()
    await lab.observer.until("everybody who came has an address", arrivals.all_bound)
    lab.users += arrivals.count
    seconds = asyncio.get_running_loop().time() - begun
    lab.facts["logins"] = {"count": arrivals.count, "seconds": round(seconds, 2)}


async def _nothing(_lab: Lab) -> None:
    """Nothing is to be healed."""


def _down(router: str, far_end: str) -> Noticed:
    return Noticed(router, far_end, "down")


_ALL = (
    Scenario(
        "access-link-cut",
        "the Master's link to the access network is cut",
        _B,
        _break("access-a"),
        _heal("access-a"),
    ),
    Scenario(
        "router-killed",
        "the Master's process is killed, and started again",
        _B,
        _break(_A),
        _heal(_A),
    ),
    Scenario(
        "router-frozen",
        "the Master's process stands still",
        _B,
        _break(_A, freeze=True),
        _heal(_A),
    ),
    Scenario("planned-switchover", "an operator moves the role", _B, _switch, _nothing),
    Scenario(
        "cloud-cut",
        "nobody reaches the cloud; no role changes",
        _A,
        _break("cloud"),
        _heal("cloud"),
        noticed=(_down(_A, MANAGER), _down(_B, MANAGER)),
    ),
    Scenario(
        "cloud-cut-primary",
        "the primary does not reach the cloud, the secondary does; no role changes",
        _A,
        _break("cloud-a"),
        _heal("cloud-a"),
        noticed=(_down(_A, MANAGER),),
    ),
    Scenario(
        "cloud-cut-secondary",
        "the secondary does not reach the cloud; no role changes",
        _A,
        _break("cloud-b"),
        _heal("cloud-b"),
        noticed=(_down(_B, MANAGER),),
    ),
    Scenario(
        "cloud-poor",
        "the cloud answers late, so that the links to it are degraded; no role changes",
        _A,
        _break("cloud", shape=_POOR),
        _heal("cloud"),
        noticed=(Noticed(_A, MANAGER, "degraded"), Noticed(_B, MANAGER, "degraded")),
    ),
    Scenario(
        "rbs-cut",
        "the routers do not reach each other directly; no role changes",
        _A,
        _break("rbs"),
        _heal("rbs"),
        noticed=(_down(_A, _B), _down(_B, _A)),
    ),
    Scenario(
        "only-secondary-cloud",
        "the primary reaches neither the cloud nor the secondary, which reaches the cloud",
        _B,
        _break("cloud-a", "rbs"),
        _heal("cloud-a", "rbs"),
        noticed=(_down(_B, _A),),
    ),
    Scenario(
        "restore",
        "the Master's process is killed; started again, it waits, and takes the role back",
        _B,
        _break(_A),
        _heal(_A),
        after=_A,
        timing=_SOON,
    ),
    Scenario(
        "mass-login",
        f"at least {_FEWEST_ARRIVALS} others log in at once; no role changes",
        _A,
        _arrive,
        _nothing,
    ),
)
SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
