"""The direction of the arrows between the rooms, and what each room may reach outside the house.

yang <- rui <- netconf_client, netconf_server, netconf_cli <- router, manager <- rui_cli

The imports are read from the syntax trees, those inside functions too, so nothing has to be run.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Room:
    """What the modules of one room may import: other rooms, and libraries besides Python's own."""

    rooms: frozenset[str]
    libraries: frozenset[str]


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def room(rooms: str = "", libraries: str = "") -> Room:
    return Room(words(rooms), words(libraries))


NETCONF_CORE = "rui.netconf rui.schema"
ENDS = "rui netconf_client netconf_server netconf_cli"

# The most specific name counts: rui.schema.files is in rui.schema, rui.backup.table in rui.
ROOMS = {
    "rui": room("rui.config rui.netconf rui.schema", "lxml"),
    "rui.netconf": room("", "lxml"),
    "rui.schema": room("rui.netconf", "lxml oopt_gnpy_libyang pcre2 pyang"),
    "rui.config": room("rui.netconf rui.schema", "lxml"),
    "rui.views": room(),
    "netconf_client": room(NETCONF_CORE, "asyncssh lxml ncclient paramiko structlog"),
    "netconf_server": room(NETCONF_CORE, "asyncssh cryptography lxml structlog uvloop"),
    "netconf_cli": room("rui.config rui.netconf rui.schema rui.views", "lxml prompt_toolkit structlog"),
    "router": room(ENDS, "lxml pyroute2 structlog"),
    "manager": room(ENDS, "lxml structlog"),
    "rui_cli": room(f"{ENDS} router manager", "asyncssh lxml rich structlog typer"),
}
TOP_ROOMS = sorted({name.partition(".")[0] for name in ROOMS})
OUTSIDE_THE_HOUSE = words("tests benchmarks lab")

# The pure core gets time and randomness handed in, and leaves moving bytes to the shells.
IMPURE = words(
    "_thread asyncio concurrent fcntl http logging multiprocessing os queue sched secrets select selectors "
    "shutil signal socket socketserver ssl structlog subprocess threading time urllib uuid"
)
FILES = words("glob importlib io pathlib tempfile")
READS_FILES = "rui.schema"  # reads the YANG modules once, at start
IMPURE_NAMES = {
    "random": frozenset({"Random"}),  # a handed-in generator may be named; the module's own one is global
    "datetime": frozenset({"UTC", "date", "datetime", "timedelta", "timezone"}),
}
CLOCK_METHODS = words("now today utcnow")
IMPURE_CALLS = words("input open print")


def sources() -> list[Path]:
    return sorted(path for name in TOP_ROOMS for path in (HOUSE / name).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top_of(module: str) -> str:
    return module.partition(".")[0]


def room_of(module: str) -> str | None:
    parts = module.split(".")
    prefixes = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in ROOMS), None)


