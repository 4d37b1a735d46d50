"""Global locks of datastores (RFC 6241 7.5, 7.6): who holds them, and what they forbid to others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rui.netconf.errors import RpcError


@dataclass(frozen=True)
class Lock:
    """A lock that is held: by which session and since when."""

    session: int
    since: datetime


class Locks:
    """The locks of one server by datastore name."""

    def __init__(self) -> None:
        self._held: dict[str, Lock] = {}

    def holder(self, datastore: str) -> Lock | None:
        """The lock on this datastore, if any."""
        return self._held.get(datastore)

    def acquire(self, datastore: str, session: int, now: datetime) -> None:
        """Take the lock. Raises RpcError `lock-denied` with the holder, which may be this session."""
        held = self._held.get(datastore)
        if held is not None:
            whose = "this session" if held.session == session else f"session {held.session}"
            raise RpcError.lock_denied(held.session, f"{datastore} is locked by {whose} already")
        self._held[datastore] = Lock(session, now)

    def release(self, datastore: str, session: int) -> None:
        """Give the lock back. Raises RpcError `operation-failed` when this session does not hold it."""
        held = self._held.get(datastore)
        if held is None:
            raise RpcError.operation_failed(f"{datastore} is not locked; there is nothing to unlock")
        if held.session != session:
            raise RpcError.operation_failed(
                f"{datastore} is locked by session {held.session}; only that one may unlock it"
            )
        del self._held[datastore]

    def release_all(self, session: int) -> list[str]:
        """Give back what a session that ended holds; return the datastores."""
        mine = [name for name, lock in self._held.items() if lock.session == session]
        for name in mine:
            del self._held[name]
        return mine

    def check_write(self, datastore: str, session: int | None) -> None:
        """Refuse a change while another session holds the lock. Raises RpcError `in-use`."""
        held = self._held.get(datastore)
        if held is not None and held.session != session:
            raise RpcError.in_use(f"{datastore} is locked by session {held.session}; wait until it unlocks")
