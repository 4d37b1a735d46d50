"""BFD over UDP: many sessions in one process, their configuration and what operators read of them."""

from router.bfd.config import BfdConfig, BfdRole, SessionConfig, read_bfd
from router.bfd.endpoint import BfdEndpoint, Running
from router.bfd.operational import BfdTree, change_notification
from router.bfd.sockets import BfdSocketError
from router.bfd.thread import BfdThread

__all__ = [
    "BfdConfig",
    "BfdEndpoint",
    "BfdRole",
    "BfdSocketError",
    "BfdThread",
    "BfdTree",
    "Running",
    "SessionConfig",
    "change_notification",
    "read_bfd",
]
