"""``rui model check``: the YANG modules before they reach a router or the cloud."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from rui.schema import Schema, SchemaError, manager_schema, router_schema, yang_directory
from rui.schema.files import find_modules, installed_directories
from rui_cli.errors import CliError, ExitCode
from rui_cli.modelrun import RECORD_LIST, dry_run

# The IETF's own naming, and the legal text that only its modules carry.
_IETF_NAMING = frozenset({
    "LINT_BAD_NAMESPACE_VALUE",
    "LINT_BAD_MODULENAME_PREFIX_1",
    "LINT_BAD_MODULENAME_PREFIX_N",
    "LINT_NO_MODULENAME_PREFIX",
    "IETF_MISSING_TRUST_LEGAL_PROVISIONING",
    "IETF_MISSING_RFC_TEXT",
})  # fmt: skip
_REMEDIES = {
    "LINT_MISSING_REQUIRED_SUBSTMT": "add the substatement; it says what the node means, in which unit",
    "LINT_MISSING_RECOMMENDED_SUBSTMT": "add the substatement",
    "LINT_EXPLICIT_DEFAULT": "leave the statement out",
    "LINT_TOP_MANDATORY": "make the top-level container a presence container, or the node optional",
    "UNEXPECTED_KEYWORD_CANONICAL": "move the statement to its place in RFC 7950 section 14",
    "UNEXPECTED_KEYWORD_CANONICAL_1": "move the statement to its place in RFC 7950 section 14",
    "MODULE_NOT_FOUND": "put the module's file into the folder, or correct the import",
    "TYPE_NOT_FOUND": "correct the type's name, or import the module that defines it",
    "NODE_NOT_FOUND": "correct the path; a node of another module needs that module's prefix",
    "CHK_NO_REVISION": "add a revision statement that is newer than the release's",
    "CHK_BAD_REVISION": "add a revision statement that is newer than the release's",
    "CHK_DEF_REMOVED": "keep the definition with status deprecated or obsolete",
    "CHK_NEW_MANDATORY": "make the new node optional, or put it into a new module",
    "CHK_BASE_TYPE_CHANGED": "keep the type and add a new leaf",
}
_BY_STEP = {
    "lint": "correct the statement (RFC 7950, RFC 8407)",
    "update": "released definitions stay as they are (RFC 7950 section 11): add a new one",
    "compile": "correct the statement that libyang names",
    "dry-run": "a record of this model does not pass every hop: correct the node that is named",
}
_TEMPLATE = "{file}\x1f{line}\x1f{code}\x1f{msg}\x1e"
_PYANG_SECONDS = 120.0


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: which step found it, where, what, and what to do."""

    step: str
    file: str
    line: int
    message: str
    remedy: str


