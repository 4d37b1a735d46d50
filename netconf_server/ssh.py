"""SSH below NETCONF (RFC 6242): one asyncssh server side, for accepted connections and for Call Home (RFC
8071) alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import asyncssh
import structlog
from asyncssh.kex import get_kex_algs

from netconf_server.accounts import Accounts
from netconf_server.admission import Admission, source_of
from netconf_server.keepalive import ask_when_silent, keep_alive
from netconf_server.limits import Limits
from netconf_server.shells import OpenShell, ShellRequest, ShellSession, Terminal
from netconf_server.transport import ByteSession, Carrier
from rui.netconf.sshpackets import untold, without_empty_ones

log = structlog.get_logger(__name__)

# docs/security.md has this table with the reasons; a test compares the two.
KEX_ALGORITHMS: Final = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
)
CIPHERS: Final = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes128-ctr",
)
MACS: Final = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
SIGNATURES: Final = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)

_USERAUTH: Final = b"ssh-userauth"
# Seconds that connections have to end by themselves when the server stops.
_GRACE = 2.0
# Larger than asyncssh's 32 KiB: every packet costs it some 40 microseconds, whatever its size.
_PACKET = 128 * 1024


OpenSession = Callable[["Channel", str, str], "ByteSession | None"]
"""Given a channel, the user and the peer's address, make the session; None refuses it."""


class Gate:
    """Knows the connections, so that they can be bounded and closed."""

    def __init__(self, accounts: Accounts, limits: Limits, open_session: OpenSession) -> None:
        self.accounts = accounts
        self.limits = limits
        self.open_session = open_session
        self.open_shell: OpenShell | None = None
        self.admission = Admission(limits)
        self.connections: set[Connection] = set()

    async def drain(self) -> None:
        """Wait a moment for all connections to close, then end those that have not."""
        waits = [asyncio.ensure_future(connection.wait_closed()) for connection in self.connections]
        if waits:
            _, late = await asyncio.wait(waits, timeout=_GRACE)
            for connection in list(self.connections):
                connection.abort()
            if late:
                await asyncio.wait(late, timeout=_GRACE)

    def options(self, host_key: asyncssh.SSHKey) -> dict[str, Any]:
        """The asyncssh options of both directions of connecting."""
        return {
            "server_factory": lambda: Connection(self),
            "server_host_keys": [host_key],
            "encoding": None,
            "max_pktsize": _PACKET,
            "kex_algs": [name for name in KEX_ALGORITHMS if name.encode() in get_kex_algs()],
            "encryption_algs": list(CIPHERS),
            "mac_algs": list(MACS),
            "signature_algs": list(SIGNATURES),
            "compression_algs": ["none"],
            "login_timeout": self.limits.login_timeout,
            "keepalive_interval": self.limits.keepalive_interval,
            "keepalive_count_max": self.limits.keepalive_count,
            "line_editor": False,
            "allow_pty": True,
            "agent_forwarding": False,
            "x11_forwarding": False,
            "allow_scp": False,
            "server_version": "netconf",
        }


