"""docs/messages.md lists every log event that the sources can write, and no other."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
ROOMS = ("rui", "netconf_client", "netconf_server", "netconf_cli", "router", "manager", "rui_cli")
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
LOGS = frozenset({"log", "_log"})
# The core writes no log: what it reports is an event of the manager's, which logs it under that name
REPORTS = frozenset({"Report"})
EVENT = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


class Module:
    """The events of one module: constants that reach a log call, also by way of its own functions."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        # Functions that hand one of their arguments on to a log call: name to position, without self
        self._sinks: dict[str, int] = {}
        self.unresolved: list[int] = []

    def events(self) -> set[str]:
        """Go through the functions until no further one is found to hand an event on."""
        while True:
            known = dict(self._sinks)
            self.unresolved = []
            found = {event for function in self._functions() for event in self._of(function)}
            if known == self._sinks:
                return found

    def _functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def _of(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
        aliases = {
            target.id
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and any(map(_is_log, ast.walk(node.value)))
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                position = self._position(node.func, aliases)
                if position is not None and len(node.args) > position:
                    yield from self._texts(node.args[position], function)

    def _position(self, called: ast.expr, aliases: set[str]) -> int | None:
        """Which argument of a call is an event."""
        if _is_log(called):
            return 0
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name in REPORTS or (isinstance(called, ast.Name) and name in aliases):
            return 0
        return self._sinks.get(name)

    def _texts(self, value: ast.expr, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value
        elif isinstance(value, ast.IfExp):
            yield from self._texts(value.body, function)
            yield from self._texts(value.orelse, function)
        elif isinstance(value, ast.Name):
            yield from self._named(value, function)
        else:
            self.unresolved.append(value.lineno)

    def _named(self, value: ast.Name, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
        parameters = [argument.arg for argument in function.args.args if argument.arg != "self"]
        if value.id in parameters:
            self._sinks[function.name] = parameters.index(value.id)
            return
        assigned = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == value.id for target in node.targets)
        ]
        for expression in assigned:
            yield from self._texts(expression, function)
        if not assigned:
            self.unresolved.append(value.lineno)


def _is_log(node: ast.AST) -> bool:
    """Whether it is `log.info` or the like."""
    if not isinstance(node, ast.Attribute) or node.attr not in LEVELS:
        return False
    owner = node.value
    return (owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")) in LOGS


@functools.cache
def scanned() -> dict[str, tuple[set[str], bool]]:
    """By file: the events that it writes, and whether there are some that the scan cannot see."""
    found = {}
    for room in ROOMS:
        for path in sorted((HOUSE / room).rglob("*.py")):
            text = path.read_text()
            if "structlog" in text or any(f"{name}(" in text for name in REPORTS):
                module = Module(ast.parse(text))
                found[str(path.relative_to(HOUSE))] = (module.events(), bool(module.unresolved))
    return found


def written() -> dict[str, set[str]]:
    """Every event, and the files that write it."""
    found: dict[str, set[str]] = {}
    for file, (events, _) in scanned().items():
        for event in events:
            found.setdefault(event, set()).add(file)
    return found


def test_no_event_is_made_where_the_scan_cannot_see_it() -> None:
    # The manager logs what the core has reported: the names stand where the reports are made
    unseen = {file for file, (_, partly) in scanned().items() if partly}
    assert unseen == {"manager/service.py"}


def listed() -> list[tuple[str, str, str]]:
    return ROW.findall((HOUSE / "docs/messages.md").read_text())


def test_every_event_is_listed_and_every_listed_one_is_written() -> None:
    events = written()
    rows = [row[0] for row in listed()]
    missing = {event: sorted(files) for event, files in events.items() if event not in rows}
    assert not missing, "add to docs/messages.md what it means and what to do"
    assert sorted(set(rows) - events.keys()) == [], "nothing writes these any more"
    assert len(rows) == len(set(rows))


def test_events_are_named_in_kebab_case_and_explained() -> None:
    assert not [event for event in written() if EVENT.fullmatch(event) is None]
    assert not [event for event, means, do in listed() if not means.strip() or not do.strip()]
    assert len(listed()) > 100


@pytest.mark.parametrize(
    ("source", "events"),
    [
        ("def f():\n    log.info('a-b', x=1)", {"a-b"}),
        ("def f(x):\n    log.info('a' if x else 'b')", {"a", "b"}),
        ("def f(x):\n    e = 'a' if x else 'b'\n    log.warning(e)", {"a", "b"}),
        ("def f(x):\n    tell = log.info if x else log.error\n    tell('a')", {"a"}),
        (
            "def g(self, e, n):\n    log.info(e)\ndef f(self):\n    self.g('a', 1)\n    self.g('b', 2)",
            {"a", "b"},
        ),
        ("def f(x):\n    return Report('a', x)", {"a"}),
        ("def f(x):\n    math.log('a')", set()),
    ],
)
def test_the_scan_sees_what_is_written(source: str, events: set[str]) -> None:
    assert Module(ast.parse(source)).events() == events
