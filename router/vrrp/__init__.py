"""VRRP on real links: one election for each backup group, its sockets, its configuration and its state."""

from router.vrrp.config import VrrpConfig, read_vrrp
from router.vrrp.election import Election, ElectionState
from router.vrrp.operational import VrrpTree
from router.vrrp.transport import TransportError

__all__ = ["Election", "ElectionState", "TransportError", "VrrpConfig", "VrrpTree", "read_vrrp"]
