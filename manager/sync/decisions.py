"""The decisions of transactions under way, on disk: what a manager that starts again has to finish."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

log = structlog.get_logger()

_SUFFIX = ".json"


@dataclass(frozen=True)
class Decision:
    """One transaction: its id, group and devices; `decided` once all have committed and none may go back."""

    id: str
    group: str
    devices: tuple[str, ...]
    decided: bool


class Decisions:
    """Keeps the decisions below one folder, one file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, decision: Decision) -> None:
        """Have a decision outlast a crash. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._folder, suffix=".new")
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(asdict(decision), out)
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(self._folder / f"{decision.id}{_SUFFIX}")
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def forget(self, decision: Decision) -> None:
        """Forget one that is carried out."""
        (self._folder / f"{decision.id}{_SUFFIX}").unlink(missing_ok=True)

    def pending(self) -> list[Decision]:
        """What is left to finish; files that cannot be read are logged and left out."""
        found = []
        for file in sorted(self._folder.glob(f"*{_SUFFIX}")):
            try:
                facts = json.loads(file.read_text(encoding="utf-8"))
                found.append(Decision(facts["id"], facts["group"], tuple(facts["devices"]), facts["decided"]))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.error("sync-decision-unreadable", file=str(file), reason=str(error))
        return found
