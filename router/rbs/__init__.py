"""The RBS channel: what two routers say to each other, and local backup over it (S404, FIG. 6 to FIG. 9)."""

from router.rbs.channel import Channel
from router.rbs.failover import GroupFailover
from router.rbs.operations import RbsOperations
from router.rbs.switch import Switch

__all__ = ["Channel", "GroupFailover", "RbsOperations", "Switch"]
