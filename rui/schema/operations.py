"""Turn RPCs and notifications into data, so that libyang's data parser validates them.

The libyang wheel parses data trees but neither RPC input nor notifications. So every module is written out a
second time under its own name and namespace, in which `rpc x` is a presence container `x` that holds what its
input holds (in a third writing: its output), and `notification x` is a presence container `x`; so are actions
and notifications among data, in their place. Names cannot clash, since YANG gives siblings of every kind one
name space, and an XPath inside an RPC sees the RPC as `/x` already (RFC 7950 section 6.4.1), so expressions
and error paths stay what the sender wrote. Augments into input, output and notifications are carried along.

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
_OPERATIONS = frozenset({"rpc", "action", "notification"})
_DATA = frozenset({"container", "list", "leaf", "leaf-list", "choice", "anydata", "anyxml"})
# What documents, or what would bind data that is not here.
_DROPPED = frozenset({"config", "description", "reference", "contact", "organization"})
# What an operation has beside its input and output.
_DEFINED_INSIDE = frozenset({"typedef", "grouping", "if-feature"})


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
        if keyword in _OPERATIONS:
            self._operation(statement, "config false;")
        elif keyword in {"augment", "deviation"}:
            target = self._target(statement.arg)
            if target is not None:
                self._write(statement, target)
        elif keyword in _DATA:
            self._data(statement)
        elif keyword in _HEADER or keyword in _DEFINITIONS or _is_annotation(keyword):
            self._write(statement)

    def _operation(self, statement: statements.Statement, config: str = "") -> None:
        """Write an rpc, an action or a notification as a container."""
        body = statement.substmts
        if statement.keyword != "notification":
            half = statement.search_one(self._direction.value)
            inner = [sub for sub in body if sub.keyword in _DEFINED_INSIDE]
            body = inner + (half.substmts if half is not None else [])
        elif self._direction is not Direction.REQUEST:
            return
        self._lines.append(f'container {statement.arg} {{ {config} presence "sent";')
        for sub in body:
            self._write(sub)
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
        node = self._top_statement(prefix, name)
        kept = steps[:1]
        for step in steps[1:]:
            if node is not None and node.keyword in {"rpc", "action"}:
                if step.rpartition(":")[2] != self._direction.value:
                    return None
            else:
                kept.append(step)
            if self._is_left_out(node):
                return None
            node = _child(node, step.rpartition(":")[2])
        return None if self._is_left_out(node) else "/" + "/".join(kept)

    def _is_left_out(self, node: statements.Statement | None) -> bool:
        replies = self._direction is not Direction.REQUEST
        return node is not None and node.keyword == "notification" and replies

    def _top_statement(self, prefix: str, name: str) -> statements.Statement | None:
        own = not prefix or prefix == self._module.i_prefix
        module_name = self._module.i_modulename if own else self._module.i_prefixes[prefix][0]
        return _child(self._modules.get(module_name), name)

    def _write(self, statement: statements.Statement, argument: str | None = None) -> None:
        keyword = statement.keyword
        if keyword in _DROPPED or (isinstance(keyword, tuple) and not _is_annotation(keyword)):
            return
        if keyword in _OPERATIONS:
            self._operation(statement)
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


def _child(parent: statements.Statement | None, name: str) -> statements.Statement | None:
    children = getattr(parent, "i_children", None) or ()
    return next((child for child in children if (child.arg or child.keyword) == name), None)


def _is_annotation(keyword: str | tuple[str, str]) -> bool:
    """RFC 7952: attributes such as an edit's `operation` are declared by an extension statement."""
    return isinstance(keyword, tuple) and keyword[1] == "annotation"


def _quote(argument: str) -> str:
    return '"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"'
