"""``rui model diff``: what a model edit changes, and whether devices of the last release bear it."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rui.schema import Node, Schema, SchemaError, TypeSpec, installed_directories, yang_directory
from rui.schema.files import find_modules
from rui_cli.errors import CliError, ExitCode
from rui_cli.modelcheck import Finding, print_findings, trial, updates, working

_SHOWN = ("kind", "config", "mandatory", "keys", "type", "default", "units", "when", "must", "status")


@dataclass(frozen=True)
class TreeChange:
    """One node that is new (`+`), gone (`-`) or changed (`~`), and how."""

    sign: str
    path: str
    what: str


def diff(
    yang: Annotated[Path, typer.Option(help="Folder with the edited modules.")],
    baseline: Annotated[
        Path | None, typer.Option(help="Folder with the modules of the last release. Default: ours.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what the modules of a folder change, and refuse what would drop data or break a peer."""
    old = baseline or yang_directory()
    for folder in (yang, old):
        if not folder.is_dir():
            raise CliError(f"{folder} is not a folder", remedy="name a folder with .yang files")
    with working("comparing the trees"):
        changes = list(tree_changes(old, yang))
    with working("checking the edit"):
        findings = list(_findings(yang, old))
    if as_json:
        report = {
            "ok": not findings,
            "changes": [asdict(change) for change in changes],
            "findings": [asdict(finding) for finding in findings],
        }
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        console = Console(soft_wrap=True, highlight=False)
        for change in changes:
            console.print(f"{change.sign} {change.path}  {change.what}".rstrip(), markup=False)
        print_findings(console, findings)
        verdict = "refused" if findings else "every device of the last release bears it"
        console.print(f"{len(changes)} nodes differ: {verdict}", markup=False)
    raise typer.Exit(ExitCode.CHECK_FAILED if findings else ExitCode.OK)


def _findings(yang: Path, old: Path) -> Iterator[Finding]:
    """What pyang says of the update (RFC 7950 section 11), and what stops a record on its way to a peer."""
    edited = find_modules((yang,))
    known = find_modules((old,))
    # A folder of additions lacks the release's other modules without taking them away
    whole = edited.keys() >= known.keys()
    for finding in updates(yang, old):
        if whole or finding.line:
            yield finding
    yield from trial(yang)


def tree_changes(old: Path, new: Path) -> Iterator[TreeChange]:
    """Compare the trees of the modules in `new`, those of `old` behind them, with the trees of `old`."""
    before, after = _tree((old,)), _tree((new, old))
    for path in sorted(before.keys() | after.keys()):
        was, now = before.get(path), after.get(path)
        if was is None and now is not None:
            yield TreeChange("+", path, " ".join(filter(None, (now["kind"], now["type"]))))
        elif was is not None and now is None:
            yield TreeChange("-", path, was["kind"])
        elif was is not None and now is not None and was != now:
            what = (f"{name}: {was[name] or 'none'} -> {now[name] or 'none'}" for name in _SHOWN)
            yield TreeChange("~", path, "; ".join(text for text, name in zip(what, _SHOWN, strict=True)
                                                  if was[name] != now[name]))  # fmt: skip


def _tree(folders: tuple[Path, ...]) -> dict[str, dict[str, str]]:
    """Every node of the folders' modules by path, with what makes it what it is."""
    modules = [name for name, path in find_modules(folders).items() if "submodule " not in path.read_text()]
    try:
        schema = Schema.load(modules, (*folders, *installed_directories()))
    except SchemaError as error:
        raise CliError(str(error), remedy="correct the statement; rui model check says more") from error
    tops = (schema.tree.data, schema.tree.rpcs, schema.tree.notifications)
    nodes = (node for top in tops for root in top.values() for node in root.walk())
    return {node.path: _facts(node) for node in nodes if node.module in modules}


def _facts(node: Node) -> dict[str, str]:
    return {
        "kind": str(node.kind),
        "config": str(node.config).lower(),
        "mandatory": str(node.mandatory).lower(),
        "keys": " ".join(node.keys),
        "type": _type(node.type),
        "default": " ".join(node.defaults),
        "units": node.units,
        "when": " and ".join(node.when),
        "must": " and ".join(node.must),
        "status": node.status,
    }


def _type(spec: TypeSpec | None) -> str:
    if spec is None:
        return ""
    bounds = "|".join(f"{low}..{high}" for low, high in (*spec.ranges, *spec.lengths))
    parts = (bounds, *spec.enums, *spec.bits, *spec.patterns, spec.path, *map(_type, spec.members))
    return " ".join(filter(None, (spec.base, *parts)))
