"""A router's data plane on Linux: it forwards for the online users of the groups that it is primary of."""

from router.dataplane.config import read_dataplane
from router.dataplane.plane import DataPlane
from router.dataplane.values import (
    ROUTE_PROTOCOL,
    DataPlaneConfig,
    DataPlaneError,
    GroupPlane,
    Subscriber,
    Tunnel,
)

__all__ = [
    "ROUTE_PROTOCOL",
    "DataPlane",
    "DataPlaneConfig",
    "DataPlaneError",
    "GroupPlane",
    "Subscriber",
    "Tunnel",
    "read_dataplane",
]
