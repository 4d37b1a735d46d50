"""Call Home over TLS (RFC 8071): devices dial us, and we are the TLS client on the connection they open."""

import socket
from dataclasses import replace

from netconf_client.accepting import CallListener, SessionCallback
from netconf_client.api import ClientSession
from netconf_client.tls import CALL_HOME_PORT, Identify, TlsTarget, accept_tls, client_context


class TlsCallHomeListener(CallListener):
    """Listens for devices that call home over TLS.

    `target` says what we show and whom we trust (its address is not looked at); the files are read for each
    call. `identify` says by a verified certificate which device it is.
    """

    def __init__(
        self,
        on_session: SessionCallback,
        target: TlsTarget,
        identify: Identify,
        *,
        max_pending: int = 64,
        backlog: int = 512,
        timeout: float = 15.0,
    ) -> None:
        super().__init__(on_session, max_pending=max_pending, backlog=backlog, timeout=timeout)
        self._target = target
        self._identify = identify

    async def listen(self, host: str, port: int = CALL_HOME_PORT) -> int:
        """Start to listen; return the port. Raises OSError, or ConnectFailed for files that are of no use."""
        client_context(self._target)
        return await super().listen(host, port)

    async def _open(self, sock: socket.socket, address: str, where: str) -> tuple[str, ClientSession]:
        port = int(where.rpartition(":")[2])
        try:
            target = replace(self._target, host=address, port=port)
            return await accept_tls(target, sock, self._identify, timeout=self._timeout)
        except BaseException:
            sock.close()
            raise
