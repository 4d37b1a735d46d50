"""Turn RPCs and notifications into data, so that libyang's data parser validates them.

The libyang wheel parses data trees but neither RPC input nor notifications. So every module is written out a
second time under its own name and namespace, in which `rpc x` is a presence container `x` that holds what its
input holds (in a third writing: its output), and `notification x` is a presence container `x`. Names cannot
clash, since YANG gives a module's top-level data nodes, RPCs and notifications one name space, and an XPath
inside an RPC sees the RPC as `/x` already (RFC 7950 section 6.4.1), so expressions and error paths stay what
the sender wrote. Augments into input, output and notifications are carried along.

Everything in the written module is state: an operation's nodes have no config, and groupings may say
otherwise. A leafref from an operation into data is checked for type, not for an existing target: there is no
data here.
"""

from collections.abc import Mapping
from enum import StrEnum

from pyang import statements

_HEADER = frozenset({
    "namespace", "prefix", "belongs-to", "import", "include", "revision", "revision-date",
})  # fmt: skip
_DEFINITIONS = frozenset({"typedef", "grouping", "identity", "feature", "extension", "uses"})
_DATA = frozenset({"container", "list", "leaf", "leaf-list", "choice", "anydata", "anyxml"})
# What documents, or what would bind data that is not here.
_DROPPED = frozenset(
    {"config", "description", "reference", "contact", "organization", "action", "notification"}
)


class Direction(StrEnum):
    """Which half of an RPC the written module holds."""

    REQUEST = "input"
    REPLY = "output"


def write_operations(
    module: statements.Statement,
    written: statements.Statement,
    modules: Mapping[str, statements.Statement],
    direction: Direction,
) -> str:
    """Return the text of a module or submodule with its operations as containers.

    `module` is the validated one and `written` the same as its file has it. Notifications go with requests.
    """
    return _Writer(module, modules, direction).text(written)


class _Writer:
    def __init__(
        self,
        module: statements.Statement,
        modules: Mapping[str, statements.Statement],
        direction: Direction,
    ) -> None:
        self._module = module
        self._modules = modules
        self._direction = direction
        self._lines: list[str] = []

    def text(self, written: statements.Statement) -> str:
        self._lines = [f"{written.keyword} {written.arg} {{", "yang-version 1.1;"]
        for statement in written.substmts:
            self._top(statement)
        self._lines.append("}")
        return "\n".join(self._lines) + "\n"

    def _top(self, statement: statements.Statement) -> None:
        keyword = statement.keyword
        if keyword == "rpc":
            body = statement.search_one(self._direction.value)
            inner = [
                sub for sub in statement.substmts if sub.keyword in {"typedef", "grouping", "if-feature"}
            ]
            self._container(statement.arg, inner + (body.substmts if body is not None else []))
        elif keyword == "notification":
            if self._direction is Direction.REQUEST:
                self._container(statement.arg, statement.substmts)
        elif keyword in {"augment", "deviation"}:
            target = self._target(statement.arg)
            if target is not None:
                self._write(statement, target)
        elif keyword in _DATA:
            self._data(statement)
        elif keyword in _HEADER or keyword in _DEFINITIONS or _is_annotation(keyword):
            self._write(statement)

    def _container(self, name: str, body: list[statements.Statement]) -> None:
        self._lines.append(f'container {name} {{ config false; presence "sent";')
        for statement in body:
            self._write(statement)
        self._lines.append("}")

    def _data(self, statement: statements.Statement) -> None:
        """Data stays as a place that paths can name, and demands nothing."""
        self._open(statement, statement.arg)
        self._lines.append("config false;")
        if statement.keyword == "container" and statement.search_one("presence") is None:
            self._lines.append('presence "data";')
        for sub in statement.substmts:
            if sub.keyword not in {"mandatory", "min-elements", "must"}:
                self._write(sub)
        self._lines.append("}")

    def _target(self, path: str) -> str | None:
        """Leave `input` or `output` out of a schema node identifier; None for the other direction."""
        steps = path.strip().strip("/").split("/")
        prefix, _, name = steps[0].rpartition(":")
        top = self._top_statement(prefix, name)
        if top is None:
            return path
        if top.keyword == "notification" and self._direction is not Direction.REQUEST:
            return None
        if top.keyword != "rpc":
            return None if self._enters_operation(top, steps[1:]) else path
        if len(steps) > 1 and steps[1].rpartition(":")[2] != self._direction.value:
            return None
        return "/" + "/".join(steps[:1] + steps[2:])

    def _top_statement(self, prefix: str, name: str) -> statements.Statement | None:
        own = not prefix or prefix == self._module.i_prefix
        module_name = self._module.i_modulename if own else self._module.i_prefixes[prefix][0]
        children = getattr(self._modules.get(module_name), "i_children", ())
        return next((child for child in children if child.arg == name), None)

    def _enters_operation(self, top: statements.Statement, steps: list[str]) -> bool:
        """Say whether a path goes into an action or a notification below data, which are not written."""
        node = top
        for step in steps:
            name = step.rpartition(":")[2]
            children = getattr(node, "i_children", ())
            found = next((child for child in children if (child.arg or child.keyword) == name), None)
            if found is None:
                return False
            if found.keyword in {"action", "notification"}:
                return True
            node = found
        return False

    def _write(self, statement: statements.Statement, argument: str | None = None) -> None:
        keyword = statement.keyword
        if keyword in _DROPPED or (isinstance(keyword, tuple) and not _is_annotation(keyword)):
            return
        self._open(statement, statement.arg if argument is None else argument)
        for sub in statement.substmts:
            if sub.keyword != "require-instance":
                self._write(sub)
        if keyword == "type" and statement.arg in {"leafref", "instance-identifier"}:
            self._lines.append("require-instance false;")
        self._lines.append("}")

    def _open(self, statement: statements.Statement, argument: str | None) -> None:
        raw = statement.raw_keyword
        keyword = ":".join(raw) if isinstance(raw, tuple) else raw
        quoted = "" if argument is None else " " + _quote(argument)
        self._lines.append(f"{keyword}{quoted} {{")


def _is_annotation(keyword: str | tuple[str, str]) -> bool:
    """RFC 7952: attributes such as an edit's `operation` are declared by an extension statement."""
    return isinstance(keyword, tuple) and keyword[1] == "annotation"


def _quote(argument: str) -> str:
    return '"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"'
