"""How the vendor driver dials and logs in: the blocking half, run in threads."""

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import asyncssh
import paramiko
from ncclient.manager import make_device_handler
from ncclient.operations.errors import OperationError
from ncclient.transport.errors import AuthenticationError, TransportError
from ncclient.transport.ssh import SSHSession

from netconf_client.api import Target
from netconf_client.errors import AuthenticationFailed, ConnectFailed, HostKeyRejected
from netconf_client.hostkeys import HostKeyVerifier

_THREADS: Final = 8
executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="netconf-vendor")
"""Shared by all sessions; a thread is taken only while a session is dialled or closed."""


class CheckedSession(SSHSession):  # type: ignore[misc]  # ncclient has no types
    """ncclient's session with our own check of the host key and login.

    ncclient checks against the user's known_hosts or one key only, and some device handlers (iosxr, iosxe,
    csr) accept any key; with a password given it takes it for every key file's passphrase. So both are done
    here, where each connection passes.
    """

    target: Target
    verifier: HostKeyVerifier
    device_handler: object

    def _auth(self, *_: object) -> None:
        shown = self.transport.get_remote_server_key()
        self.verifier.check(asyncssh.import_public_key(f"{shown.get_name()} {shown.get_base64()}"))
        for path in self.target.client_keys:
            try:
                key = paramiko.PKey.from_path(path)
            except (OSError, ValueError, TypeError, paramiko.SSHException) as error:
                raise ConnectFailed(self.target.where, f"client key {path} cannot be used: {error}") from None
            if self._accepted(partial(self.transport.auth_publickey, self.target.username, key)):
                return
        password = self.target.password
        login = partial(self.transport.auth_password, self.target.username, password)
        if password is None or not self._accepted(login):
            raise AuthenticationError("neither keys nor password were accepted")

    def _accepted(self, login: Callable[[], object]) -> bool:
        """Try one way to log in; False also when the server wants a further one."""
        try:
            login()
        except paramiko.AuthenticationException:
            return False
        return bool(self.transport.is_authenticated())


class Dialling:
    """One attempt to open a session; `run` blocks in a thread, `abandon_unless_done` makes it give up."""

    def __init__(
        self, target: Target, verifier: HostKeyVerifier, timeout: float, sock: socket.socket | None
    ) -> None:
        self._target = target
        self._verifier = verifier
        self._timeout = timeout
        self._sock = sock
        self._lock = threading.Lock()
        self._abandoned = False
        self._done = False

    def run(self) -> CheckedSession:
        """Connect, check the host key, log in, exchange hellos. Raises ConnectFailed and its kinds."""
        session: CheckedSession | None = None
        try:
            session = self._make_session()
            self._connect_socket()
            session.connect(host=self._target.host, port=self._target.port, **self._parameters(session))
        except Exception as error:
            if session is not None and session.transport is not None:
                session.close()
            self._close_socket()
            raise self._translate(error) from error
        return self._finish(session)

    def abandon_unless_done(self) -> None:
        """Close the socket under a thread that still dials, so that it ends soon."""
        with self._lock:
            self._abandoned = not self._done
        if self._abandoned:
            self._close_socket()

    def _finish(self, session: CheckedSession) -> CheckedSession:
        with self._lock:
            self._done = not self._abandoned
        if not self._done:
            session.close()
            raise ConnectFailed(self._target.where, "no session in time")
        return session

    def _connect_socket(self) -> None:
        if self._sock is None:
            address = (self._target.host, self._target.port)
            try:
                self._sock = socket.create_connection(address, self._timeout)
            except OSError as error:
                raise ConnectFailed(self._target.where, f"cannot connect: {error}") from None
        self._sock.setblocking(True)
        # paramiko's keepalives are never answered, so that a dead peer is found is TCP's part
        bound = int(self._target.keepalive_interval * (self._target.keepalive_count + 1) * 1000)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, bound)

    def _make_session(self) -> CheckedSession:
        handler = make_device_handler({"name": self._target.device_params})
        session = CheckedSession(handler)
        session.target, session.verifier, session.device_handler = self._target, self._verifier, handler
        return session

    def _parameters(self, session: CheckedSession) -> dict[str, object]:
        """Return connect's parameters: the device's own first, then ours, which no handler may weaken."""
        parameters: dict[str, object] = {}
        session._device_handler.add_additional_ssh_connect_params(parameters)
        parameters.update(
            username=self._target.username,
            timeout=self._timeout,
            sock=self._sock,
            keepalive=max(1, round(self._target.keepalive_interval)),
            allow_agent=False,
            look_for_keys=False,
            ssh_config=None,
            hostkey_verify=False,
        )
        trusted = self._verifier.trusted
        if len(trusted) == 1:
            # makes the server show the key of this kind, where it has several
            parameters["hostkey_b64"] = trusted[0].export_public_key().split()[1].decode("ascii")
        return parameters

    def _close_socket(self) -> None:
        if self._sock is not None:
            self._sock.close()

    def _translate(self, error: Exception) -> ConnectFailed:
        where = self._target.where
        if isinstance(error, ConnectFailed):
            return error
        if isinstance(error, ImportError):
            return ConnectFailed(where, f"ncclient knows no device_params {self._target.device_params!r}")
        if isinstance(error, AuthenticationError | paramiko.AuthenticationException):
            return AuthenticationFailed(where, f"login refused: {error}")
        if self._verifier.trusted and "no acceptable host key" in str(error):
            return HostKeyRejected(where, "the server has no host key of the trusted kind")
        if isinstance(error, TransportError | OperationError | paramiko.SSHException | OSError | EOFError):
            return ConnectFailed(where, f"no session: {error or type(error).__name__}")
        return ConnectFailed(where, f"no session: {error!r}")
