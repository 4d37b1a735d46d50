"""The DHCP source: what the relay learns becomes records, and logins are answered once those are safe."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from ipaddress import IPv4Address

import structlog

from router.config import DhcpSource
from router.dhcp.relay import Relay
from router.dhcp.shell import RelayShell, SubscriberEvent
from router.dhcp.transport import UdpPorts, choose_transport
from router.dhcp.values import SubscriberOffline, SubscriberOnline, SubscriberRenewed
from router.group import Group
from router.subscribers.leases import Leases
from rui.backup.member_outputs import JournalFullError, NotPrimaryError

log = structlog.get_logger(__name__)

_OWED_PAUSE = 1.0


class DhcpSubscribers:
    """Drives one group by its relay, while this router is its primary.

    ``drops`` counts what could not be taken: a login that is turned away stays unanswered, so the client asks
    again.
    """

    def __init__(self, group: Group, source: DhcpSource) -> None:
        self.drops: Counter[str] = Counter()
        self._group = group
        self._source = source
        # Taken once: a step of the wall clock must neither end a lease early nor keep one alive.
        offset = _offset()
        self._leases = Leases(group.member.users, lambda: offset)
        ports = UdpPorts(listen=source.listen.port, client=source.client_port, server=source.server_port)
        transport = choose_transport(source.relay, IPv4Address(source.listen.address), ports)
        self.shell = RelayShell(Relay(source.relay, self._leases), transport, self._take)
        self._owed: dict[bytes, str] = {}
        self._owed_timer: asyncio.TimerHandle | None = None
        self._running = False

    async def start(self) -> None:
        """Begin; a secondary relays nothing and expires nobody. Raises TransportError.

        Beside the primary only those leases run out that are given from now on: the others' renewals may
        go to the primary, which ends them.
        """
        member = self._group.member
        if not member.takes:
            return
        hold = float("-inf")
        previous = self._group.previous_writer.device
        if previous not in ("", member.device):
            # Renewals may have gone to the old primary until just now
            hold = asyncio.get_running_loop().time() + self._leases.longest_renewal()
        self.shell.relay.adopt(self._leases.all() if member.serving else (), hold)
        await self.shell.start()
        self._running = True

    async def close(self) -> None:
        """End."""
        if self._owed_timer is not None:
            self._owed_timer.cancel()
        if self._running:
            self._running = False
            await self.shell.close()

    def _take(self, event: SubscriberEvent) -> None:
        match event:
            case SubscriberOnline() | SubscriberRenewed():
                self._online(event)
            case SubscriberOffline():
                self._offline(event.key, event.reason)

    def _online(self, event: SubscriberOnline | SubscriberRenewed) -> None:
        self._owed.pop(event.key, None)
        renewed = isinstance(event, SubscriberRenewed)
        since = self._leases.online_since(event.key) if renewed else None
        record = self._leases.record_of(event.facts, since)
        try:
            self._group.put(event.key, record, lambda: self.shell.send_reply(event.reply))
        except (JournalFullError, NotPrimaryError) as error:
            # The client asks again: this router, or the one that has become primary
            self._dropped("login-refused", str(error))
            return
        if not renewed:
            log.info(
                "user-online", group=self._group.config.id, key=event.key.decode(), ip=str(event.facts.ipv4)
            )

    def _offline(self, key: bytes, reason: str) -> None:
        try:
            gone = self._group.delete(key)
        except JournalFullError as error:
            # The client will not say it twice, and the relay has forgotten the lease: it stays owed
            self._dropped("logoff-delayed", str(error))
            self._owed[key] = reason
            self._arm_owed()
            return
        except NotPrimaryError as error:
            # The role went a moment ago; at the new primary the lease runs out
            self._dropped("logoff-dropped", str(error))
            return
        if gone is not None:
            log.info("user-offline", group=self._group.config.id, key=key.decode(), reason=reason)

    def _arm_owed(self) -> None:
        if self._owed_timer is None:
            self._owed_timer = asyncio.get_running_loop().call_later(_OWED_PAUSE, self._pay)

    def _pay(self) -> None:
        self._owed_timer = None
        owed, self._owed = self._owed, {}
        for key, reason in owed.items():
            self._offline(key, reason)

    def _dropped(self, what: str, reason: str) -> None:
        self.drops[what] += 1
        if self.drops[what].bit_count() == 1:
            # At 1, 2, 4, 8, …: a full disk must not be filled with lines about it
            log.error(what, group=self._group.config.id, count=self.drops[what], reason=reason)


def _offset() -> float:
    return time.time() - asyncio.get_running_loop().time()
