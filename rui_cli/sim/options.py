"""What one seed's world is like: every option is drawn from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from rui.backup.decision import Policy
from rui.backup.delivery import DeliveryMode
from rui.backup.failover import FailoverOptions
from rui.backup.identity import Role
from rui.backup.lease import LeaseOptions
from rui.backup.links import LinkOptions
from rui_cli.sim.roles import Roles

CLOUD = "cloud"
ROUTERS = ("bras-a", "bras-b", "bras-c")
"""The first is the primary where roles are configured."""


@dataclass(frozen=True, slots=True)
class Odds:
    """A world. Times are in seconds, chances from 0 to 1.

    With a ``vrrp_interval`` in centiseconds VRRP decides who is primary; without it the configuration does,
    and where roles ``move``, grants and operators. ``old_models`` names the nodes whose model refuses the
    records that a newer one calls valid. ``faults`` and ``bursts`` are the mean times from one fault, and
    from one burst of logins and logoffs, to the next.
    """

    routers: int = 2
    users: int = 5
    bursts: float = 0.1
    delay: float = 0.02
    disk: float = 0.01
    batch_records: int = 3
    tombstones: int = 1000
    interval: float = 0.0
    mode: DeliveryMode = DeliveryMode.DIRECT
    initiator: Role = Role.PRIMARY
    vrrp_interval: int = 0
    link: LinkOptions = field(default_factory=lambda: LinkOptions(timeout=1.0, hold=1.0, window=1.0))
    failover: FailoverOptions = field(default_factory=FailoverOptions)
    old_models: frozenset[str] = frozenset()
    faults: float = 0.0
    disk_full: float = 0.0
    crash_at_write: float = 0.0
    skew: float = 0.0
    moves: bool = False
    lease: LeaseOptions = field(default_factory=lambda: LeaseOptions(3.0, 1.0))
    wait_to_restore: float = 1.0

    @property
    def names(self) -> tuple[str, ...]:
        """The routers."""
        return ROUTERS[: self.routers]


_INTERVALS = {
    Roles.CONFIGURED: [0],
    Roles.ELECTED: [10, 30, 100],
    Roles.MASTERSHIP: [0],
    Roles.ANY: [0, 0, 10, 30, 100],
}
_MOVES = {Roles.CONFIGURED: [False], Roles.ANY: [False, True]}


def draw(chance: random.Random, roles: Roles = Roles.ANY) -> Odds:
    """Draw a world."""
    timeout, hold = chance.choice([0.5, 1.0, 2.0]), chance.choice([0.5, 1.0, 3.0])
    routers = chance.choice([2, 2, 2, 3])
    nodes = (*ROUTERS[1:routers], CLOUD)
    odds = Odds(
        routers=routers,
        users=chance.choice([2, 5, 20, 60]),
        bursts=chance.choice([0.05, 0.1, 0.3]),
        # A link that is slow from birth would be degraded for ever: slowness is a fault here
        delay=chance.choice([0.001, 0.01, 0.02]),
        disk=chance.choice([0.0005, 0.01, 0.1]),
        batch_records=chance.choice([1, 3, 20]),
        tombstones=chance.choice([0, 2, 1000]),
        interval=chance.choice([0.0, 0.0, 0.5]),
        mode=chance.choice([DeliveryMode.DIRECT, DeliveryMode.DIRECT, DeliveryMode.DOWNLOAD]),
        initiator=chance.choice(list(Role)),
        vrrp_interval=chance.choice(_INTERVALS[roles]),
        link=LinkOptions(timeout=timeout, hold=hold, window=hold),
        failover=FailoverOptions(
            fault_policy=chance.choice(list(Policy)),
            degraded_policy=chance.choice(list(Policy)),
            max_wait=chance.choice([1.0, 4.0]),
            hold=hold,
        ),
        old_models=frozenset(name for name in nodes if chance.random() < 0.2),
        faults=chance.choice([0.5, 1.0, 3.0]),
        disk_full=chance.choice([0.0, 0.0, 0.1]),
        crash_at_write=chance.choice([0.0, 0.002, 0.01]),
        skew=chance.choice([0.0, 3600.0]),
    )
    moves = odds.vrrp_interval > 0 or chance.choice(_MOVES.get(roles, [True]))
    if not moves:
        return odds
    return replace(
        odds,
        moves=True,
        lease=LeaseOptions(chance.choice([2, 3]) * timeout, chance.choice([1.0, 5.0])),
        wait_to_restore=chance.choice([0.5, 2.0]),
    )
