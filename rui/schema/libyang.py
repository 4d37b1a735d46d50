"""A libyang context over a folder of modules, and checks of XML against it."""

import re
from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from pathlib import Path

import oopt_gnpy_libyang as ly

from rui.schema.clibyang import Context, LibyangError
from rui.schema.errors import Issue, ModuleProblem, SchemaError, Tag

# libyang's messages go to its store, where `errors()` finds them, and never to stderr, process-wide.
ly.set_log_options(ly.LogOptions.Store)

_SCHEMA_LINE = re.compile(r"\(line (?:number )?(\d+)\)|line (\d+)")


class Purpose(Enum):
    """What data is checked as; each holds libyang's options for parsing and for validating.

    CONFIG: a whole datastore, without state. OPERATIONAL: a part of the operational tree, whose constraints
    may be open (RFC 8342 section 5.3). VALUES: a part of a configuration, which only has to be made of nodes
    that exist, with keys and values of their types (RFC 7950 section 8.3.1). OPERATION: one request, reply or
    notification. RECORDS: state that travelled and may hold nodes that we do not know, which are passed over.
    """

    CONFIG = (
        ly.ParseOptions.Strict | ly.ParseOptions.NoState,
        ly.ValidationOptions.NoState,
    )
    OPERATIONAL = (
        ly.ParseOptions.Strict,
        ly.ValidationOptions.Present | ly.ValidationOptions.Operational,
    )
    VALUES = (
        ly.ParseOptions.Strict | ly.ParseOptions.NoState | ly.ParseOptions.ParseOnly,
        ly.ValidationOptions.NoState,
    )
    OPERATION = (ly.ParseOptions.Strict, ly.ValidationOptions.Present)
    RECORDS = (ly.ParseOptions(0), ly.ValidationOptions.Present)


class Defaults(Enum):
    """The with-defaults modes (RFC 6243 section 3) as libyang's print flags."""

    EXPLICIT = ly.PrintFlags.WithDefaultsExplicit
    TRIM = ly.PrintFlags.WithDefaultsTrim
    REPORT_ALL = ly.PrintFlags.WithDefaultsAll
    # Only what nobody set is default data to a server whose basic mode is explicit.
    REPORT_ALL_TAGGED = ly.PrintFlags.WithDefaultsImplicitTag


class LibyangContext:
    """A compiled set of modules from one folder.

    Raises SchemaError when libyang refuses a module that pyang took.
    """

    def __init__(
        self, directory: Path, modules: Iterable[str], features: Mapping[str, Collection[str]]
    ) -> None:
        options = ly.ContextOptions.NoYangLibrary | ly.ContextOptions.DisableSearchCwd
        try:
            self._context = Context(str(directory), options.value)
        except LibyangError as cause:
            raise SchemaError((ModuleProblem("", 0, str(cause), "libyang"),)) from None
        for name in modules:
            try:
                self._context.load(name, list(features.get(name, ())))
            except LibyangError as cause:
                raise SchemaError(self._module_problems(directory / f"{name}.yang", str(cause))) from None

    def implemented(self, modules: Iterable[str]) -> frozenset[str]:
        """Return those of the modules whose nodes exist here; augments have implemented their targets."""
        return frozenset(name for name in modules if self._context.implements(name))

    def issues(self, data: bytes, purpose: Purpose, missing: Tag = Tag.DATA_MISSING) -> tuple[Issue, ...]:
        """Parse and validate XML; return nothing when it holds, else every reason found.

        `missing` is the tag for a mandatory node that is not there.
        """
        parse, validate = purpose.value
        found = self._try(data, parse, validate, missing)
        if not found:
            return ()
        # A refused value is not in the tree, so constraints could not be judged and its node would be called
        # missing; libyang even crashes on a list entry with a leafref whose key did not parse. So only data
        # whose values all parse is validated past the first error.
        every = ly.ValidationOptions.MultiError
        return (
            self._try(data, parse | ly.ParseOptions.ParseOnly, every, missing)
            or self._try(data, parse, validate | every, missing)
            or found
        )

    def _try(
        self, data: bytes, parse: ly.ParseOptions, validate: ly.ValidationOptions, missing: Tag
    ) -> tuple[Issue, ...]:
        try:
            self._context.check(data, parse.value, validate.value)
        except LibyangError as cause:
            return self._collect(missing) or (Issue("", str(cause), Tag.OPERATION_FAILED),)
        # Some errors, such as an unknown attribute, are stored while the parser reports success.
        return self._collect(missing)

    def holds(self, data: bytes, purpose: Purpose) -> bool:
        """Say whether data holds, without collecting reasons."""
        parse, validate = purpose.value
        try:
            self._context.check(data, parse.value, validate.value)
        except LibyangError:
            self._context.take_messages()
            return False
        return True

    def render(self, data: bytes, purpose: Purpose, mode: Defaults) -> bytes:
        """Return checked data again, with defaults as `mode` says, its top-level elements side by side.

        Raises ValueError when the data does not hold: check it first.
        """
        parse, validate = purpose.value
        flags = mode.value | ly.PrintFlags.WithSiblings | ly.PrintFlags.Shrink
        try:
            return self._context.print(data, parse.value, validate.value, flags.value)
        except LibyangError as cause:
            self._context.take_messages()
            raise ValueError("data that was not checked") from cause

    def _collect(self, missing: Tag) -> tuple[Issue, ...]:
        issues: list[Issue] = []
        for error in self._context.take_messages():
            if error.text is None:  # the message quotes the data, whose octets need not be text
                issues.append(Issue("", "the data is not UTF-8", Tag.MALFORMED, line=error.line))
                continue
            issue = classify(error.text, error.path, error.app_tag, error.line, missing)
            # A key whose value was refused is called missing as well, at the entry's other keys.
            place = _bare(issue.path)
            if issue.tag is not Tag.MISSING_ELEMENT or all(place != _bare(other.path) for other in issues):
                issues.append(issue)
        return tuple(dict.fromkeys(issues))

    def _module_problems(self, file: Path, cause: str) -> tuple[ModuleProblem, ...]:
        problems = tuple(
            ModuleProblem(
                file.name,
                error.line,
                f"{error.text} ({error.schema_path})" if error.schema_path else error.text or "",
                "libyang",
            )
            for error in self._context.take_messages()
        )
        return problems or (ModuleProblem(file.name, 0, cause, "libyang"),)


