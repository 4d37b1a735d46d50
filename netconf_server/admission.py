"""Who is let in at all: how many connections and sessions, in all, of one user and from one source, and how
often a source may fail to log in.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network

from netconf_server.call import SessionInfo
from netconf_server.limits import Limits

# Sources whose failures are remembered; the one that failed longest ago is forgotten first.
_SOURCES = 4096


def source_of(host: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 one, of which anybody has many."""
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address, 64), strict=False))
    return str(address)


class Admission:
    """The counts behind the limits. Times are monotonic seconds, handed in."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pending: Counter[str] = Counter()
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()

    # --- before the login

    def connect(self, source: str, now: float) -> str | None:
        """Take a connection in, or say why it is turned away; `leave` it once it is logged in or gone."""
        if self._pending.total() >= self._limits.max_pending_logins:
            return "too many connections are logging in"
        if self._pending[source] >= self._limits.max_pending_per_source:
            return "too many connections from there are logging in"
        if self._failed(source, now) > self._limits.failed_logins - 1:
            return "too many logins from there have failed; it has to wait"
        self._pending[source] += 1
        return None

    def leave(self, source: str) -> None:
        """Take note that a connection is no longer logging in."""
        self._pending[source] -= 1
        if self._pending[source] <= 0:
            del self._pending[source]

    def failed(self, source: str, now: float) -> None:
        """Take note of a login that failed."""
        self._failures[source] = (self._failed(source, now) + 1, now)
        self._failures.move_to_end(source)
        if len(self._failures) > _SOURCES:
            self._failures.popitem(last=False)

    def _failed(self, source: str, now: float) -> float:
        """The failures that count still: they fade, so many a minute."""
        count, at = self._failures.get(source, (0.0, now))
        return max(0.0, count - (now - at) * self._limits.failed_logins / 60)

    # --- after it

    def refuses(self, user: str, source: str, sessions: Iterable[SessionInfo]) -> str | None:
        """Say why no further session is opened for this user from there, None if one may be."""
        total = of_user = from_source = 0
        for info in sessions:
            total += 1
            of_user += info.user == user
            from_source += source_of(info.peer.rpartition(":")[0]) == source
        limits = self._limits
        if total >= limits.max_sessions:
            return f"{total} sessions are open"
        if limits.max_sessions_per_user is not None and of_user >= limits.max_sessions_per_user:
            return f"{of_user} sessions of {user} are open"
        if limits.max_sessions_per_source is not None and from_source >= limits.max_sessions_per_source:
            return f"{from_source} sessions from {source} are open"
        return None
