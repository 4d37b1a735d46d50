"""Requests that a server has not answered yet: few, short-lived, and never more than a limit."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address

from router.dhcp.values import ClientSource

TransactionKey = tuple[int, bytes]
"""(xid, chaddr)."""


@dataclass(slots=True)
class Transaction:
    """What the relay must know of a request when its answer comes. Addresses are numbers, 0 is none."""

    source: ClientSource
    message_type: int
    ciaddr: int
    requested: int  # the address that a REQUEST is about
    broadcast: bool
    downstream: int  # giaddr of the relay that sent it
    client_id: bytes
    client_option_82: bytes | None
    option_82: bytes
    asked: int  # how many servers
    since: float
    refused: int = 0  # how many of them said NAK
    offers: tuple[tuple[int, IPv4Address], ...] = ()  # (offered address, server)


class Transactions:
    """Transactions by (xid, chaddr), oldest first."""

    def __init__(self, limit: int, timeout: float) -> None:
        self._limit = limit
        self._timeout = timeout
        self._held: OrderedDict[TransactionKey, Transaction] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: TransactionKey) -> Transaction | None:
        """Return the open transaction, or None."""
        return self._held.get(key)

    def put(self, key: TransactionKey, transaction: Transaction) -> bool:
        """Open a transaction, or replace it by its retransmission; say whether the oldest had to go."""
        self._held.pop(key, None)
        full = len(self._held) >= self._limit
        if full:
            self._held.popitem(last=False)
        self._held[key] = transaction
        return full

    def close(self, key: TransactionKey) -> None:
        """Forget a transaction that has its final answer."""
        self._held.pop(key, None)

    def expire(self, now: float) -> int:
        """Forget those that waited too long; return how many."""
        count = 0
        while self._held and next(iter(self._held.values())).since + self._timeout <= now:
            self._held.popitem(last=False)
            count += 1
        return count

    def next_deadline(self) -> float | None:
        """Return when the oldest has waited too long."""
        return next(iter(self._held.values())).since + self._timeout if self._held else None