# libyang says what is wrong in words only. Each row: its words, the tag that fits, and whether the named
# element (group 1) stands below the path that the message carries.
_RULES: tuple[tuple[re.Pattern[str], Tag | None, bool], ...] = tuple(
    (re.compile(pattern, re.DOTALL), tag, below)
    for pattern, tag, below in (
        (r'Node "([^"]+)" not found as a child', Tag.UNKNOWN_ELEMENT, True),
        (r'Node "([^"]+)" not found', Tag.UNKNOWN_ELEMENT, True),
        (r'No module (?:named|with namespace) "([^"]+)"', Tag.UNKNOWN_NAMESPACE, False),
        (r'Mandatory (?:node|choice) "([^"]+)"', None, True),
        (r'missing its key "([^"]+)"', Tag.MISSING_ELEMENT, True),
        (r"Data for both cases", Tag.BAD_ELEMENT, False),
        (r"Duplicate instance of", Tag.BAD_ELEMENT, False),
        (r"Unexpected data state node", Tag.BAD_ELEMENT, False),
        (r"When condition", Tag.UNKNOWN_ELEMENT, False),
        (r"no target instance|no existing target", Tag.DATA_MISSING, False),
        (r'XML metadata|[Aa]nnotation|attribute', Tag.UNKNOWN_ATTRIBUTE, False),
    )
)  # fmt: skip
_BY_APP_TAG = {
    "instance-required": Tag.DATA_MISSING,
    "missing-choice": Tag.DATA_MISSING,
    "data-not-unique": Tag.OPERATION_FAILED,
    "too-many-elements": Tag.OPERATION_FAILED,
    "too-few-elements": Tag.OPERATION_FAILED,
    "must-violation": Tag.OPERATION_FAILED,
}
_NOT_XML = re.compile(
    r"Invalid character|tag mismatch|Unexpected end|not supported|expected element|XML|Unknown XML"
)

_NO_NAMESPACE = re.compile('Missing XML namespace|No module with namespace ""')


def classify(message: str, path: str, app_tag: str | None, line: int, missing: Tag) -> Issue:
    """Turn one libyang message into an Issue; `missing` is the tag for absent mandatory nodes."""
    message = " ".join(message.split())
    if _NO_NAMESPACE.match(message):
        text = "an element in here has no namespace: give it an xmlns attribute"
        return Issue(path, text, Tag.UNKNOWN_NAMESPACE, app_tag, namespace="", line=line)
    for pattern, tag, below in _RULES:
        match = pattern.search(message)
        if match is None:
            continue
        named = match[1] if match.groups() else None
        if tag is Tag.UNKNOWN_NAMESPACE:
            return Issue(path, message, tag, app_tag, namespace=named, line=line)
        choice = "Mandatory choice" in message
        element = named or _last(path)
        place = f"{path}/{named}" if below and named and not choice else path
        return Issue(place, message, tag or missing, app_tag, element=None if choice else element, line=line)
    if app_tag in _BY_APP_TAG:
        return Issue(path, message, _BY_APP_TAG[app_tag], app_tag, element=_last(path), line=line)
    # A constraint is evaluated after parsing and so has no line; a value is refused where it is read.
    tag = Tag.INVALID_VALUE if line else Tag.OPERATION_FAILED
    if _NOT_XML.search(message) and not path:
        tag = Tag.MALFORMED
    return Issue(path, message, tag, app_tag, element=_last(path), line=line)


def _last(path: str) -> str | None:
    """Return the local name of the last step of a data path, whose predicates may hold slashes."""
    return _bare(path).rpartition("/")[2].rpartition(":")[2] or None


def _bare(path: str) -> str:
    """Return a data path without its predicates."""
    return re.sub(r"\[(?:[^\]'\"]|'[^']*'|\"[^\"]*\")*\]", "", path)
