"""Which modules a router and the manager implement, so that a new module needs no new code.

Every module in our folder is implemented by both, but for those of one side only and those that import them;
so is every module in the folders that an operator adds.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rui.schema.files import find_modules, yang_directory
from rui.schema.schema import Schema

# The optional features of its own operations that the server has.
FEATURES = {
    "ietf-netconf": (
        "writable-running",
        "candidate",
        "confirmed-commit",
        "validate",
        "rollback-on-error",
        "xpath",
    ),
    "ietf-netconf-nmda": ("origin", "with-defaults"),
    "ietf-subscribed-notifications": ("encode-xml", "replay", "subtree", "xpath"),
    "ietf-yang-push": ("on-change",),
}

_COMMON = (
    "ietf-netconf",
    "ietf-netconf-monitoring",
    "ietf-netconf-with-defaults",
    "ietf-netconf-nmda",
    "ietf-netconf-partial-lock",
    "ietf-netconf-txid",
    "ietf-netconf-acm",
    "ietf-netconf-notifications",
    "ietf-subscribed-notifications",
    "ietf-yang-push",
    "ietf-yang-library",
    "ietf-datastores",
    "ietf-origin",
    "ietf-x509-cert-to-name",
)
_ROUTER_ONLY = frozenset({"rui-device"})
_MANAGER_ONLY = frozenset({"rui-cloud"})
_IMPORT = re.compile(r"\bimport\s+\"?([\w.-]+)\"?\s*\{")
_SUBMODULE = re.compile(r"\bsubmodule\s+\"?[\w.-]+\"?\s*\{")


def router_schema(extra: Sequence[Path] = ()) -> Schema:
    """Load what a router implements; `extra` are folders with further modules. Raises SchemaError."""
    modules = (*_COMMON, *own_modules(_MANAGER_ONLY, extra))
    return Schema.load(modules, extra, features=FEATURES, kept="" if extra else "router")


def manager_schema(extra: Sequence[Path] = ()) -> Schema:
    """Load what the manager implements; `extra` are folders with further modules. Raises SchemaError."""
    modules = (*_COMMON, *own_modules(_ROUTER_ONLY, extra))
    return Schema.load(modules, extra, features=FEATURES, kept="" if extra else "cloud")


def own_modules(without: frozenset[str], extra: Sequence[Path] = ()) -> Iterator[str]:
    """Yield our modules and those in `extra`, leaving out the ones named and those that build on them."""
    files = find_modules((*extra, yang_directory()))
    texts = {name: path.read_text(encoding="utf-8", errors="replace") for name, path in files.items()}
    for name, text in sorted(texts.items()):
        if _SUBMODULE.search(text) is None and not without & _needed(name, texts):
            yield name


def _needed(name: str, texts: dict[str, str]) -> set[str]:
    """Return a module and all that it imports, directly or not."""
    needed: set[str] = set()
    pending = [name]
    while pending:
        module = pending.pop()
        if module not in needed:
            needed.add(module)
            pending.extend(_IMPORT.findall(texts.get(module, "")))
    return needed
