"""A NETCONF client for asyncio: one interface, drivers `native` (asyncssh), `vendor` (ncclient) and TLS."""

from netconf_client.api import ClientSession, Reply, Target
from netconf_client.callhome import CallHomeListener
from netconf_client.callhometls import TlsCallHomeListener
from netconf_client.connecting import connect
from netconf_client.errors import (
    AuthenticationFailed,
    ConnectFailed,
    HostKeyRejected,
    NetconfClientError,
    ReplyTimeout,
    SessionClosed,
)
from netconf_client.hostkeys import HostKeyPolicy, KnownHosts, PinnedKey, TrustOnFirstUse
from netconf_client.tls import TlsTarget, connect_tls

__all__ = [
    "AuthenticationFailed",
    "CallHomeListener",
    "ClientSession",
    "ConnectFailed",
    "HostKeyPolicy",
    "HostKeyRejected",
    "KnownHosts",
    "NetconfClientError",
    "PinnedKey",
    "Reply",
    "ReplyTimeout",
    "SessionClosed",
    "Target",
    "TlsCallHomeListener",
    "TlsTarget",
    "TrustOnFirstUse",
    "connect",
    "connect_tls",
]
