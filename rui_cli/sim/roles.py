"""Who says which router of the simulated group is primary."""

from __future__ import annotations

from enum import Enum


class Roles(Enum):
    """Who says which router is primary."""

    CONFIGURED = "configured"
    """The startup files: the first is."""
    ELECTED = "elected"
    """VRRP, on an access network that fails too."""
    MASTERSHIP = "mastership"
    """The cloud's grants and operators, from what the startup files say on."""
    ANY = "any"
    """The seed decides."""
