"""The SSH client of native connections and of call home: host key, credentials, options."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import asyncssh

from netconf_client.api import Target
from netconf_client.errors import AuthenticationFailed, ConnectFailed, HostKeyRejected
from rui.netconf.sshpackets import without_empty_ones

# aes-gcm first: one pass of hardware-supported cipher, with no separate MAC
_ENCRYPTION: Final = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
_AUTHENTICATION: Final = "publickey,password,keyboard-interactive"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we say we are: the key files are read already."""

    username: str
    password: str | None = field(repr=False)
    keys: Sequence[asyncssh.SSHKeyPair] = field(repr=False)


def load_credentials(target: Target) -> Credentials:
    """Read the target's key files. Raises ConnectFailed, which names the file."""
    keys: list[asyncssh.SSHKeyPair] = []
    for path in target.client_keys:
        try:
            keys += asyncssh.load_keypairs(str(path))
        except (OSError, asyncssh.KeyImportError) as error:
            raise ConnectFailed(target.where, f"client key {path} cannot be used: {error}") from None
    return Credentials(target.username, target.password, keys)


class HostKeyCheck(Protocol):
    """Decides over the key that a server shows."""

    def check(self, key: asyncssh.SSHKey) -> Credentials:
        """Return what to log in with. Raises HostKeyRejected."""


class CheckingClient(asyncssh.SSHClient):
    """Asks `host_key_check` about the server's key and logs in with the credentials that it returns.

    `refused` is the reason why the key was not taken: asyncssh itself only says that it was not.
    `logging_in` says whether the login has begun and is not yet complete.
    """

    def __init__(self, host_key_check: HostKeyCheck) -> None:
        self._check = host_key_check
        self._connection: asyncssh.SSHClientConnection | None = None
        self._password: str | None = None
        self._keys: Sequence[asyncssh.SSHKeyPair] = ()
        self._prompted = False
        self.refused: HostKeyRejected | None = None
        self.logging_in = False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Keep the connection, for its user name is set later."""
        self._connection = conn
        conn.send_packet = without_empty_ones(conn.send_packet)  # type: ignore[method-assign]

    def validate_host_public_key(
        self,
        host: str,  # noqa: ARG002
        addr: str,  # noqa: ARG002
        port: int,  # noqa: ARG002
        key: asyncssh.SSHKey,
    ) -> bool:
        """Say whether the key is trusted; asked for every key, since asyncssh is given no known hosts."""
        try:
            credentials = self._check.check(key)
        except HostKeyRejected as error:
            self.refused = error
            return False
        if self._connection is not None:
            # asyncssh fixes the user name before the handshake, but a device that calls home is known only by
            # the key it shows in it, and each device may have its own user. No public way exists (2.24)
            self._connection._username = credentials.username
        self._password, self._keys = credentials.password, credentials.keys
        return True

    def begin_auth(self, username: str) -> None:  # noqa: ARG002
        """Take note that the login begins."""
        self.logging_in = True

    def auth_completed(self) -> None:
        """Take note that the login is done."""
        self.logging_in = False

    def public_key_auth_requested(self) -> Sequence[asyncssh.SSHKeyPair] | None:
        """Give all keys, once: asyncssh asks again after they were refused."""
        keys, self._keys = list(self._keys), ()
        return keys or None

    def password_auth_requested(self) -> str | None:
        """Give the password, once."""
        password, self._password = self._password, None
        return password

    def kbdint_auth_requested(self) -> str | None:
        """Try keyboard-interactive, once, where a password is left: some routers know no other way."""
        if self._password is None or self._prompted:
            return None
        self._prompted = True
        return ""

    def kbdint_challenge_received(
        self,
        name: str,  # noqa: ARG002
        instructions: str,  # noqa: ARG002
        lang: str,  # noqa: ARG002
        prompts: Sequence[tuple[str, bool]],
    ) -> list[str] | None:
        """Answer a single hidden prompt with the password; refuse anything else but an empty round."""
        if not prompts:
            return []
        if len(prompts) != 1 or prompts[0][1] or self._password is None:
            return None
        password, self._password = self._password, None
        return [password]


def ssh_options(
    client: CheckingClient, algorithms: Sequence[str], interval: float, count: int, timeout: float
) -> asyncssh.SSHClientConnectionOptions:
    """Return asyncssh's options: nothing is read from the user's home, the agent or the environment."""
    return asyncssh.SSHClientConnectionOptions(
        client_factory=lambda: client,
        config=None,
        agent_path=None,
        client_keys=None,
        gss_host=None,
        x509_trusted_certs=None,
        username="unknown",
        # not None, which would mean: no check at all
        known_hosts=([], [], []),
        server_host_key_algs=list(algorithms),
        encryption_algs=list(_ENCRYPTION),
        compression_algs=None,
        preferred_auth=_AUTHENTICATION,
        keepalive_interval=interval,
        keepalive_count_max=count,
        login_timeout=timeout,
    )


def translate(where: str, client: CheckingClient, error: Exception) -> ConnectFailed:
    """Turn what asyncssh raised while connecting into our own exception."""
    if client.refused is not None:
        return client.refused
    if isinstance(error, ConnectFailed):
        return error
    # a server that allows few attempts disconnects instead of refusing the last one
    refused = client.logging_in and isinstance(error, asyncssh.ProtocolError)
    if refused or isinstance(error, asyncssh.PermissionDenied):
        return AuthenticationFailed(where, f"login refused: {error}")
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return HostKeyRejected(where, error.reason)
    if isinstance(error, asyncssh.ChannelOpenError):
        return ConnectFailed(where, f"the server offers no subsystem netconf: {error.reason}")
    if isinstance(error, TimeoutError):
        return ConnectFailed(where, "no session in time")
    if isinstance(error, asyncssh.DisconnectError):
        return ConnectFailed(where, f"SSH failed: {error.reason}")
    return ConnectFailed(where, f"cannot connect: {error}")