def imported(tree: ast.Module, module: str, *, package: bool) -> Iterator[tuple[int, str]]:
    """Yield line and absolute name of every import, `import_module("…")` and `__import__("…")` included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            above = parts[: len(parts) - node.level + package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # "from rui import schema" names the module rui.schema, "from rui.schema import Schema" does too
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.args[0] if node.args else None, ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__"} and isinstance(node.args[0], ast.Constant):
                yield node.lineno, str(node.args[0].value)


def is_library(name: str) -> bool:
    return name not in sys.stdlib_module_names and name not in TOP_ROOMS and name not in OUTSIDE_THE_HOUSE


def import_violations(tree: ast.Module, module: str, *, package: bool) -> Iterator[str]:
    here = room_of(module)
    assert here is not None
    rules = ROOMS[here]
    for line, name in imported(tree, module, package=package):
        top = top_of(name)
        there = room_of(name)
        reachable = {here, *rules.rooms} | {
            r for r in ROOMS if any(r.startswith(f"{x}.") for x in rules.rooms)
        }
        if top in OUTSIDE_THE_HOUSE:
            yield f"{module}:{line}: {here} reaches outside the house: {name}"
        elif there is not None and there not in reachable:
            yield f"{module}:{line}: {here} must not import {there} ({name})"
        elif is_library(top) and top not in rules.libraries:
            yield f"{module}:{line}: {here} must not use the library {top}"


def purity_violations(tree: ast.Module, module: str, *, package: bool) -> Iterator[str]:
    if top_of(module) != "rui":
        return
    may_read = room_of(module) == READS_FILES
    may_call = {"open"} if may_read else set()
    for line, name in imported(tree, module, package=package):
        top, _, rest = name.partition(".")
        if top in IMPURE or (top in FILES and not may_read):
            yield f"{module}:{line}: the pure core must not import {top}"
        if top in IMPURE_NAMES and rest and rest.split(".")[0] not in IMPURE_NAMES[top]:
            yield f"{module}:{line}: the pure core must not use {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = node.value.id
            if owner == "random" and node.attr not in IMPURE_NAMES["random"]:
                yield f"{module}:{node.lineno}: global randomness: {owner}.{node.attr}"
            if owner in {"datetime", "date"} and node.attr in CLOCK_METHODS:
                yield f"{module}:{node.lineno}: a clock: {owner}.{node.attr}"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in IMPURE_CALLS - may_call
        ):
            yield f"{module}:{node.lineno}: the pure core must not call {node.func.id}()"


def violations(source: str, module: str, *, package: bool = False) -> list[str]:
    tree = ast.parse(source)
    return [
        *import_violations(tree, module, package=package),
        *purity_violations(tree, module, package=package),
    ]


def test_every_source_keeps_the_arrows() -> None:
    found = [
        violation
        for path in sources()
        for violation in violations(path.read_text(), module_name(path), package=path.name == "__init__.py")
    ]
    assert not found, "\n".join(found)


def test_every_room_is_looked_at() -> None:
    seen = {room_of(module_name(path)) for path in sources()}
    assert seen == set(ROOMS)
    assert {"router", "manager", "rui_cli"} <= {path.relative_to(HOUSE).parts[0] for path in sources()}


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("rui.backup.table", "import netconf_client", "rui must not import netconf_client"),
        ("rui.netconf.session", "from rui.backup import table", "rui.netconf must not import rui"),
        ("rui.netconf.session", "from ..backup import table", "rui.netconf must not import rui"),
        ("rui.backup.table", "import pyang", "must not use the library pyang"),
        ("rui.backup.table", "def f() -> None:\n    import socket", "must not import socket"),
        ("rui.backup.table", "import asyncio", "must not import asyncio"),
        ("rui.backup.table", "from time import monotonic", "must not import time"),
        ("rui.backup.table", "import os\nos.environ['A']", "must not import os"),
        ("rui.backup.table", "import structlog", "must not import structlog"),
        ("rui.backup.table", "from pathlib import Path", "must not import pathlib"),
        ("rui.backup.table", "open('x')", "must not call open()"),
        ("rui.backup.table", "import random\nx = random.random()", "global randomness: random.random"),
        ("rui.backup.table", "from random import choice", "must not use random.choice"),
        ("rui.backup.table", "from datetime import datetime\ndatetime.now()", "a clock: datetime.now"),
        ("netconf_client.connect", "import netconf_server.server", "must not import netconf_server"),
        ("netconf_server.server", "from netconf_client import connect", "must not import netconf_client"),
        ("netconf_server.server", "from rui.backup.version import Version", "must not import rui"),
        ("netconf_cli.engine", "from netconf_server import RpcCall", "must not import netconf_server"),
        ("netconf_cli.engine", "from rui.backup.version import Version", "must not import rui"),
        ("netconf_server.server", "import paramiko", "must not use the library paramiko"),
        ("router.process", "from manager.store import Store", "router must not import manager"),
        ("router.process", "import asyncssh", "must not use the library asyncssh"),
        (
            "manager.process",
            "def f() -> None:\n    from router import process",
            "manager must not import router",
        ),
        ("manager.process", "__import__('router.process')", "manager must not import router"),
        ("manager.process", "import importlib\nimportlib.import_module('router')", "must not import router"),
        ("router.process", "from rui_cli import main", "router must not import rui_cli"),
        ("rui_cli.main", "from tests.helpers import x", "reaches outside the house"),
    ],
)
def test_a_planted_violation_is_found(module: str, source: str, complaint: str) -> None:
    found = violations(source, module)
    assert any(complaint in violation for violation in found), found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rui.backup.table", "from rui.netconf.errors import RpcError\nfrom . import version"),
        ("rui.backup.table", "from random import Random\nfrom datetime import datetime"),
        ("rui.schema.files", "from pathlib import Path\nimport pyang"),
        ("netconf_server.server", "import asyncio, asyncssh\nfrom rui.schema import Schema"),
        (
            "router.process",
            "import os\nfrom netconf_client import connect\nfrom rui.backup.table import Table",
        ),
        ("rui_cli.demo.command", "import manager.process, router.process, rich"),
    ],
)
def test_what_is_allowed_is_not_complained_of(module: str, source: str) -> None:
    assert violations(source, module) == []


def packages_with_exports() -> list[str]:
    return [module_name(p) for p in sources() if p.name == "__init__.py" and "__all__" in p.read_text()]


@pytest.mark.parametrize("package", packages_with_exports())
def test_exported_names_exist_and_are_public(package: str) -> None:
    module = import_module(package)
    names: list[str] = module.__all__
    assert len(names) == len(set(names))
    assert not [name for name in names if name.startswith("_")]
    assert not [name for name in names if not hasattr(module, name)]


def test_both_netconf_ends_state_their_public_names() -> None:
    assert {"netconf_client", "netconf_server"} <= set(packages_with_exports())


def private_imports(source: str, module: str) -> list[str]:
    """Return imports of another room's underscore names."""
    own = top_of(module)
    return [
        f"{module}:{line}: {name}"
        for line, name in imported(ast.parse(source), module, package=False)
        if top_of(name) in TOP_ROOMS
        and top_of(name) != own
        and any(part.startswith("_") and not part.startswith("__") for part in name.split("."))
    ]


def test_no_room_uses_the_private_names_of_another() -> None:
    found = [line for path in sources() for line in private_imports(path.read_text(), module_name(path))]
    assert not found, "\n".join(found)
    assert private_imports("from rui.backup.table import _slots", "router.process")


def python_files() -> list[Path]:
    folders = [*TOP_ROOMS, "tests", "benchmarks"]
    return [
        path for name in folders if (HOUSE / name).is_dir() for path in sorted((HOUSE / name).rglob("*.py"))
    ]


def test_no_file_grows_past_five_hundred_lines() -> None:
    long = {
        str(p.relative_to(HOUSE)): n for p in python_files() if (n := len(p.read_text().splitlines())) > 500
    }
    assert not long


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b")
    found = [str(path.relative_to(HOUSE)) for path in python_files() if marks.search(path.read_text())]
    assert not found
