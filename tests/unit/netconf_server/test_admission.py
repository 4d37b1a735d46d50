"""How many are let in, and how often a source may fail."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from netconf_server.admission import Admission, source_of
from netconf_server.call import SessionInfo
from netconf_server.limits import Limits

A, B = "192.0.2.1", "192.0.2.2"


def test_connections_that_log_in_are_bounded_in_all_and_by_source() -> None:
    admission = Admission(Limits(max_pending_logins=3, max_pending_per_source=2))
    assert admission.connect(A, 0.0) is None
    assert admission.connect(A, 0.0) is None
    assert admission.connect(A, 0.0) == "too many connections from there are logging in"
    assert admission.connect(B, 0.0) is None
    assert admission.connect(B, 0.0) == "too many connections are logging in"
    admission.leave(A)
    assert admission.connect(A, 0.0) is None


def test_a_source_that_fails_too_often_waits() -> None:
    admission = Admission(Limits(failed_logins=6))
    for _ in range(6):
        assert admission.connect(A, 0.0) is None
        admission.leave(A)
        admission.failed(A, 0.0)
    assert "has to wait" in (admission.connect(A, 9.0) or "")
    assert admission.connect(B, 9.0) is None
    assert admission.connect(A, 10.0) is None  # six a minute: one is forgotten in ten seconds


def test_sources_are_forgotten_where_there_are_too_many() -> None:
    admission = Admission(Limits(failed_logins=1))
    admission.failed(A, 0.0)
    assert admission.connect(A, 0.0) is not None
    for number in range(4096):
        admission.failed(f"source {number}", 0.0)
    assert admission.connect(A, 0.0) is None


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:db8:1:2:3::4]", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("?", "?"),
    ],
)
def test_a_source_is_an_address_or_a_prefix(host: str, source: str) -> None:
    assert source_of(host) == source


def session(user: str, peer: str) -> SessionInfo:
    return SessionInfo(1, user, peer, "netconf-ssh", datetime.now(UTC))


@pytest.mark.parametrize(
    ("user", "source", "reason"),
    [
        ("ann", A, "2 sessions of ann are open"),
        ("bob", A, f"2 sessions from {A} are open"),
        ("bob", B, None),
    ],
)
def test_sessions_are_bounded_by_user_and_source(user: str, source: str, reason: str | None) -> None:
    limits = Limits(max_sessions=4, max_sessions_per_user=2, max_sessions_per_source=2)
    open_ = [session("ann", f"{A}:1"), session("ann", f"{A}:2"), session("eve", f"{B}:3")]
    assert Admission(limits).refuses(user, source, open_) == reason
    assert Admission(limits).refuses("bob", "x", [*open_, open_[0]]) == "4 sessions are open"