def check(
    yang: Annotated[
        Path | None, typer.Option(help="Folder of modules to check; they stand before ours. Default: ours.")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(help="Folder with the modules of the last release."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Lint, compare with the last release, compile, and send a record through all hops."""
    for folder in (yang, baseline):
        if folder is not None and not folder.is_dir():
            raise CliError(f"{folder} is not a folder", remedy="name a folder with .yang files")
    directory = yang or yang_directory()
    with working("linting"):
        findings = list(dict.fromkeys(lint(directory)))  # both rule sets report what both forbid
    if baseline:
        with working("comparing with the release"):
            findings += updates(directory, baseline)
    known = {(finding.file, finding.line, finding.message) for finding in findings}
    with working("sending a record through all hops"):
        findings += [new for new in trial(directory) if (new.file, new.line, new.message) not in known]
    checked = sorted(find_modules((directory,)))
    if as_json:
        report = {
            "ok": not findings,
            "modules": checked,
            "findings": [asdict(finding) for finding in findings],
        }
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        _show(checked, findings)
    raise typer.Exit(ExitCode.CHECK_FAILED if findings else ExitCode.OK)


def working(what: str) -> Status:
    """Show that something goes on, on a terminal's standard error."""
    return Console(stderr=True).status(f"{what} …")


def lint(directory: Path) -> Iterator[Finding]:
    """Run pyang's checks of RFC 7950 and RFC 8407 on every module of a folder."""
    files = [str(path) for path in sorted(find_modules((directory,)).values())]
    if not files:
        raise CliError(f"{directory} has no YANG modules", remedy="name a folder with .yang files")
    yield from _pyang("lint", ["--ietf", "--lint", *_search(directory), *files])


def updates(directory: Path, baseline: Path) -> Iterator[Finding]:
    """Check that each module is a valid update of the one in `baseline` (RFC 7950 section 11)."""
    current = find_modules((directory,))
    for name, old in sorted(find_modules((baseline,)).items()):
        if name not in current:
            gone = f"module {name} of the release is gone"
            yield Finding("update", str(old), 0, gone, "keep the module; mark what it defines obsolete")
        elif old.read_bytes() != current[name].read_bytes():
            old_path = [
                f"--check-update-from-path={folder}"
                for folder in (baseline, yang_directory(), *installed_directories())
            ]
            arguments = [f"--check-update-from={old}", *old_path, *_search(directory), str(current[name])]
            yield from _pyang("update", arguments)


def trial(directory: Path) -> Iterator[Finding]:
    """Compile what routers and manager load, and send a record from a primary by way of the cloud."""
    extra = () if directory == yang_directory() else (directory,)
    schemas: list[Schema] = []
    for load in (router_schema, manager_schema):
        try:
            schemas.append(load(extra))
        except SchemaError as error:
            for problem in error.problems:
                remedy = _REMEDIES.get(problem.code, _BY_STEP["compile"])
                yield Finding("compile", problem.file, problem.line, problem.message, remedy)
    if len(schemas) < 2:
        return
    primary, cloud = schemas
    for message in local_nodes(primary):
        yield Finding("dry-run", str(directory), 0, message, "move the node out of the list that travels")
    # A secondary of the last release knows nothing of the folder's modules.
    for secondary in (primary, router_schema()) if extra else (primary,):
        for message in dry_run(primary, cloud, secondary):
            yield Finding("dry-run", str(directory), 0, message, _BY_STEP["dry-run"])


def local_nodes(schema: Schema) -> Iterator[str]:
    """Yield the nodes that travel with a record although they are true on one router only."""
    for node in schema.node(RECORD_LIST).walk():
        if ("rui-types", "local") in node.extensions:
            yield f"{node.path} is marked rui-types:local and would travel with the record"


def _pyang(step: str, arguments: list[str]) -> Iterator[Finding]:
    """Run pyang in a process of its own: its lint rules, once switched on, hold for every later parse."""
    command = [sys.executable, "-m", "pyang.scripts.pyang_tool", f"--msg-template={_TEMPLATE}", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            command, capture_output=True, text=True, encoding="utf-8", timeout=_PYANG_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as cause:
        raise CliError(
            f"pyang took more than {_PYANG_SECONDS:.0f} s", remedy="check fewer modules"
        ) from cause
    *messages, rest = done.stderr.split("\x1e")
    for message in messages:
        file, line, code, text = message.strip().split("\x1f")
        if code not in _IETF_NAMING:
            remedy = _REMEDIES.get(code, _BY_STEP[step])
            yield Finding(step, file, int(line), " ".join(text.split()), remedy)
    if rest.strip():
        raise CliError(f"pyang failed: {rest.strip()}", remedy="run pyang by hand on the folder")


def _search(directory: Path) -> list[str]:
    return [f"--path={folder}" for folder in (directory, yang_directory(), *installed_directories())]


def _show(checked: list[str], findings: list[Finding]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    print_findings(console, findings)
    verdict = f"{len(findings)} findings" if findings else "no findings; a record passes every hop"
    console.print(f"{len(checked)} modules checked: {verdict}", markup=False)


def print_findings(console: Console, findings: list[Finding]) -> None:
    """Print each finding with file, line and remedy."""
    for finding in findings:
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file
        console.print(f"{place}: [{finding.step}] {finding.message}", markup=False)
        console.print(f"  remedy: {finding.remedy}", markup=False)
