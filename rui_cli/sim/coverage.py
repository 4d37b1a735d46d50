"""Which (state, event) pairs of the state tables a simulation has been through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any

from rui.backup.decision import Path

MACHINES = ("rui.backup.source", "rui.backup.links")
"""Modules with a table ``TRANSITIONS`` and the pairs that change nothing, ``IGNORED``."""

Pair = tuple[Any, Any]


class Coverage:
    """The pairs seen, by machine; paths are pairs of one path and the next."""

    def __init__(self) -> None:
        self.seen: dict[str, set[str]] = {}

    def saw(self, machine: str, state: object, event: object) -> None:
        """A machine in a state has met an event."""
        self.seen.setdefault(machine, set()).add(f"{_word(state)}/{_word(event)}")

    def path(self, previous: Path, path: Path) -> None:
        """The path of a group has changed."""
        self.saw("paths", previous, path)

    def add(self, other: Mapping[str, Iterator[str] | set[str] | list[str]]) -> None:
        """Take what another process has seen."""
        for machine, pairs in other.items():
            self.seen.setdefault(machine, set()).update(pairs)

    def report(self) -> dict[str, object]:
        """Return, for each machine, how many pairs there are and were seen, and which were not."""
        found: dict[str, object] = {}
        for name in MACHINES:
            table, ignored = _tables(import_module(name))
            pairs = {f"{_word(state)}/{_word(event)}" for state, event in (*table, *ignored)}
            seen = self.seen.get(name, set())
            found[name] = {"pairs": len(pairs), "seen": len(seen), "missing": sorted(pairs - seen)}
        for name in sorted(set(self.seen) - set(MACHINES)):
            found[name] = {"seen": len(self.seen[name]), "which": sorted(self.seen[name])}
        return found

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note what the tables are asked for meanwhile."""
        modules = [import_module(name) for name in MACHINES]
        tables = [_tables(module)[0] for module in modules]
        for module, table in zip(modules, tables, strict=True):
            module.TRANSITIONS = _Watched(module.__name__, table, self)  # type: ignore[attr-defined]
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


def _word(value: object) -> str:
    return str(value.value) if isinstance(value, Enum) else str(value)
