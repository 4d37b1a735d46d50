"""TLS below NETCONF (RFC 7589): mutual X.509, for accepted connections and for Call Home (RFC 8071) alike."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, cast

import structlog

from netconf_server.admission import Admission, source_of
from netconf_server.certnames import CertificateNames
from netconf_server.keepalive import keep_alive
from netconf_server.limits import Limits
from netconf_server.tlscontext import TlsOptions, server_context
from netconf_server.transport import ByteSession, Carrier, Transport

log = structlog.get_logger(__name__)

_GRACE: Final = 2.0
_ACCEPT_AGAIN: Final = 0.1

OpenTlsSession = Callable[[Transport, str, str], "ByteSession | None"]
"""Given the transport, the user and the peer's address, make the session; None refuses it."""


class TlsGate:
    """Lets clients in over TLS; `open_session` makes the session of one whose certificate has a name.

    Raises TlsError when a file cannot be used.
    """

    def __init__(
        self, options: TlsOptions, limits: Limits, admission: Admission, open_session: OpenTlsSession
    ) -> None:
        self._context = server_context(options)
        self._names = CertificateNames(options.names, options.trust.read_bytes())
        self._limits = limits
        self._admission = admission
        self._open_session = open_session
        self._accepting: list[asyncio.Task[None]] = []
        self._connections: dict[asyncio.Task[None], _Connection | None] = {}

    async def listen(self, host: str, port: int) -> int:
        """Accept connections; return the port. Raises OSError when it cannot be bound."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(self._limits.max_pending_logins)
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        self._accepting.append(loop.create_task(self._accept(sock), name="netconf-tls-accept"))
        return int(sock.getsockname()[1])

    async def call_home(self, host: str, port: int, within: float) -> None:
        """Connect out and be the TLS server on that connection; return when it is over.

        Raises OSError (ssl.SSLError is one) when no session comes about, in so many seconds at most.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(within):
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            sock = socket.socket(*infos[0][:3])
            sock.setblocking(False)
            try:
                await loop.sock_connect(sock, infos[0][4])
                connection = await self._secure(sock, _where(infos[0][4]))
            except BaseException:
                sock.close()
                raise
        await connection.over.wait()

    async def close(self) -> None:
        """Stop accepting and end what is left, after a moment for it to end by itself."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        self._accepting.clear()
        if self._connections:
            await asyncio.wait(self._connections, timeout=_GRACE)
        for task, connection in list(self._connections.items()):
            if connection is not None:
                connection.abort()
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listening:
            while True:
                try:
                    sock, address = await loop.sock_accept(listening)
                except OSError as error:
                    # No descriptor left, or a peer that is gone already: neither ends the listening.
                    log.warning("tls-accept-failed", reason=error.strerror or str(error))
                    await asyncio.sleep(_ACCEPT_AGAIN)
                    continue
                task = loop.create_task(self._serve(sock, address))
                self._connections[task] = None
                task.add_done_callback(self._connections.pop)

    async def _serve(self, sock: socket.socket, address: tuple[str, int]) -> None:
        peer, source = _where(address), source_of(address[0])
        loop = asyncio.get_running_loop()
        refused = self._admission.connect(source, loop.time())
        if refused is not None:
            log.warning("login-refused", peer=peer, reason=refused)
            sock.close()
            return
        try:
            connection = await self._secure(sock, peer)
        except OSError as error:
            sock.close()
            self._admission.failed(source, loop.time())
            log.warning("login-failed", peer=peer, reason=str(error))
            return
        finally:
            self._admission.leave(source)
        task = asyncio.current_task()
        if task is not None:
            self._connections[task] = connection
        await connection.over.wait()

    async def _secure(self, sock: socket.socket, peer: str) -> _Connection:
        """Shake hands and begin the session. Raises OSError."""
        keep_alive(sock, self._limits)
        # Not taken from what the call returns: uvloop (0.23) gives its own protocol there.
        connection = _Connection(self._limits.channel_buffer)
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: connection,
            sock,
            ssl=self._context,
            ssl_handshake_timeout=self._limits.login_timeout,
            ssl_shutdown_timeout=_GRACE,
        )
        certificate = connection.certificate
        user = None if certificate is None else self._names.name_of(certificate)
        session = None if user is None else self._open_session(connection, user, peer)
        if user is None or session is None:
            connection.abort()
            raise ConnectionRefusedError("no rule names the client's certificate" if user is None else user)
        log.info("login", user=user, peer=peer, by="certificate")
        connection.begin(session)
        return connection


class _Connection(Carrier, asyncio.Protocol):
    """One TLS connection; a session's transport."""

    def __init__(self, buffer: int) -> None:
        self._buffer = buffer
        self._transport: asyncio.Transport | None = None
        self.over = asyncio.Event()
        self.certificate: bytes | None = None

    def begin(self, session: ByteSession) -> None:
        """Serve a session on this connection."""
        self._session = session
        session.start()
        self.resume_reading()

    # --- from asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of who is there; nothing is read before it is known who that is."""
        self._transport = secured = cast("asyncio.Transport", transport)
        secured.set_write_buffer_limits(high=self._buffer, low=self._buffer // 4)
        secured.pause_reading()
        self.certificate = secured.get_extra_info("ssl_object").getpeercert(binary_form=True)

    def data_received(self, data: bytes) -> None:
        """Hand bytes on."""
        if self._session is not None:
            self._session.receive(data)

    def eof_received(self) -> None:
        """Hand on that the peer is done."""
        if self._session is not None:
            self._session.receive_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.over.set()
        if self._session is not None:
            self._session.lost(str(exc) if exc else "the client closed the connection")
            self._session.forget()

    # --- the session's transport

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is closing."""
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def pause_reading(self) -> None:
        """Take nothing from the peer."""
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        if self._transport is not None and not self._transport.is_reading():
            self._transport.resume_reading()

    def close(self) -> None:
        """Close the connection after what was written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()


def _where(address: tuple[object, ...]) -> str:
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
