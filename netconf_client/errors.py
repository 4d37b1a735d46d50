"""What can go wrong with a NETCONF session, for every driver.

    NetconfClientError
    ├── ConnectFailed              no session came about: network, SSH, subsystem, hello
    │   ├── HostKeyRejected        the server's key or certificate is not trusted
    │   └── AuthenticationFailed   the server refused user, password and keys
    ├── SessionClosed              the session is over; its reason says why
    └── ReplyTimeout               no reply in time; the session lives on

What the server itself refuses is a `rui.netconf.errors.RpcError`.
"""


class NetconfClientError(Exception):
    """Base of this tree."""


class ConnectFailed(NetconfClientError):
    """No session with `where` (host:port) came about; `reason` says what failed and what to do."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


class HostKeyRejected(ConnectFailed):
    """The server's host key, or over TLS its certificate, is unknown, revoked or has changed."""


class AuthenticationFailed(ConnectFailed):
    """The server accepted neither the keys nor the password."""


class SessionClosed(NetconfClientError):
    """The session with `where` is over and the request was not answered."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: session is over: {reason}")
        self.where = where
        self.reason = reason


class ReplyTimeout(NetconfClientError):
    """The server did not answer `operation` within `timeout` seconds. Whether it was done is not known."""

    def __init__(self, where: str, operation: str, timeout: float) -> None:
        super().__init__(f"{where}: no reply to {operation} within {timeout:g} s")
        self.where = where
        self.operation = operation
        self.timeout = timeout
