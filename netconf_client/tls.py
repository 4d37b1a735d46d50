"""NETCONF over TLS (RFC 7589): the session core on asyncio's TLS, both ends known by X.509 certificates."""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import structlog

from netconf_client.api import DEFAULT_TIMEOUT
from netconf_client.coresession import CoreSession
from netconf_client.errors import ConnectFailed, HostKeyRejected
from rui.netconf.framing import DEFAULT_MAX_MESSAGE
from rui.netconf.session import Limits

log = structlog.get_logger()

PORT: Final = 6513
"""The port that IANA assigned to NETCONF over TLS."""
CALL_HOME_PORT: Final = 4335
"""The one for NETCONF Call Home over TLS."""

Identify = Callable[[bytes], str | None]
"""Says whose a certificate (DER) is, None for nobody's."""

_CLOSE_TIMEOUT: Final = 2.0
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class TlsTarget:
    """A NETCONF server over TLS, and how to trust each other; files are PEM.

    `certificate` and `private_key` are ours, and tell the server who we are. `trust` holds the authorities of
    the server's certificate, or that certificate itself, and with `check_revocation` their revocation lists;
    the certificate has to be for `server_name`, which is `host` unless given. The rest is as in `Target`.
    """

    host: str
    certificate: Path
    private_key: Path
    trust: Path
    port: int = PORT
    server_name: str | None = None
    keepalive_interval: float = 10.0
    keepalive_count: int = 3
    max_message: int = DEFAULT_MAX_MESSAGE
    bulk: frozenset[str] = frozenset()
    check_revocation: bool = False

    @property
    def where(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"


class TlsSession(CoreSession, asyncio.Protocol):
    """A ClientSession on TLS. `connect_tls` makes it."""

    def __init__(self, where: str, limits: Limits) -> None:
        super().__init__(where, limits)
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.Event()

    def pause_reading(self) -> None:
        """Take nothing more from the server until `resume_reading`; TCP's window then stops the sender."""
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        if self._transport is not None and not self._transport.is_reading():
            self._transport.resume_reading()

    @property
    def certificate(self) -> bytes:
        """The server's certificate (DER), which was verified; empty before the handshake."""
        shown = None if self._transport is None else self._transport.get_extra_info("ssl_object")
        return b"" if shown is None else shown.getpeercert(binary_form=True) or b""

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: both ends have shown their certificates."""
        self._transport = cast("asyncio.Transport", transport)
        self.connected()

    def data_received(self, data: bytes) -> None:
        """Hand bytes on."""
        self.received(data)

    def eof_received(self) -> None:
        """Take the end of the server's data as the end of the session."""
        self.ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the loss of the connection as the end of the session."""
        self._gone.set()
        self.ended(None if exc is None else _reason(exc))

    # the session's transport

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _close_transport(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def _transport_closed(self) -> None:
        if self._transport is None:
            return
        self._transport.close()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._gone.wait()
        except TimeoutError:
            self._transport.abort()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()


async def connect_tls(
    target: TlsTarget, *, timeout: float = DEFAULT_TIMEOUT, sock: socket.socket | None = None
) -> TlsSession:
    """Open a session with `target`, on a socket that it dialled (RFC 8071) if one is given.

    Raises HostKeyRejected where the server's certificate is not taken, ConnectFailed otherwise; the
    socket is closed then.
    """
    return (await _opened(target, client_context(target), timeout, sock))[1]


async def accept_tls(
    target: TlsTarget, sock: socket.socket, identify: Identify, *, timeout: float = DEFAULT_TIMEOUT
) -> tuple[str, TlsSession]:
    """Open a session on a socket that some server has dialled (RFC 8071); `identify` says which by its
    certificate, whose name is not looked at. Raises as `connect_tls`.
    """
    context = client_context(target)
    context.check_hostname = False
    return await _opened(target, context, timeout, sock, identify)


async def _opened(
    target: TlsTarget,
    context: ssl.SSLContext,
    timeout: float,
    sock: socket.socket | None,
    identify: Identify | None = None,
) -> tuple[str, TlsSession]:
    session: TlsSession | None = None

    def make() -> TlsSession:
        nonlocal session
        session = TlsSession(target.where, Limits(max_message=target.max_message, bulk=target.bulk))
        return session

    name = target.host
    try:
        async with asyncio.timeout(timeout):
            made = await _connect(make, target, context, sock, timeout)
            if identify is not None:
                name = _identified(made.certificate, target.where, identify)
            await made.opened()
    except ssl.SSLCertVerificationError as error:
        raise HostKeyRejected(target.where, f"its certificate: {error.verify_message}") from error
    except (OSError, ConnectFailed, TimeoutError) as error:
        if session is not None:
            session.abort()
        if isinstance(error, ConnectFailed):
            raise
        raise ConnectFailed(target.where, _reason(error)) from error
    except BaseException:
        if session is not None:
            session.abort()
        raise
    log.info("netconf-session-opened", peer=target.where, session=made.session_id, driver="tls")
    return name, made


def _identified(certificate: bytes, where: str, identify: Identify) -> str:
    name = identify(certificate)
    if name is None:
        shown = hashlib.sha256(certificate).digest().hex(":")
        raise HostKeyRejected(where, f"no device is configured for its certificate, SHA-256 {shown}")
    return name


async def _connect(
    make: Callable[[], TlsSession],
    target: TlsTarget,
    context: ssl.SSLContext,
    sock: socket.socket | None,
    timeout: float,
) -> TlsSession:
    if sock is None:
        sock = await _dial(target)
    try:
        if target.keepalive_interval > 0:
            _keep_alive(sock, target)
        _, session = await asyncio.get_running_loop().create_connection(
            make,
            sock=sock,
            ssl=context,
            server_hostname=(target.server_name or target.host) if context.check_hostname else "",
            ssl_handshake_timeout=timeout,
            ssl_shutdown_timeout=_CLOSE_TIMEOUT,
        )
    except BaseException:
        sock.close()
        raise
    return session


async def _dial(target: TlsTarget) -> socket.socket:
    """A TCP connection by the first address that answers. Raises OSError."""
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{target.host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        target.host, target.port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def client_context(target: TlsTarget) -> ssl.SSLContext:
    """TLS 1.2 or 1.3 that checks the server's certificate and name. Raises ConnectFailed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if target.check_revocation:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    path = target.private_key
    try:
        context.load_cert_chain(target.certificate, target.private_key)
        path = target.trust
        context.load_verify_locations(target.trust)
    except OSError as error:
        raise ConnectFailed(target.where, f"{path} cannot be used for TLS: {_reason(error)}") from None
    return context


def _keep_alive(sock: socket.socket, target: TlsTarget) -> None:
    """Have the system notice that the server is gone: TLS has no messages for that."""
    seconds = max(1, round(target.keepalive_interval))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_KEEPIDLE": seconds, "TCP_KEEPINTVL": seconds, "TCP_KEEPCNT": target.keepalive_count}
    for name, value in options.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return str(error.reason or error).lower().replace("_", " ")
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
