from __future__ import annotations

from dataclasses import replace

from manager.history import IdentityHistory
from rui.backup.identity import Role, StorageEntry
from rui.backup.version import Epoch

ENTRY = StorageEntry("g1", "bras-a", "192.0.2.1", Role.PRIMARY, Epoch(1, "bras-a"), "primary", 10.0)


def later(counter: int, device: str = "bras-a") -> StorageEntry:
    return replace(ENTRY, device=device, epoch=Epoch(counter, device), since=10.0 + counter)


def test_only_what_changed_is_noted_and_the_oldest_goes() -> None:
    history = IdentityHistory()
    for entry in (ENTRY, ENTRY, later(2), later(3, "bras-b"), later(2), later(3, "bras-b"), later(4)):
        history.note(entry, 3)
    assert [(item.index, item.entry.epoch.counter) for item in history.entries] == [(2, 2), (3, 3), (4, 4)]


def test_it_begins_with_what_the_store_held() -> None:
    history = IdentityHistory([later(5, "bras-b"), later(1)])
    assert [item.entry.device for item in history.entries] == ["bras-a", "bras-b"]
    history.note(later(1), 64)
    assert len(history.entries) == 2
