"""The cloud's decision on an identity notification as a table (S402, S403)."""

from __future__ import annotations

import pytest

from rui.backup.identity import IdentityNotification, Role, StorageEntry, admit, may_upload
from rui.backup.messages import Position
from rui.backup.version import NO_EPOCH, Epoch
from tests.unit.backup.histories import GROUP


def entry(device: str, role: Role, counter: int) -> StorageEntry:
    return StorageEntry(GROUP, device, "192.0.2.9", role, Epoch(counter, device), "recorded before", 0.0)


def claim(device: str, epoch: Epoch, role: Role = Role.PRIMARY) -> IdentityNotification:
    return IdentityNotification(GROUP, device, "192.0.2.1", role, epoch, Position())


CASES = {
    "the first primary": (NO_EPOCH, claim("bras-a", Epoch(1, "bras-a")), True, True),
    "the same session again": (Epoch(1, "bras-a"), claim("bras-a", Epoch(1, "bras-a")), True, False),
    "a restarted primary": (Epoch(1, "bras-a"), claim("bras-a", Epoch(2, "bras-a")), True, True),
    "a new primary": (Epoch(2, "bras-a"), claim("bras-b", Epoch(3, "bras-b")), True, True),
    "an older epoch": (Epoch(3, "bras-b"), claim("bras-a", Epoch(2, "bras-a")), False, False),
    "the lower of two equal counters": (
        Epoch(3, "bras-b"),
        claim("bras-a", Epoch(3, "bras-a")),
        False,
        False,
    ),
    "another device's epoch": (NO_EPOCH, claim("bras-a", Epoch(9, "bras-b")), False, False),
    "a secondary": (Epoch(3, "bras-b"), claim("bras-a", Epoch(2, "bras-a"), Role.SECONDARY), True, False),
    "an empty secondary": (
        Epoch(3, "bras-b"),
        claim("bras-a", NO_EPOCH, Role.SECONDARY),
        True,
        False,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_admission(case: str) -> None:
    writer, notification, accepted, claims = CASES[case]
    admission = admit({}, Position(writer=writer), notification)
    assert (admission.accepted, admission.claims) == (accepted, claims)
    assert admission.reason


def test_a_refusal_names_the_epoch_to_outbid() -> None:
    admission = admit({}, Position(writer=Epoch(3, "bras-b")), claim("bras-a", Epoch(2, "bras-a")))
    assert "superseded by 3@bras-b" in admission.reason


def test_a_takeover_says_whom_it_supersedes() -> None:
    entries = {"bras-a": entry("bras-a", Role.PRIMARY, 2)}
    admission = admit(entries, Position(writer=Epoch(2, "bras-a")), claim("bras-b", Epoch(3, "bras-b")))
    assert admission.reason == "supersedes bras-a of 2@bras-a"


def test_only_a_recorded_primary_may_upload() -> None:
    assert may_upload(entry("bras-a", Role.PRIMARY, 1)) == ""
    assert "secondary" in may_upload(entry("bras-b", Role.SECONDARY, 1))
    assert "no identity notification" in may_upload(None)
