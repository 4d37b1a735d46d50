"""What can be wrong with a model or with data, as exceptions and values.

SchemaError(Exception)     a module file is missing or wrong: file, line, reason
  .problems                every finding as a `ModuleProblem`
DataError(Exception)       data that the model refuses
  .issues                  every finding as an `Issue`
UnknownNodeError(LookupError)   a path that the schema does not have
"""

from dataclasses import dataclass
from enum import StrEnum


class Tag(StrEnum):
    """The rpc-error tags that data checks lead to (RFC 6241 appendix A, RFC 7950 section 15)."""

    MALFORMED = "malformed-message"
    UNKNOWN_NAMESPACE = "unknown-namespace"
    UNKNOWN_ELEMENT = "unknown-element"
    UNKNOWN_ATTRIBUTE = "unknown-attribute"
    BAD_ELEMENT = "bad-element"
    MISSING_ELEMENT = "missing-element"
    INVALID_VALUE = "invalid-value"
    DATA_MISSING = "data-missing"
    OPERATION_FAILED = "operation-failed"


@dataclass(frozen=True, slots=True)
class ModuleProblem:
    """One finding in one module file; `line` is 0 where it belongs to no line, `code` names the rule."""

    file: str
    line: int
    message: str
    code: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"


class SchemaError(Exception):
    """The modules do not make a schema; `problems` name file, line and reason, at least one."""

    def __init__(self, problems: tuple[ModuleProblem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


@dataclass(frozen=True, slots=True)
class Issue:
    """One reason why the model refuses some data.

    `path` is the data path in the words of the sender (`/rui-backup:deliver-user-info/group-id`), list keys
    included; "" when the data broke off before any node. `tag` is the rpc-error tag that fits, `app_tag` the
    model's error-app-tag. `element` is the local name of the offending element and `namespace` an unknown
    namespace, where there is one. `line` counts from 1 and is 0 when it is not known.
    """

    path: str
    message: str
    tag: Tag
    app_tag: str | None = None
    element: str | None = None
    namespace: str | None = None
    line: int = 0

    def __str__(self) -> str:
        place = f"line {self.line}, " if self.line else ""
        return f"{place}{self.path or '/'}: {self.message}"


class DataError(Exception):
    """Data that the model refuses; `issues` holds at least one, `source` says where the data came from."""

    def __init__(self, issues: tuple[Issue, ...], source: str = "data") -> None:
        self.issues = issues
        self.source = source
        super().__init__(f"{source}: " + "; ".join(str(issue) for issue in issues))


class UnknownNodeError(LookupError):
    """The schema has no node at that path; the text says which step failed and what was possible there."""
