"""The decision: which path user-info takes, from the states of three links. A total function.

a is the link between primary and cloud, b between secondary and cloud, c between primary and secondary
(the RBS channel). It is the same function wherever it is evaluated; whoever initiates local backup does.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from rui.backup.links import LinkState


class Policy(Enum):
    """Whether a fault is confirmed by asking the peer first, or acted on at once [0177, 0211, 0212]."""

    CONFIRM = "confirm"
    IMMEDIATE = "immediate"


class Path(Enum):
    """The path that is in use for one secondary of a group."""

    CLOUD = "cloud"
    """Through the cloud: FIG. 5."""
    LOCAL = "local"
    """Directly over the RBS channel; no upload, and the secondary obtains nothing from the cloud [0158]."""
    BOTH = "cloud-and-local"
    """Directly, and to the cloud as well [0227, 0236]."""
    REESTABLISHING = "reestablishing"
    """Held: the primary re-establishes its link to the cloud, then sends third user-info (S604a, S706b)."""
    WAITING = "waiting"
    """Through the cloud; the secondary waits for its link to the cloud (S604b, S705a)."""
    HOLD = "hold"
    """Neither the cloud nor the secondary can be reached: journalled, alarmed, the primary yields [0245]."""

    def __init__(self, word: str) -> None:
        self.local = word in ("local", "cloud-and-local")
        """Whether local backup is active."""
        self.uploads = word in ("cloud", "cloud-and-local", "waiting")
        """Whether the primary sends to the cloud."""

    @property
    def in_use(self) -> str:
        """The way that user-info takes meanwhile, in the words of the model: none, cloud, local or both."""
        return _IN_USE.get(self, self.value)


_IN_USE = {Path.WAITING: "cloud", Path.REESTABLISHING: "none", Path.HOLD: "none"}


class Links(NamedTuple):
    """The three links as one end knows them."""

    a: LinkState
    b: LinkState
    c: LinkState


_UP, _DOWN, _DEGRADED, _UNKNOWN = LinkState.UP, LinkState.DOWN, LinkState.DEGRADED, LinkState.UNKNOWN


def decide(links: Links, fault_policy: Policy, *, waited: bool) -> Path:
    """Return the path for the links; ``waited`` says that the max-wait of ``confirm`` has passed.

    Row by row the table of docs/failover.md. Where the peer does not answer queries its link is unknown:
    local backup is then started as well.
    """
    if links.c is not _UP:
        # Over a poor link to the cloud less goes through than is needed; over none, nothing
        return Path.HOLD if links.a is _DOWN else Path.CLOUD
    impatient = waited or fault_policy is Policy.IMMEDIATE
    match links.a:
        case LinkState.DEGRADED:
            return Path.LOCAL
        case LinkState.DOWN:
            return Path.REESTABLISHING if links.b is _UP and not impatient else Path.LOCAL
        case LinkState.UP:
            if links.b is _DOWN:
                return Path.BOTH if impatient else Path.WAITING
            return Path.CLOUD if links.b is _UP else Path.BOTH
        case LinkState.UNKNOWN:
            return Path.CLOUD if links.b is _UP else Path.BOTH


def communication_status(links: Links) -> str:
    """Return the primary's verdict on the cloud, ``normal`` or ``abnormal`` (S603a, S604a, S801a).

    One link's timeout alone is a short disconnection and leaves it normal; poor quality of either does not.
    """
    clouds = (links.a, links.b)
    if _DEGRADED in clouds or (_DOWN in clouds and _UP not in clouds):
        return "abnormal"
    return "normal"
