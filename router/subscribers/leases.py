"""The group's table as the DHCP relay sees it, and a lease as a record: no second table of users."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from ipaddress import AddressValueError, IPv4Address

from router.dhcp.values import HeldLease, LeaseFacts
from rui.backup.record import UserInfo, seconds
from rui.backup.sharing import Users
from rui.backup.table import Table

# The leaves are read as UserInfo.encode writes them, without prefix.
_ADDRESS = re.compile(rb"<ipv4-address>([^<]*)<")
_SERVER = re.compile(rb"<dhcp-server>([^<]*)<")
_EXPIRY = re.compile(rb"<lease-expiry>([^<]*)<")
_LEASE_TIME = re.compile(rb"<lease-time>([^<]*)<")
_ONLINE_SINCE = re.compile(rb"<online-since>([^<]*)<")


class Leases:
    """A :class:`router.dhcp.values.LeaseTable` over a group's table.

    ``offset`` gives seconds since 1970 less the loop's monotonic seconds, now: records hold wall-clock
    times, the relay counts monotonically.
    """

    def __init__(self, table: Users | Table, offset: Callable[[], float]) -> None:
        self._table = table
        self._offset = offset

    def __len__(self) -> int:
        return len(self._table)

    def lease(self, key: bytes) -> HeldLease | None:
        """Return what is held of a user who is online, None of any other or of one without IPv4 address."""
        record = self._record(key)
        if record is None:
            return None
        address, server = _text(_ADDRESS, record), _text(_SERVER, record)
        try:
            return HeldLease(
                IPv4Address(address), self._expiry(record), IPv4Address(server) if server else None
            )
        except AddressValueError:
            return None

    def online_since(self, key: bytes) -> float | None:
        """Return since when a user is online, in seconds since 1970; None if it is not known."""
        record = self._record(key)
        return None if record is None else _seconds(_ONLINE_SINCE, record)

    def all(self) -> Iterator[tuple[bytes, float]]:
        """Yield every user's key with the monotonic second at which the lease ends."""
        for key in self._table.live_keys():
            record = self._record(key)
            if record is not None:
                yield key, self._expiry(record)

    def longest_renewal(self) -> float:
        """Return after how many seconds the last user has renewed: half of its lease (RFC 2131 4.4.5)."""
        longest = 0
        for key in self._table.live_keys():
            record = self._record(key)
            term = "" if record is None else _text(_LEASE_TIME, record)
            if term.isdigit():
                longest = max(longest, int(term))
        return longest / 2

    def record_of(self, facts: LeaseFacts, online_since: float | None) -> bytes:
        """Return the record of a lease; ``online_since`` None means since the lease's start."""
        offset = self._offset()
        lasting = not math.isinf(facts.expiry)
        return UserInfo(
            mac_address=facts.mac,
            outer_vlan=facts.outer_vlan,
            inner_vlan=facts.inner_vlan,
            ipv4_address=str(facts.ipv4),
            address_pool=facts.pool,
            dhcp_server=str(facts.server),
            lease_start=facts.start + offset,
            lease_time=facts.lease_time,
            lease_expiry=facts.expiry + offset if lasting else None,
            client_id=facts.client_id,
            option_82=facts.option_82,
            circuit_id=facts.circuit_id,
            remote_id=facts.remote_id,
            logical_port=facts.logical_port,
            online_since=facts.start + offset if online_since is None else online_since,
        ).encode()

    def _record(self, key: bytes) -> bytes | None:
        change = self._table.get(key)
        return None if change is None else change.record

    def _expiry(self, record: bytes) -> float:
        at = _seconds(_EXPIRY, record)
        return math.inf if at is None else at - self._offset()


def _text(pattern: re.Pattern[bytes], record: bytes) -> str:
    match = pattern.search(record)
    return match[1].decode() if match else ""


def _seconds(pattern: re.Pattern[bytes], record: bytes) -> float | None:
    try:
        return seconds(_text(pattern, record))
    except ValueError:
        return None
