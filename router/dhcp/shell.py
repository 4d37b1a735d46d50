"""Runs one group's relay: feed packets, hand out what it says about users, send the rest, arm one timer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import structlog

from router.dhcp.relay import Relay
from router.dhcp.transport import Transport
from router.dhcp.values import (
    ClientSource,
    Dropped,
    Output,
    Reply,
    SendToClient,
    SendToRelay,
    SendToServer,
    SubscriberOffline,
    SubscriberOnline,
    SubscriberRenewed,
)

log = structlog.get_logger()

SubscriberEvent = SubscriberOnline | SubscriberRenewed | SubscriberOffline
_LOG_EVERY = 10.0


class RelayShell:
    """The sockets and the timer around a :class:`Relay`.

    ``on_subscriber`` is called in the event loop for each change of a user. Of an online or renewed user it
    must hand ``reply`` to :meth:`send_reply`, at once or when the record is protected: until then the client
    has no lease.
    """

    def __init__(
        self, relay: Relay, transport: Transport, on_subscriber: Callable[[SubscriberEvent], None]
    ) -> None:
        self.relay = relay
        self.send_errors: Counter[str] = Counter()
        self._transport = transport
        self._on_subscriber = on_subscriber
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._logged_at: dict[str, float] = {}
        self._open = False

    async def start(self) -> None:
        """Open the sockets and begin. Raises TransportError."""
        self._transport.open(self._from_client, self._from_server)
        self._open = True
        log.info(
            "dhcp-relay-started",
            group=self.relay.config.group_id,
            giaddr=str(self.relay.config.giaddr),
            interfaces=[port.interface for port in self.relay.config.ports],
        )
        self.rearm()

    async def close(self) -> None:
        """Close the sockets; a later reply is dropped."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.close()

    def rearm(self) -> None:
        """Set the timer anew; to be called after ``relay.adopt`` as well."""
        deadline = self.relay.next_deadline() if self._open else None
        if deadline is None:
            return
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = asyncio.get_running_loop().call_at(deadline, self._on_timer)

    def send_reply(self, reply: Reply) -> None:
        """Send an answer that was parked. An answer that cannot be sent is counted: the client asks again."""
        if not self._open:
            return
        try:
            self._transport.send_reply(reply)
        except OSError as error:
            self._send_failed("dhcp-reply-not-sent", error)

    def _from_client(self, data: bytes, source: ClientSource) -> None:
        self._handle(self.relay.receive_client(data, source, self._now()))

    def _from_server(self, data: bytes, source: tuple[str, int]) -> None:
        self._handle(self.relay.receive_server(data, source, self._now()))

    def _on_timer(self) -> None:
        self._timer = None
        self._handle(self.relay.handle_timer(self._now()))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _handle(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case SendToServer():
                    self._send_server(output)
                case SendToClient() | SendToRelay():
                    self.send_reply(output)
                case SubscriberOnline() | SubscriberRenewed() | SubscriberOffline():
                    self._on_subscriber(output)
                case Dropped():
                    self._log_drop(output)
        self.rearm()

    def _send_server(self, output: SendToServer) -> None:
        try:
            self._transport.send_server(output)
        except OSError as error:
            self._send_failed("dhcp-request-not-sent", error)

    def _send_failed(self, event: str, error: OSError) -> None:
        self.send_errors[event] += 1
        if self._may_log(event):
            log.warning(
                event, group=self.relay.config.group_id, why=error.strerror, count=self.send_errors[event]
            )

    def _log_drop(self, dropped: Dropped) -> None:
        if self._may_log(dropped.reason):
            log.warning(
                "dhcp-packet-dropped",
                group=self.relay.config.group_id,
                reason=dropped.reason,
                detail=dropped.detail,
                count=self.relay.drops[dropped.reason],
            )

    def _may_log(self, subject: str) -> bool:
        """Say each thing once in ten seconds at most: whoever floods the relay must not flood the log."""
        now = self._now()
        if now - self._logged_at.get(subject, -_LOG_EVERY) < _LOG_EVERY:
            return False
        self._logged_at[subject] = now
        return True
