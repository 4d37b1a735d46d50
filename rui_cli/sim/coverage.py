"""Which (state, event) pairs of the state tables a simulation has been through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any

from rui.backup.decision import Path

MACHINES = ("rui.backup.source", "rui.backup.links", "rui.backup.mastership", "rui.vrrp.states")
"""Modules with a table ``TRANSITIONS`` and the pairs that change nothing, ``IGNORED``."""
_READERS = {"rui.vrrp.states": "rui.vrrp.fsm"}
"""Modules that have imported another's table by name, and look into it."""

Pair = tuple[Any, Any]


class Coverage:
    """The pairs seen, by machine; paths are pairs of one path and the next."""

    def __init__(self) -> None:
        self.seen: dict[str, set[str]] = {}

    def saw(self, machine: str, state: object, event: object) -> None:
        """A machine in a state has met an event."""
        self.seen.setdefault(machine, set()).add(_pair((state, event)))

    def path(self, previous: Path, path: Path) -> None:
        """The path of a group has changed."""
        self.saw("paths", previous, path)

    def add(self, other: Mapping[str, Iterator[str] | set[str] | list[str]]) -> None:
        """Take what another process has seen."""
        for machine, pairs in other.items():
            self.seen.setdefault(machine, set()).update(pairs)

    def report(self) -> dict[str, object]:
        """Return, for each machine, its pairs, and which of its transitions were never seen."""
        found: dict[str, object] = {}
        for name in MACHINES:
            table, ignored = _tables(import_module(name))
            transitions = {_pair(pair) for pair in table}
            seen = self.seen.get(name, set())
            found[name] = {
                "pairs": len(table) + len(ignored),
                "seen": len(seen),
                "transitions": len(seen & transitions),
                "of": len(transitions),
                "missing": sorted(transitions - seen),
            }
        for name in sorted(set(self.seen) - set(MACHINES)):
            found[name] = {"seen": len(self.seen[name]), "which": sorted(self.seen[name])}
        return found

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note what the tables are asked for meanwhile."""
        modules = [import_module(_READERS.get(name, name)) for name in MACHINES]
        tables = [_tables(import_module(name))[0] for name in MACHINES]
        for name, module, table in zip(MACHINES, modules, tables, strict=True):
            module.TRANSITIONS = _Watched(name, table, self)  # type: ignore[attr-defined]
        try:
            yield
        finally:
            for module, table in zip(modules, tables, strict=True):
                module.TRANSITIONS = table  # type: ignore[attr-defined]


class _Watched(dict[Pair, Any]):
    """A transition table that notes each look-up."""

    def __init__(self, machine: str, table: Mapping[Pair, Any], coverage: Coverage) -> None:
        super().__init__(table)
        self._pairs: set[Pair] = set()
        self._machine = machine
        self._coverage = coverage

    def get(self, pair: Pair, default: Any = None) -> Any:
        if pair not in self._pairs:
            self._pairs.add(pair)
            self._coverage.saw(self._machine, *pair)
        return super().get(pair, default)


def _tables(module: ModuleType) -> tuple[Mapping[Pair, Any], frozenset[Pair]]:
    return module.TRANSITIONS, module.IGNORED


def _pair(pair: Pair) -> str:
    return f"{_word(pair[0])}/{_word(pair[1])}"


def _word(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    return value.__name__ if isinstance(value, type) else str(value)
