"""What every driver offers: where to connect, what a reply is, and the session's interface."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from lxml import etree

from netconf_client.hostkeys import HostKeyPolicy
from rui.netconf import messages, names
from rui.netconf.errors import RpcError
from rui.netconf.events import NotificationReceived
from rui.netconf.framing import DEFAULT_MAX_MESSAGE

DEFAULT_TIMEOUT: Final = 30.0
"""Seconds that a request or the set-up of a session may take, unless told otherwise."""

NotificationCallback = Callable[[NotificationReceived], None]


@dataclass(frozen=True, slots=True)
class Target:
    """A NETCONF server to connect to, and how to trust each other.

    `client_keys` are private key files, tried before the password. After `keepalive_interval` seconds of
    silence a probe is sent; when `keepalive_count` of them stay unanswered the session is declared lost.
    `device_params` is ncclient's name of the kind of device, for the vendor driver only. A message of more
    than `max_message` octets ends the session; ncclient knows no such bound. Notifications named in `bulk`
    (as `{namespace}name`) come without the entries that hold `record` elements: those are in `bulk` only.
    """

    host: str
    username: str
    host_key: HostKeyPolicy
    port: int = 830
    password: str | None = field(default=None, repr=False)
    client_keys: tuple[Path, ...] = ()
    keepalive_interval: float = 10.0
    keepalive_count: int = 3
    device_params: str = "default"
    max_message: int = DEFAULT_MAX_MESSAGE
    bulk: frozenset[str] = frozenset()

    @property
    def where(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """A positive reply: the rpc-reply element, its bytes as they came, and the server's warnings."""

    element: etree._Element
    raw: bytes
    warnings: tuple[RpcError, ...] = ()

    @property
    def content(self) -> list[etree._Element]:
        """The child elements of the rpc-reply, warnings left out."""
        return [child for child in messages.children(self.element) if child.tag != names.RPC_ERROR]

    @property
    def data(self) -> etree._Element:
        """The NETCONF `data` element. Raises RpcError when the server sent none."""
        found = self.element.find(names.DATA)
        if found is None:
            raise RpcError.missing_element("data", "the reply holds no data element")
        return found


class ClientSession(Protocol):
    """An open NETCONF session. Every request raises RpcError, ReplyTimeout or SessionClosed."""

    @property
    def session_id(self) -> int:
        """The id that the server gave."""

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The server's capabilities, in its order."""

    @property
    def where(self) -> str:
        """The server's address, for messages and logs."""

    @property
    def closed_reason(self) -> str | None:
        """Why the session is over; None while it is not."""

    async def rpc(self, operation: messages.Body, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Send one operation and return its reply; several may be under way at once.

        Bytes are sent unchanged and must declare their namespaces. `timeout` in seconds includes the wait
        for the transport to take the request.
        """

    def rpc_stream(
        self, operation: messages.Body, *, timeout: float = DEFAULT_TIMEOUT
    ) -> AsyncGenerator[bytes, None]:
        """Send one operation and yield the bytes of its rpc-reply as they come, however large it is.

        Together they are the whole message; feed them to a pull parser that resolves no entities. `timeout`
        is for the sending, and for each wait for more. What waits for a slow reader is bounded: then the
        server has to wait, and other replies and notifications with it. A reply that begins with an error
        raises RpcError before the first bytes. Close the generator early and the rest is thrown away.
        The vendor driver has the whole reply in memory first.
        """

    def on_notification(self, callback: NotificationCallback | None) -> None:
        """Have `callback` called, in the event loop, for each notification; without one all are dropped.

        A callback that raises ends the session: a notification must not be lost without a trace.
        """

    def pause_reading(self) -> None:
        """Take nothing more from the server, replies included, until `resume_reading`."""

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""

    async def wait_closed(self) -> str:
        """Wait until the session is over, for whatever reason, and return the reason."""

    async def close(self) -> None:
        """End the session, then the transport; in bounded time even if the server is silent."""

    async def get(self, subtree: messages.Body | None = None, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Get state and configuration; `subtree` is the content of a subtree filter."""

    async def get_config(
        self,
        source: str = "running",
        subtree: messages.Body | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Reply:
        """Get the configuration of a datastore; `subtree` is the content of a subtree filter."""

    async def edit_config(
        self,
        config: messages.Body,
        *,
        target: str = "candidate",
        default_operation: str | None = None,
        test_option: str | None = None,
        error_option: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Reply:
        """Edit a datastore; `config` is the content of the config element."""

    async def commit(self, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Make the candidate the running configuration."""

    async def discard_changes(self, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Reset the candidate to the running configuration."""

    async def validate(self, source: str = "candidate", *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Have the server check a datastore."""

    async def lock(self, target: str, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Lock a datastore."""

    async def unlock(self, target: str, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Unlock a datastore."""

    async def get_schema(
        self, identifier: str, version: str | None = None, *, timeout: float = DEFAULT_TIMEOUT
    ) -> str:
        """Return the text of a YANG module (RFC 6022)."""

    async def create_subscription(
        self,
        stream: str | None = None,
        *,
        subtree: messages.Body | None = None,
        start_time: str | None = None,
        stop_time: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Reply:
        """Subscribe to a stream (RFC 5277); times in RFC 3339, `subtree` is a subtree filter's content."""

    async def kill_session(self, session_id: int, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Have the server end another session."""
