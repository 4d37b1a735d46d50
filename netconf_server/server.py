"""`NetconfServer`: sessions, operations, data and streams of one server, put together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import asyncssh
import structlog

from netconf_server import monitoring, ssh, yanglibrary
from netconf_server.accounts import Accounts
from netconf_server.actions import ACTION, ActionHandler, Actions
from netconf_server.admission import source_of
from netconf_server.audit import Audit
from netconf_server.call import Handler, Reply, RpcCall, SessionInfo
from netconf_server.capabilities import OWN_MODULES, server_capabilities
from netconf_server.datastores import Datastores
from netconf_server.etagedit import Conditions
from netconf_server.hostkey import load_or_create_host_key
from netconf_server.inputs import Inputs
from netconf_server.limits import Limits
from netconf_server.local import LocalSession
from netconf_server.monitoring import StateTree, StreamsTree, Totals
from netconf_server.nacm import STATE, AccessControl
from netconf_server.nmda import NmdaOperations
from netconf_server.notifications import Notifications
from netconf_server.operations import DataOperations
from netconf_server.partialops import PartialLockOperations
from netconf_server.providers import ListProvider, Providers, TreeProvider
from netconf_server.query import View
from netconf_server.readout import Readout
from netconf_server.session import Session, utc_now
from netconf_server.sessionops import SessionOperations
from netconf_server.shells import OpenShell
from netconf_server.streams import Stream
from netconf_server.tls import TlsGate
from netconf_server.tlscontext import TlsOptions
from netconf_server.transport import Transport
from netconf_server.urls import UrlFolder
from netconf_server.yanglibrary import LibraryTree, ModulesStateTree
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Schema

log = structlog.get_logger(__name__)

_MAX_SESSION_ID = 4_294_967_295
# Our own, which small as they mostly are wait for nothing.
_PROMPT = frozenset(map(names.base, ("get-config", "edit-config")))


class NetconfServer:
    """A NETCONF server over SSH for the modules of `schema`.

    Register rpcs, data and streams, then `listen` or `call_home`. `host_key_file` is made when it does not
    exist. The schema has to hold the modules of the server's own operations, as `load_schema` gives it.
    `events` is the folder in which events are kept for replay, None to keep none. `url_folder` is the one in
    which clients may keep configurations, where the schema enables :url.
    """

    def __init__(
        self,
        schema: Schema,
        datastores: Datastores,
        accounts: Accounts,
        *,
        host_key_file: Path,
        limits: Limits | None = None,
        events: Path | None = None,
        url_folder: Path | None = None,
    ) -> None:
        missing = set(OWN_MODULES) - {module.name for module in schema.modules}
        if missing:
            raise ValueError(f"the schema lacks {', '.join(sorted(missing))}; use netconf_server.load_schema")
        self.schema = schema
        self.datastores = datastores
        self.accounts = accounts
        self.limits = limits or Limits()
        self.capabilities = server_capabilities(schema)
        self._host_key = load_or_create_host_key(host_key_file)
        self._gate = ssh.Gate(accounts, self.limits, self._open_session)
        self._acceptors: list[asyncssh.SSHAcceptor] = []
        self._tls: list[TlsGate] = []
        self._sessions: dict[int, Session | LocalSession] = {}
        self._last_id = 0
        self._totals = Totals(utc_now())
        suspend_at = self.limits.send_buffer // 4
        self.notifications = Notifications(
            schema, datastores, self._sessions, self.capabilities, events, suspend_at=suspend_at
        )
        self.access_control = AccessControl(datastores, accounts, self._user_of)
        self.notifications.permit_by(self.access_control.hears)
        self._audit = Audit(datastores, self._info_of)
        self._providers = Providers(schema)
        self._readout = Readout(schema, self._providers)
        self._urls = UrlFolder(url_folder, self.limits.max_message_size)
        self._actions = Actions(datastores, self._readout, self._seen_by)
        self._actions.guard = self.access_control.check_action
        self._handlers: dict[str, Handler] = {}
        self._bulk: set[str] = set()
        self._inputs = Inputs(schema, self._bulk)
        self._closing = False
        self._register_own()
        accounts.watch(self._drop_gone_users)

    # --- what it serves

    def register_rpc(self, qname: str, handler: Handler, *, bulk: bool = False) -> None:
        """Answer the rpc `{namespace}name` by `handler`; the model checks its input first.

        With `bulk` the content of `record` elements is left out of that check, or the whole entries that
        hold them are, and of `call.operation` too: then `call.bulk` has them. The handler checks each itself.
        This holds for sessions that begin afterwards. Raises ValueError when the schema has no such rpc.
        """
        if qname not in self.schema.tree.rpcs:
            raise ValueError(f"no module of the schema defines the rpc {qname}")
        self._handlers[qname] = handler
        if bulk:
            self._bulk.add(qname)

    def register_action(self, path: str, handler: ActionHandler) -> None:
        """Carry out the action at a schema path such as `/mod:a/list/act` by `handler` (RFC 7950 7.15).

        The model checks its input, and the server that its instance is there. Raises UnknownNodeError, or
        ValueError when it is no action.
        """
        self._actions.register(path, handler)

    def register_tree(self, path: str, provider: TreeProvider) -> None:
        """Have `provider` give the small operational tree at a schema path such as `/mod:a/b`.

        Raises UnknownNodeError, or ValueError when the path is inside a list.
        """
        self._providers.add_tree(path, provider)

    def register_list(self, path: str, provider: ListProvider, *, outer_given: bool = False) -> None:
        """Have `provider` give the entries of the state list at a schema path, streamed and asked for by key.

        Where a tree gives all entries of the lists above, `outer_given` saves reading this one to know them.
        Raises UnknownNodeError, or ValueError when it is no state list, or beside another inside one outer
        list.
        """
        self._providers.add_list(path, provider, outer_given=outer_given)

    def stream(self, name: str, description: str = "", *, replay: bool = False) -> Stream:
        """The event stream of this name, made on first use. `NETCONF` is there always (RFC 5277 3.2.3).

        With `replay` what is published is kept, where the server has a folder for it.
        """
        return self.notifications.stream(name, description, replay=replay)

    def serve_shells(self, open_shell: OpenShell) -> None:
        """Serve shells and commands beside NETCONF: `open_shell` makes what answers each."""
        self._gate.open_shell = open_shell

    def local_session(self, user: str, peer: str) -> LocalSession | None:
        """A session of this user without transport, under the same rules; None when none may be opened."""
        if not self._may_open(user, peer):
            return None
        info = SessionInfo(self._next_id(), user, peer, "netconf-ssh", utc_now())
        session = LocalSession(info, self._answer, self._session_ended)
        self._sessions[info.id] = session
        self._totals.sessions += 1
        log.info("session-opened", session=info.id, user=user, base="local")
        self.notifications.session_opened(session)
        return session

    @property
    def sessions(self) -> Mapping[int, SessionInfo]:
        """The sessions that are open, by session-id."""
        return {number: session.info for number, session in self._sessions.items() if session.open}

    def may_call(self, user: str, qname: str) -> bool:
        """Say whether access control lets this user invoke the rpc `{namespace}name`."""
        return self.access_control.may_call(user, qname)

    def end_session(self, number: int, reason: str) -> None:
        """End the session of this id, if it is open: the program has given its peer up."""
        session = self._sessions.get(number)
        if session is not None:
            session.close(reason)

    # --- where it is reached

    async def listen(self, host: str, port: int) -> int:
        """Accept SSH connections; return the port (useful with 0). Raises OSError when it cannot be bound."""
        acceptor = await ssh.listen(host, port, self._host_key, self._gate)
        self._acceptors.append(acceptor)
        bound = int(acceptor.get_port())
        log.info("netconf-listening", host=host, port=bound)
        return bound

    async def call_home(self, host: str, port: int, *, within: float | None = None) -> None:
        """Call a client (RFC 8071) and serve it on that connection; return when the connection is over.

        Raises OSError when there is no connection, asyncssh.Error when the login does not come about,
        TimeoutError when that takes longer than `within` seconds (None: than a login may take). The caller
        decides when to call again.
        """
        await ssh.call_home(host, port, self._host_key, self._gate, within or self.limits.login_timeout)

    async def listen_tls(self, host: str, port: int, options: TlsOptions) -> int:
        """Accept TLS connections (RFC 7589); return the port. Raises TlsError, or OSError as `listen`."""
        bound = await self._tls_gate(options).listen(host, port)
        log.info("netconf-listening", host=host, port=bound, transport="tls")
        return bound

    async def call_home_tls(
        self, host: str, port: int, options: TlsOptions, *, within: float | None = None
    ) -> None:
        """As `call_home`, over TLS. Raises TlsError, or OSError (TimeoutError) when there is no session."""
        gate = self._tls_gate(options)
        try:
            await gate.call_home(host, port, within or self.limits.login_timeout)
        finally:
            self._tls.remove(gate)

    def _tls_gate(self, options: TlsOptions) -> TlsGate:
        gate = TlsGate(options, self.limits, self._gate.admission, self._open_tls_session)
        self._tls.append(gate)
        return gate

    async def close(self) -> None:
        """End all sessions and stop listening; takes a few seconds at most."""
        self._closing = True
        for acceptor in self._acceptors:
            acceptor.close()
        for session in list(self._sessions.values()):
            session.close("the server shuts down")
        await self._gate.drain()
        for gate in list(self._tls):
            await gate.close()
        # They accept no more; to wait for them would be, from Python 3.12 on, to wait for every connection
        self._acceptors.clear()
        await self.datastores.close()
        self.notifications.close()

    @property
    def host_key(self) -> str:
        """The public host key as an OpenSSH line, for clients to pin."""
        return self._host_key.export_public_key().decode().strip()

    # --- sessions

    def _open_tls_session(self, connection: Transport, user: str, peer: str) -> Session | None:
        return self._open_session(connection, user, peer, "netconf-tls")

    def _open_session(
        self, channel: Transport, user: str, peer: str, transport: str = "netconf-ssh"
    ) -> Session | None:
        if not self._may_open(user, peer):
            return None
        info = SessionInfo(self._next_id(), user, peer, transport, utc_now())
        session = Session(
            info,
            self.capabilities,
            channel,
            self._answer,
            limits=self.limits,
            bulk=self._bulk,
            prompt=_PROMPT,
            on_end=self._session_ended,
            on_open=self.notifications.session_opened,
        )
        self._sessions[info.id] = session
        self._totals.sessions += 1
        return session

    def _may_open(self, user: str, peer: str) -> bool:
        if self._closing or user not in self.accounts:
            return False
        refused = self._gate.admission.refuses(
            user,
            source_of(peer.rpartition(":")[0]),
            (session.info for session in self._sessions.values()),
        )
        if refused is not None:
            log.warning("session-refused", user=user, peer=peer, reason=refused)
            return False
        return True

    def _next_id(self) -> int:
        self._last_id = self._last_id % _MAX_SESSION_ID + 1
        while self._last_id in self._sessions:
            self._last_id = self._last_id % _MAX_SESSION_ID + 1
        return self._last_id

    def _session_ended(self, session: Session | LocalSession, orderly: bool) -> None:
        del self._sessions[session.info.id]
        self._totals.ended(session, orderly=orderly)
        self.notifications.session_ended(session)
        self.datastores.session_ended(session.info.id)

    def _info_of(self, session: int) -> SessionInfo | None:
        found = self._sessions.get(session)
        return None if found is None else found.info

    def _user_of(self, session: int) -> str | None:
        found = self._info_of(session)
        return None if found is None else found.user

    def _drop_gone_users(self) -> None:
        for session in list(self._sessions.values()):
            if session.info.user not in self.accounts:
                session.close("the account was removed")

    # --- operations

    def _register_own(self) -> None:
        conditions = Conditions(self.datastores)
        data = DataOperations(self.datastores, self._readout, self._seen_by, self._urls, conditions)
        nmda = NmdaOperations(self.datastores, self._readout, self._seen_by, self._urls, conditions)
        control = SessionOperations(self._sessions)
        for name, handler in {**data.handlers(), **control.handlers()}.items():
            self._handlers[names.base(name)] = handler
        self._handlers.update(
            self.notifications.serve(
                self._readout, self._providers, lambda user: (self.access_control.view(user),)
            )
        )
        self._handlers.update(nmda.handlers())
        self._handlers.update(PartialLockOperations(self.datastores, self._seen_by).handlers())
        self._handlers[ACTION] = self._actions.answer
        self._handlers[monitoring.GET_SCHEMA] = monitoring.get_schema(self.schema)
        state = StateTree(self.schema, self.datastores, self.capabilities, self._sessions, self._totals)
        self._providers.add_top(monitoring.STATE, state)
        if self.access_control.present:
            self._providers.add_tree(STATE, self.access_control)
        self._providers.add_top(monitoring.STREAMS, StreamsTree(self.notifications.streams))
        self._providers.add_top(yanglibrary.LIBRARY, LibraryTree(self.schema))
        self._providers.add_top(yanglibrary.MODULES_STATE, ModulesStateTree(self.schema))

    def _seen_by(self, user: str) -> tuple[View, ...]:
        return (self.access_control.view(user),)

    async def _answer(self, call: RpcCall) -> Reply:
        tag = str(call.operation.tag)
        handler = self._handlers.get(tag)
        if handler is None:
            raise self._unknown(tag)
        self.access_control.check_call(call.session.user, tag)
        self._inputs.check(call)
        return await handler(call)

    def _unknown(self, tag: str) -> RpcError:
        namespace, name = names.split(tag)
        if tag in self.schema.tree.rpcs:
            return RpcError.operation_not_supported(
                f"the operation {name!r} is in the model but not served here"
            )
        known = {module.namespace for module in self.schema.modules}
        if namespace is None or namespace not in {*known, names.BASE, names.NOTIFICATION}:
            return RpcError.unknown_namespace(tag, namespace or "")
        return RpcError.operation_not_supported(f"there is no operation {name!r} in {namespace}")
