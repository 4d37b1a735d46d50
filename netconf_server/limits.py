"""Every bound of the server in one place: what it waits for, buffers and lets in."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from rui.schema.leaves import seconds, text


@dataclass(frozen=True)
class Limits:
    """Bounds of one server; times in seconds, sizes in bytes.

    `max_message_size` is handed to the session core, which checks it while the message still arrives, so an
    oversized message is never held whole. Elements nest 256 deep at most.
    """

    max_sessions: int = 256
    """NETCONF sessions at once, all users together."""
    max_sessions_per_user: int | None = None
    """Sessions of one user at once; None means as many as there are."""
    max_sessions_per_source: int | None = None
    """Sessions from one address (IPv6: one /64) at once; None means as many as there are."""
    max_pending_logins: int = 32
    """Connections that have not finished authentication."""
    max_pending_per_source: int = 16
    """Those of them from one address."""
    failed_logins: int = 30
    """Logins from one address that may fail in a minute; then connections from there are turned away."""
    login_timeout: float = 30.0
    """From the TCP connection to the end of authentication."""
    login_attempts: int = 3
    """Failed passwords on one connection before it is closed."""
    key_attempts: int = 10
    """Public keys that may be refused on one connection before it is closed."""
    hello_timeout: float = 30.0
    """From the login to the start of the subsystem, and from there to the client's <hello>."""
    idle_timeout: float | None = None
    """Silence after which a session without subscription and running rpc is closed; None means never."""
    probe_interval: float = 15.0
    """TCP keepalive: silence after which the system asks the client's; 0 switches it off."""
    keepalive_interval: float = 60.0
    """SSH keepalive: silence before the client itself is asked whether it lives; 0 switches it off."""
    keepalive_count: int = 3
    """Unanswered ones of either kind after which the session is closed."""
    stall_timeout: float = 60.0
    """How long a client may take nothing of what is sent to it."""
    max_message_size: int = 64 * 1024 * 1024
    """One message from a client."""
    max_queued_rpcs: int = 64
    """Pipelined rpcs of one session that wait; beyond it nothing more is read from that session."""
    max_queued_bytes: int = 8 * 1024 * 1024
    """The same bound in bytes of rpcs that wait."""
    send_buffer: int = 16 * 1024 * 1024
    """Notifications waiting for one session; a subscriber that falls further behind is closed."""
    channel_buffer: int = 256 * 1024
    """Bytes handed to SSH and not yet on the wire before the sender pauses."""


def read_limits(limits: etree._Element) -> Limits:
    """Read a checked `limits` container, whose defaults are filled in."""
    return Limits(
        max_sessions=int(text(limits, "max-sessions")),
        max_sessions_per_user=int(text(limits, "max-sessions-per-user")),
        max_sessions_per_source=int(text(limits, "max-sessions-per-source")),
        max_pending_logins=int(text(limits, "max-pending-logins")),
        max_pending_per_source=int(text(limits, "max-pending-logins-per-source")),
        failed_logins=int(text(limits, "failed-logins")),
        login_timeout=seconds(limits, "login-timeout"),
        login_attempts=int(text(limits, "login-attempts")),
        key_attempts=int(text(limits, "key-attempts")),
        hello_timeout=seconds(limits, "hello-timeout"),
        idle_timeout=float(text(limits, "idle-timeout")) or None,
        max_message_size=int(text(limits, "max-message-size")),
    )
