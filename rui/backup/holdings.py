"""What a router holds of a group, and what anybody may know of that."""

from __future__ import annotations

from collections.abc import Mapping

from rui.backup.digest import Digest, combine
from rui.backup.messages import Position, Quarantined
from rui.backup.origins import Origins
from rui.backup.table import Table

STORE_ID = "store-id"
"""The fact that names the cloud's store."""


class Holdings:
    """A table, how far it has come and of which history, and what else its journal keeps."""

    def __init__(
        self,
        table: Table | None = None,
        position: Position | None = None,
        facts: Mapping[str, str] | None = None,
        origins: Origins | None = None,
    ) -> None:
        self.table = table if table is not None else Table()
        self.position = position or Position()
        self.facts = dict(facts or {})
        self.origins = origins if origins is not None else Origins()
        self.durable = self.position.live
        """All changes up to here are on this device's disk."""
        self.quarantined: dict[bytes, Quarantined] = {}

    def digest(self) -> Digest:
        """Return the digest of what this device holds now."""
        held, aside = len(self.table), len(self.quarantined)
        return Digest(self.position.live, held, aside, combine(self.table.buckets))