class Connection(asyncssh.SSHServer):
    """One SSH connection: logs the user in, opens the `netconf` subsystem and, where served, a shell."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._connection: asyncssh.SSHServerConnection | None = None
        self._source = ""
        self._pending = False
        self._passwords = 0
        self._wrong_keys = 0
        self._failures = 0
        self._channels = 0
        self._unused: asyncio.TimerHandle | None = None
        self.user = ""
        self.peer = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Take the connection in, or turn it away when too many have not logged in yet."""
        self._connection = conn
        conn.send_packet = without_empty_ones(conn.send_packet)  # type: ignore[method-assign]
        untold(conn)
        ask_when_silent(conn, self._gate.limits.keepalive_interval)
        keep_alive(conn.get_extra_info("socket"), self._gate.limits)
        host, port = (conn.get_extra_info("peername") or ("?", 0))[:2]
        self.peer = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._gate.connections.add(self)
        self._source = source_of(host)
        refused = self._gate.admission.connect(self._source, asyncio.get_running_loop().time())
        if refused is not None:
            log.warning("login-refused", peer=self.peer, reason=refused)
            conn.abort()
            return
        self._pending = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._gate.connections.discard(self)
        self._leave()
        self._use()
        if not self.user:
            log.info("connection-without-login", peer=self.peer, reason=str(exc or "closed by the peer"))
            while self._failures < max(self._passwords, min(self._wrong_keys, 1)):
                self._fail()

    def _leave(self) -> None:
        if self._pending:
            self._pending = False
            self._gate.admission.leave(self._source)

    def _fail(self) -> None:
        self._failures += 1
        self._gate.admission.failed(self._source, asyncio.get_running_loop().time())

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        """Every user has to prove who he is; the name may be unknown, which is not told."""
        self._expect_service(_USERAUTH)
        return True

    def _expect_service(self, name: bytes | None) -> None:
        """Let the client ask for an SSH service once more.

        Some, as paramiko, ask for ssh-userauth before each try, which RFC 4252 does not forbid; asyncssh
        disconnects who asks twice. No public way exists (2.24).
        """
        if self._connection is not None:
            self._connection._next_service = name

    def auth_completed(self) -> None:
        """Note that the user is logged in."""
        self._leave()
        self._expect_service(None)
        if self._connection is not None:
            self.user = str(self._connection.get_extra_info("username"))
        log.info("login", user=self.user, peer=self.peer)
        self._wait_for_use()

    def public_key_auth_supported(self) -> bool:
        """Keys are always worth a try."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Say whether the key is one of the user's; after too many wrong ones the connection ends."""
        if self._gate.accounts.check_key(username, key):
            # asyncssh verifies by whatever a key can; with RSA that would be SHA-1 too.
            key.all_sig_algorithms = key.all_sig_algorithms & {name.encode() for name in SIGNATURES}
            return True
        self._wrong_keys += 1
        if self._wrong_keys >= self._gate.limits.key_attempts:
            log.warning("login-failed", user=username, peer=self.peer, keys=self._wrong_keys)
            raise self._too_many()
        self._expect_service(_USERAUTH)
        return False

    def password_auth_supported(self) -> bool:
        """Passwords too; who has none is told no other way than by failing."""
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """Check a password; after too many tries the connection ends."""
        # Counted before it is checked: a further request breaks off the check of the one before it.
        self._passwords += 1
        if self._passwords > self._gate.limits.login_attempts:
            raise self._too_many()
        if await self._gate.accounts.check_password(username, password):
            return True
        self._fail()
        log.warning("login-failed", user=username, peer=self.peer, attempt=self._passwords)
        if self._passwords >= self._gate.limits.login_attempts:
            raise self._too_many()
        self._expect_service(_USERAUTH)
        return False

    def _too_many(self) -> asyncssh.DisconnectError:
        return asyncssh.DisconnectError(
            asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "too many failed logins"
        )

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        """Open a channel; what it is for is said next."""
        return Channel(self, self._gate)

    # --- for the channels and the server

    def channel_opened(self) -> None:
        """Count a channel in."""
        self._channels += 1
        self._use()

    def _wait_for_use(self) -> None:
        timeout = self._gate.limits.hello_timeout
        self._unused = asyncio.get_running_loop().call_later(timeout, self._end_unused)

    def _use(self) -> None:
        if self._unused is not None:
            self._unused.cancel()
            self._unused = None

    def _end_unused(self) -> None:
        log.info("login-unused", user=self.user, peer=self.peer, seconds=self._gate.limits.hello_timeout)
        self.abort()

    def channel_closed(self, *, shell: bool) -> None:
        """Count a channel out; the connection ends with its last one.

        After a shell or a command it waits for the next: scripts send one command after the other over one
        connection (RFC 4254 section 6.5).
        """
        self._channels -= 1
        if self._channels > 0 or self._connection is None:
            return
        if shell:
            self._wait_for_use()
        else:
            self._connection.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._connection is not None:
            self._connection.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone."""
        if self._connection is not None:
            await self._connection.wait_closed()


class Channel(Carrier, asyncssh.SSHServerSession[bytes]):
    """One SSH channel with the `netconf` subsystem or a shell; a session's transport."""

    def __init__(self, connection: Connection, gate: Gate) -> None:
        self._connection = connection
        self._gate = gate
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._shell: ShellSession | None = None
        self._terminal: Terminal | None = None

    # --- from asyncssh

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Keep the channel."""
        self._channel = chan
        untold(chan)
        limit = self._gate.limits.channel_buffer
        chan.set_write_buffer_limits(high=limit, low=limit // 4)
        self._connection.channel_opened()

    def subsystem_requested(self, subsystem: str) -> bool:
        """Only `netconf` is served."""
        if subsystem != "netconf":
            return False
        self._session = self._gate.open_session(self, self._connection.user, self._connection.peer)
        return self._session is not None

    def pty_requested(  # the modes are for a real line discipline
        self, term_type: str, term_size: tuple[int, int, int, int], _term_modes: object
    ) -> bool:
        """A terminal is given to those that may have a shell."""
        self._terminal = Terminal(term_type, term_size[0], term_size[1])
        return self._gate.open_shell is not None

    def shell_requested(self) -> bool:
        """An interactive shell, where one is served."""
        return self._open_shell(None)

    def exec_requested(self, command: str) -> bool:
        """One command, where a shell is served."""
        return self._open_shell(command)

    def _open_shell(self, command: str | None) -> bool:
        if self._gate.open_shell is None:
            return False
        request = ShellRequest(self._connection.user, self._connection.peer, self._terminal, command)
        self._session = self._shell = self._gate.open_shell(self, request)
        return self._shell is not None

    def terminal_size_changed(
        self,
        width: int,
        height: int,
        pixwidth: int,  # noqa: ARG002
        pixheight: int,  # noqa: ARG002
    ) -> None:
        """Hand on."""
        if self._shell is not None:
            self._shell.resize(width, height)

    def break_received(self, msec: int) -> bool:  # noqa: ARG002
        """Hand on."""
        if self._shell is not None:
            self._shell.interrupt()
        return self._shell is not None

    def signal_received(self, signal: str) -> None:
        """Hand on an interrupt."""
        if self._shell is not None and signal == "INT":
            self._shell.interrupt()

    def session_started(self) -> None:
        """The subsystem or the shell runs."""
        if self._session is not None:
            self._session.start()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Hand bytes on; the error stream has no meaning here."""
        if self._session is not None and datatype is None:
            self._session.receive(data)

    def eof_received(self) -> bool:
        """Hand on that the peer is done."""
        if self._session is not None:
            self._session.receive_eof()
        # A script's input ends while its output still comes.
        return self._shell is not None

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed on both sides."""
        if self._session is not None:
            self._session.lost(str(exc) if exc else "the client closed the channel")
            self._session.forget()
        self._connection.channel_closed(shell=self._shell is not None)

    # --- the session's transport

    def write(self, data: bytes) -> None:
        """Send bytes, unless the channel is closing."""
        if data and self._channel is not None and not self._channel.is_closing():
            self._channel.write(data)

    def write_error(self, data: bytes) -> None:
        """Send bytes on the error stream, unless the channel is closing."""
        if data and self._channel is not None and not self._channel.is_closing():
            self._channel.write_stderr(data)

    def exit(self, status: int) -> None:
        """Say a command's exit status and close the channel after what was written."""
        if self._channel is not None and not self._channel.is_closing():
            self._channel.exit(status)

    def pause_reading(self) -> None:
        """Leave what comes in the channel's window."""
        if self._channel is not None:
            self._channel.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        if self._channel is not None:
            self._channel.resume_reading()

    def close(self) -> None:
        """Close the channel after what was written."""
        if self._channel is not None:
            self._channel.close()

    def abort(self) -> None:
        """End the whole connection: its peer takes nothing any more."""
        self._connection.abort()


async def listen(host: str, port: int, host_key: asyncssh.SSHKey, gate: Gate) -> asyncssh.SSHAcceptor:
    """Accept connections. Raises OSError when the address cannot be bound."""
    return await asyncssh.listen(host, port, reuse_address=True, **gate.options(host_key))


async def call_home(host: str, port: int, host_key: asyncssh.SSHKey, gate: Gate, within: float) -> None:
    """Connect out and be the SSH server on that connection (RFC 8071 section 3.1); return when it is over.

    Raises OSError when there is no connection, asyncssh.Error when the client's side breaks it off before
    the login, TimeoutError when there is no login within so many seconds.
    """
    async with asyncio.timeout(within):
        connection = await asyncssh.connect_reverse(host, port, **gate.options(host_key))
    await connection.wait_closed()
