"""What operators read of the manager fits the model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from manager.config import MODULES
from manager.history import IdentityHistory
from manager.service import Service
from manager.state import Identities
from netconf_server import load_schema
from rui.backup.cloud import Cloud
from rui.backup.identity import Role, StorageEntry
from rui.backup.version import Epoch
from rui.backup.wire import IDENTITY


def entry(device: str, role: Role, counter: int) -> StorageEntry:
    return StorageEntry("g1", device, "192.0.2.1", role, Epoch(counter, device), role.value, 10.0 + counter)


def test_identities_and_their_history() -> None:
    entries = [entry("bras-a", Role.PRIMARY, 1), entry("bras-b", Role.SECONDARY, 1)]
    history = IdentityHistory(entries)
    history.note(entry("bras-a", Role.PRIMARY, 2), 64)
    group = SimpleNamespace(name="g1", cloud=Cloud("g1", "store-1", entries=entries))
    service = SimpleNamespace(groups={"g1": group}, histories={"g1": history})
    tree = Identities(cast("Service", service)).read()
    load_schema(MODULES).check_operational(tree)

    def leaves(name: str) -> list[str | None]:
        return [
            leaf.text
            for leaf in tree.iterfind(f"{{{IDENTITY}}}group/{{{IDENTITY}}}history/{{{IDENTITY}}}{name}")
        ]

    assert leaves("index") == ["3", "2", "1"]
    assert leaves("epoch")[0] == "2@bras-a"
    assert leaves("step") == ["S403"] * 3
