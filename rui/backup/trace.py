"""Milestones of changes, for whoever measures how long they take: what happened, and nothing of the time."""

from collections.abc import Callable
from enum import StrEnum

from rui.backup.version import Version


class Milestone(StrEnum):
    """What has become of a change, or of all changes up to it."""

    TAKEN = "taken"
    """The primary has taken this change from a subscriber (S501)."""
    DURABLE = "durable"
    """All up to this version is on this device's disk (S503 at the cloud, S504 at a secondary)."""
    DELIVERED = "delivered"
    """A secondary has acknowledged to the cloud all up to this version (S504)."""


Trace = Callable[[str, Milestone, Version], None]
"""Is told group, milestone and version at the moment it happens; must return at once."""
