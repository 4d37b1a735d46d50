"""An asyncio NETCONF server for any YANG model; it knows no subscriber."""

from netconf_server.accounts import Account, AccountError, Accounts, hash_password, verify_password
from netconf_server.actions import ActionCall, ActionHandler
from netconf_server.call import Handler, Reply, RpcCall, SessionInfo
from netconf_server.capabilities import load_schema
from netconf_server.datastores import Change, Datastores
from netconf_server.hostkey import HostKeyError
from netconf_server.limits import Limits
from netconf_server.local import LocalSession
from netconf_server.persist import StartupError
from netconf_server.providers import Entry, Keys, ListProvider, Told, TreeProvider, WatchedList
from netconf_server.server import NetconfServer
from netconf_server.shells import OpenShell, ShellChannel, ShellRequest, ShellSession, Terminal
from netconf_server.streams import Stream, Subscription
from netconf_server.tlscontext import TlsError, TlsOptions, read_tls

__all__ = [
    "Account",
    "AccountError",
    "Accounts",
    "ActionCall",
    "ActionHandler",
    "Change",
    "Datastores",
    "Entry",
    "Handler",
    "HostKeyError",
    "Keys",
    "Limits",
    "ListProvider",
    "LocalSession",
    "NetconfServer",
    "OpenShell",
    "Reply",
    "RpcCall",
    "SessionInfo",
    "ShellChannel",
    "ShellRequest",
    "ShellSession",
    "StartupError",
    "Stream",
    "Subscription",
    "Terminal",
    "TlsError",
    "TlsOptions",
    "Told",
    "TreeProvider",
    "WatchedList",
    "hash_password",
    "load_schema",
    "read_tls",
    "verify_password",
]
