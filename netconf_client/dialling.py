"""How the native driver opens a session: over a connection it dials, or over one that the server dialled."""

import asyncio
import socket

import asyncssh
import structlog

from netconf_client.api import DEFAULT_TIMEOUT, Target
from netconf_client.errors import ConnectFailed
from netconf_client.hostkeys import HostKeyVerifier
from netconf_client.native import PACKET, WINDOW, NativeSession
from netconf_client.sshclient import CheckingClient, Credentials, load_credentials, ssh_options, translate
from rui.netconf.session import Limits

log = structlog.get_logger()


class _TargetCheck:
    """Checks a server that we dialled ourselves."""

    def __init__(self, verifier: HostKeyVerifier, credentials: Credentials) -> None:
        self._verifier = verifier
        self._credentials = credentials

    def check(self, key: asyncssh.SSHKey) -> Credentials:
        """Return the target's credentials. Raises HostKeyRejected."""
        self._verifier.check(key)
        return self._credentials


def limits_of(target: Target) -> Limits:
    """Return the bounds of a session with `target`."""
    return Limits(max_message=target.max_message, bulk=target.bulk)


async def connect_native(
    target: Target, *, timeout: float = DEFAULT_TIMEOUT, limits: Limits | None = None
) -> NativeSession:
    """Dial `target` and return the open session. Raises ConnectFailed and its kinds."""
    verifier = HostKeyVerifier(target.host_key, target.host, target.port)
    client = CheckingClient(_TargetCheck(verifier, load_credentials(target)))
    options = ssh_options(
        client, verifier.algorithms, target.keepalive_interval, target.keepalive_count, timeout
    )
    try:
        async with asyncio.timeout(timeout):
            connection = await asyncssh.connect(target.host, target.port, options=options)
            return await open_session(connection, target.where, limits or limits_of(target))
    except (OSError, asyncssh.Error, ConnectFailed) as error:
        raise translate(target.where, client, error) from error


async def run_client(
    sock: socket.socket, client: CheckingClient, options: asyncssh.SSHClientConnectionOptions, where: str
) -> asyncssh.SSHClientConnection:
    """Be the SSH client on a socket that the server dialled (RFC 8071). Raises ConnectFailed."""
    try:
        return await asyncssh.run_client(sock, options=options)
    except (OSError, asyncssh.Error) as error:
        raise translate(where, client, error) from error


async def open_session(connection: asyncssh.SSHClientConnection, where: str, limits: Limits) -> NativeSession:
    """Start NETCONF on an SSH connection, which belongs to the session from here on, even if this fails."""
    session = NativeSession(where, limits)
    session.attach(connection)
    try:
        await connection.create_session(
            lambda: session, subsystem="netconf", encoding=None, window=WINDOW, max_pktsize=PACKET
        )
        await session.opened()
    except BaseException:
        connection.abort()
        raise
    log.info("netconf-session-opened", peer=where, session=session.session_id, driver="native")
    return session
