"""The cases as they stand in files: what to send, what must come back, and what an assertion looks like."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

_TRACES = re.compile("lock|subscription|session>|close-session")

_CITED = ("RFC ", "draft-ietf-")

FOLDER = Path(__file__).with_name("cases")


@dataclass(frozen=True)
class Difference:
    """What a server does otherwise, and whether it `always` does: then the case must fail, else it may."""

    reason: str
    always: bool


def read_differences(text: str) -> dict[str, Difference]:
    """The tables `differences` and, where there is one, `sometimes` of a file, by the case's id."""
    content = tomllib.loads(text)
    always = {case: Difference(reason, True) for case, reason in content["differences"].items()}
    return {
        **always,
        **{case: Difference(reason, False) for case, reason in content.get("sometimes", {}).items()},
    }


@dataclass(frozen=True)
class Step:
    """One exchange of a case; at most one of `rpc`, `message`, `raw`, `hello`, `event`, `close` is given.

    `rpc` is an operation, `message` a whole message that is framed, `raw` bytes that are not. `session` says
    on which session, made when first named. `error` are the fields that an rpc-error must have; without any
    there must be no rpc-error. `holds` are XPath expressions that must be true of each of the `replies`.
    `closed` says that the server must end the session, `eventually` that the answer may become right later.
    """

    session: str = "first"
    rpc: str | None = None
    message: str | None = None
    raw: str | None = None
    hello: str | None = None
    event: bool = False
    close: bool = False
    version: str = "1.1"
    chunks: int = 1
    replies: int = 1
    error: dict[str, Any] | None = None
    holds: tuple[str, ...] = ()
    closed: bool = False
    eventually: bool = False


@dataclass(frozen=True)
class Case:
    """One case: its RFC and section, the capabilities (or modules) that it needs, and what happens.

    The short form: `given` is put into an empty `top`, `edit` is then sent by edit-config with `options`
    inside the operation, must fail with `error` or else succeed, is committed where the candidate is the
    target (where `commit_error` may be due), and then `holds` is asked of running. The long form are `steps`.
    """

    name: str
    rfc: str
    file: str
    needs: tuple[str, ...] = ()
    given: str | None = None
    edit: str | None = None
    options: str = ""
    error: dict[str, Any] | None = None
    commit_error: dict[str, Any] | None = None
    holds: tuple[str, ...] = ()
    steps: tuple[Step, ...] = field(default=())

    @property
    def leaves_no_trace(self) -> bool:
        """Whether a session is as it was after the case, and may serve the next one too."""
        plain = Step()
        return all(
            step.rpc is not None
            and replace(step, rpc=None, error=None, holds=(), chunks=1, eventually=False) == plain
            and not _TRACES.search(step.rpc)
            for step in self.steps
        )

    @property
    def id(self) -> str:
        """How the case is called on the command line and in a file of differences."""
        return f"{self.file}/{self.name.replace(' ', '-')}"


def load(folder: Path = FOLDER) -> Iterator[Case]:
    """Read all cases. Raises ValueError for one that is not as `Case` says."""
    for path in sorted(folder.glob("*.toml")):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        needed = content.get("needs", [])
        for entry in content["case"]:
            yield _case(path.stem, {**entry, "needs": [*needed, *entry.get("needs", [])]})


def _case(file: str, entry: dict[str, Any]) -> Case:
    steps = tuple(_checked(Step, step) for step in entry.pop("steps", []))
    case: Case = _checked(Case, {**entry, "file": file, "steps": steps})
    if (case.given is None and case.edit is None and not case.steps) or not case.rfc.startswith(_CITED):
        raise ValueError(f"{case.id}: a case does something and cites its RFC or draft")
    return case


def _checked(kind: type[Any], entry: dict[str, Any]) -> Any:
    unknown = entry.keys() - {item.name for item in fields(kind)}
    if unknown:
        raise ValueError(f"unknown field {', '.join(sorted(unknown))} in {entry}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()})
