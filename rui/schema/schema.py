"""`Schema`: a set of modules that says what exists and decides what is valid."""

import copy
import re
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lxml import etree

from rui.schema.compiled import Kept, make_context
from rui.schema.entryruns import EntryRun, compile_entry_run
from rui.schema.errors import DataError, Issue, Tag, UnknownNodeError
from rui.schema.files import find_modules, installed_directories, yang_directory
from rui.schema.library import ModuleInfo, SubmoduleInfo
from rui.schema.libyang import Defaults, LibyangContext, Purpose
from rui.schema.locate import line_of
from rui.schema.records import RecordChecker
from rui.schema.tree import Kind, Node, Tree, find_nested

NETCONF_NAMESPACE = "urn:ietf:params:xml:ns:netconf:base:1.0"
# Elements of NETCONF itself that wrap data: their content is what is checked.
_WRAPPERS = frozenset(f"{{{NETCONF_NAMESPACE}}}{name}" for name in ("config", "data"))
# Requests and notifications that held are remembered, so many of so many octets at most: both repeat
# themselves.
_REMEMBERED = 256
_LONGEST_REMEMBERED = 2048
# RFC 6241 and RFC 5277 give `filter` attributes without a prefix, which libyang takes for errors.
_FILTER = "{*}filter"
_FILTER_ATTRIBUTES = ("type", "select")

_PREDICATE = re.compile(r"\[(?:[^]'\"]|'[^']*'|\"[^\"]*\")*\]")
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True)

Document = etree._Element | bytes
"""XML as an element or as UTF-8 bytes of one element; data may stand in NETCONF's `config` or `data`."""


class Schema:
    """What a set of YANG modules says. Made by `load`; immutable; not for several threads at once."""

    def __init__(
        self,
        tree: Tree,
        modules: tuple[ModuleInfo, ...],
        data: LibyangContext,
        requests: LibyangContext,
        replies: LibyangContext,
    ) -> None:
        self.tree = tree
        self.modules = modules
        self._data = data
        self._requests = requests
        self._replies = replies
        self._entry_runs: dict[str, EntryRun | None] = {}
        self._held: OrderedDict[bytes, None] = OrderedDict()
        self._nodes: dict[str, Node] = {}
        for top in (tree.data, tree.rpcs, tree.notifications):
            for node in top.values():
                self._nodes.update((inner.path, inner) for inner in node.walk())
        # Whether notifications may stand among data: then each one has to be looked at for that.
        self._nested = any(
            inner.kind is Kind.NOTIFICATION for node in tree.data.values() for inner in node.walk()
        )

    @classmethod
    def load(
        cls,
        modules: Iterable[str],
        search: Sequence[Path] = (),
        *,
        features: Mapping[str, Collection[str]] | None = None,
        kept: str = "",
    ) -> "Schema":
        """Read and compile modules.

        `modules`: names of the modules to implement. `search`: folders to look in before our own and pyang's
        installed ones. `features`: the enabled features by module; none of a module that is not named.
        `kept`: a name of the set's own, under which what it comes to is kept for the next time.
        Raises SchemaError, which names file, line and reason of every error.
        """
        names = tuple(dict.fromkeys(modules))
        enabled = features or {}
        files = find_modules((*search, yang_directory(), *installed_directories()))
        place = Kept(kept, names, files, enabled) if kept else None
        found = place.read() if place is not None else None
        if found is None:
            # pyang alone takes a tenth of a second to import
            from rui.schema.compiling import compile_modules  # noqa: PLC0415

            found, data = compile_modules(names, files, enabled)
            if place is not None:
                place.write(found)
        else:
            data = make_context(found.texts.data, names, enabled)
        requests = make_context(found.texts.requests, names, enabled)
        replies = make_context(found.texts.replies, names, enabled)
        return cls(found.tree, found.modules, data, requests, replies)

    # --- what exists

    def node(self, path: str) -> Node:
        """Return the node at a schema path: `/rui-user-info:user-info/group`, `/rui-backup:x/input/y`.

        Module names stand where the module changes; list keys are not part of it. Raises UnknownNodeError.
        """
        found = self._nodes.get(path)
        if found is None:
            raise UnknownNodeError(self._explain(path))
        return found

    def has_feature(self, module: str, feature: str) -> bool:
        """Say whether a module is implemented with this feature enabled."""
        return any(known.name == module and feature in known.features for known in self.modules)

    def find(self, tags: Sequence[str]) -> Node | None:
        """Return the data node reached by lxml tags from the top, or None."""
        level: Mapping[str, Node] = self.tree.data
        node = None
        for tag in tags:
            node = level.get(tag)
            if node is None:
                return None
            level = node.children
        return node

    def source(self, name: str, revision: str | None = None) -> str | None:
        """Return the text of a module or submodule, None when there is no such one (RFC 6022 get-schema)."""
        for module in self.modules:
            items: tuple[ModuleInfo | SubmoduleInfo, ...] = (module, *module.submodules)
            for item in items:
                if item.name == name and revision in {None, "", item.revision}:
                    return item.source
        return None

    def records(self, path: str) -> RecordChecker:
        """Return the checker of travelled entries of the list at a schema path. Raises UnknownNodeError."""
        steps = path.strip("/").split("/")
        ancestors = [self.node("/" + "/".join(steps[:length])) for length in range(1, len(steps) + 1)]
        return RecordChecker(self._data, ancestors)

    # --- what is valid

    def check_config(self, data: Document, source: str = "configuration") -> None:
        """Check a whole configuration datastore; raise DataError with every issue and its line."""
        if isinstance(data, bytes):
            data = _parse(data, source)
        try:
            self._hold(self._data, data, Purpose.CONFIG, Tag.DATA_MISSING, source)
        except DataError as error:
            # libyang counts lines from the element that it was handed, and knows none for constraints.
            tops = list(data) if data.tag in _WRAPPERS else [data]
            issues = (replace(issue, line=_line(issue, tops)) for issue in error.issues)
            raise DataError(tuple(issues), source) from None

    def check_values(self, data: Document, source: str = "configuration") -> None:
        """Check a part of a configuration as it comes in an edit: nodes, keys and types, no constraints.

        Raises DataError.
        """
        self._hold(self._data, data, Purpose.VALUES, Tag.MISSING_ELEMENT, source)

    def complete_config(
        self, data: Document, mode: Defaults = Defaults.REPORT_ALL, source: str = "configuration"
    ) -> etree._Element:
        """Check a configuration and return it in a `config` element with the model's defaults filled in.

        `mode` is a with-defaults mode of RFC 6243. Raises DataError.
        """
        if isinstance(data, bytes):
            data = _parse(data, source)
        self.check_config(data, source)
        body = self._data.render(_body(data), Purpose.CONFIG, mode)
        return etree.fromstring(b'<config xmlns="' + NETCONF_NAMESPACE.encode() + b'">' + body + b"</config>")

    def with_defaults(self, elements: Sequence[etree._Element], mode: Defaults) -> list[etree._Element]:
        """Return top-level elements, of configuration or state or both, with the defaults that `mode` shows.

        What is not valid as a whole, such as a candidate, is taken as far as names and values are right.
        Raises ValueError where they are not.
        """
        # Where data stands beside operations it demands nothing of other data.
        data = b"".join(etree.tostring(element, with_tail=False) for element in elements)
        body = self._requests.render(data, Purpose.OPERATIONAL, mode)
        return list(etree.fromstring(b"<data>" + body + b"</data>", _PARSER))

    def check_operational(self, data: Document, source: str = "operational data") -> None:
        """Check names, values and keys of a part of the operational tree; raise DataError."""
        self._hold(self._data, data, Purpose.OPERATIONAL, Tag.MISSING_ELEMENT, source)

    def check_rpc(self, operation: Document, source: str = "request") -> None:
        """Check the operation element of an rpc with its input. Raises DataError.

        The content of anydata and anyxml is not looked into.
        """
        if isinstance(operation, bytes):
            operation = _parse(operation, source)
        if operation.tag not in self.tree.rpcs:
            name, namespace = etree.QName(operation).localname, etree.QName(operation).namespace
            known = any(node.namespace == namespace for node in self._nodes.values())
            tag = Tag.UNKNOWN_ELEMENT if known else Tag.UNKNOWN_NAMESPACE
            raise DataError(
                (Issue(f"/{name}", f'There is no operation "{name}" in namespace "{namespace}".', tag,
                       element=name, namespace=None if known else namespace),),
                source,
            )  # fmt: skip
        if operation.find(_FILTER) is not None:
            operation = _without_filter_attributes(operation)
        body = etree.tostring(operation, with_tail=False)
        if body in self._held:
            self._held.move_to_end(body)
            return
        run = self._entry_run(str(operation.tag))
        if run is not None:
            body = run.without_valid(body)
        try:
            self._hold(self._requests, body, Purpose.OPERATION, Tag.MISSING_ELEMENT, source)
        except DataError as error:
            issues = tuple(_with_bare_element(issue, operation) for issue in error.issues)
            raise DataError(issues, source) from None
        self._remember(body)

    def _remember(self, request: bytes) -> None:
        """Know a valid request or notification again: what holds of it depends on nothing but the modules."""
        if len(request) <= _LONGEST_REMEMBERED:
            self._held[request] = None
            if len(self._held) > _REMEMBERED:
                self._held.popitem(last=False)

    def _entry_run(self, tag: str) -> EntryRun | None:
        if tag not in self._entry_runs:
            self._entry_runs[tag] = compile_entry_run(self.tree.rpcs[tag])
        return self._entry_runs[tag]

    def check_output(self, operation: str, body: Sequence[Document], source: str = "reply") -> None:
        """Check the output elements that a reply to `operation` (an lxml tag) carries; raise DataError."""
        name = etree.QName(operation)
        namespace = (name.namespace or "").encode()
        inner = b"".join(_bytes(item) for item in body)
        element = b'<%s xmlns="%s">%s</%s>' % (
            name.localname.encode(),
            namespace,
            inner,
            name.localname.encode(),
        )
        self._hold(self._replies, element, Purpose.OPERATION, Tag.MISSING_ELEMENT, source)

    def check_notification(self, content: Document, source: str = "notification") -> None:
        """Check the content of a notification (the element beside eventTime), which may stand among data
        (RFC 7950 7.16.2). Raises DataError.
        """
        body = _body(content)
        if body in self._held:
            return
        element = _parse(content, source) if isinstance(content, bytes) and self._nested else content
        if isinstance(element, etree._Element) and element.tag in self.tree.data:
            node = find_nested(self.tree.data, element, Kind.NOTIFICATION)
            if node is None:
                issue = Issue(
                    f"/{etree.QName(element).localname}",
                    "there is no notification in it",
                    Tag.UNKNOWN_ELEMENT,
                )
                raise DataError((issue,), source)
            self.check_nested(element, node, source=source)
            return
        self._hold(self._requests, body, Purpose.OPERATION, Tag.MISSING_ELEMENT, source)
        self._remember(body)

    def check_nested(
        self, data: Document, node: Node, *, reply: bool = False, source: str = "request"
    ) -> None:
        """Check an action or a notification that stands among data: `data` is the hierarchy from the top.

        `node` is the action or notification; with `reply` it holds the action's output. The data around it
        is not judged but for its values, for it only says where this is. Raises DataError.
        """
        context = self._replies if reply else self._requests
        found = context.issues(_body(data), Purpose.OPERATION, Tag.DATA_MISSING)
        issues = [
            nested for issue in found if (nested := _of_nested(self._qualified(issue), node)) is not None
        ]
        if issues:
            raise DataError(tuple(issues), source)

    def _hold(
        self, context: LibyangContext, data: Document, purpose: Purpose, missing: Tag, source: str
    ) -> None:
        issues = context.issues(_body(data), purpose, missing)
        if issues:
            raise DataError(tuple(map(self._qualified, issues)), source)

    def _qualified(self, issue: Issue) -> Issue:
        """Put the module's name before the last step where libyang leaves it out: for what is missing."""
        above, _, name = issue.path.rpartition("/")
        if not issue.element or name != issue.element:
            return issue
        steps = _PREDICATE.sub("", above).lstrip("/").split("/")
        for front in (steps, [steps[0], "input", *steps[1:]], [steps[0], "output", *steps[1:]]):
            parent = self._nodes.get("/" + "/".join(front))
            children = parent.children.values() if parent is not None else ()
            modules = [child.module for child in children if child.name == name]
            if parent is not None and len(modules) == 1 and modules[0] != parent.module:
                return replace(issue, path=f"{above}/{modules[0]}:{name}")
        return issue

    def _explain(self, path: str) -> str:
        steps = path.strip("/").split("/")
        for length in range(len(steps), 0, -1):
            parent = self._nodes.get("/" + "/".join(steps[:length]))
            if parent is not None:
                names = ", ".join(node.name for node in parent.children.values()) or "nothing"
                return f"{path}: {parent.path} has no {steps[length]!r}, only {names}"
        return f"{path}: no module has a top-level {steps[0]!r}; write /MODULE:NODE/…"


def _bytes(document: Document) -> bytes:
    if isinstance(document, bytes):
        return document
    return etree.tostring(document, with_tail=False)


def _body(document: Document) -> bytes:
    """Return data as sibling elements, taken out of NETCONF's wrapper."""
    if isinstance(document, bytes):
        return document
    if document.tag in _WRAPPERS:
        return b"".join(etree.tostring(child, with_tail=False) for child in document)
    return etree.tostring(document, with_tail=False)


def _line(issue: Issue, tops: Sequence[etree._Element]) -> int:
    """Return the line of an issue; a node of an unknown namespace has no path, but is easily found."""
    if issue.tag is Tag.UNKNOWN_NAMESPACE and issue.namespace:
        found = next((item for top in tops for item in top.iter(f"{{{issue.namespace}}}*")), None)
        if found is not None and isinstance(found.sourceline, int):
            return found.sourceline
    return line_of(issue.path, tops)


# What is wrong with the data around an action, and not only missing there.
_WRONG_AROUND = frozenset({Tag.INVALID_VALUE, Tag.UNKNOWN_ATTRIBUTE, Tag.MALFORMED})


def _of_nested(issue: Issue, node: Node) -> Issue | None:
    """An issue as one of the operation that stands at a node; None where it is of the data around."""
    path = _PREDICATE.sub("", issue.path)
    if path != node.path and not path.startswith(f"{node.path}/"):
        return issue if issue.tag in _WRONG_AROUND else None
    return replace(issue, tag=Tag.MISSING_ELEMENT) if issue.tag is Tag.DATA_MISSING else issue


def _with_bare_element(issue: Issue, operation: etree._Element) -> Issue:
    """Name the element without namespace, of which libyang only says what it stands in."""
    if issue.tag is not Tag.UNKNOWN_NAMESPACE or issue.namespace != "":
        return issue
    inside = issue.path.rpartition("/")[2].rpartition(":")[2]
    for element in operation.iter("{}*"):
        parent = element.getparent()
        if parent is not None and etree.QName(parent).localname == inside:
            name = etree.QName(element).localname
            return replace(
                issue, element=name, message=f"element {name!r} has no namespace: give it an xmlns attribute"
            )
    return issue


def _without_filter_attributes(operation: etree._Element) -> etree._Element:
    operation = copy.deepcopy(operation)
    for element in operation.iterfind(_FILTER):
        for name in _FILTER_ATTRIBUTES:
            element.attrib.pop(name, "")
    return operation


def _parse(data: bytes, source: str) -> etree._Element:
    if b"<!DOCTYPE" in data:
        raise DataError((Issue("", "a document type declaration is not allowed", Tag.MALFORMED),), source)
    try:
        return etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as cause:
        line = cause.lineno or 0
        raise DataError((Issue("", cause.msg or "not XML", Tag.MALFORMED, line=line),), source) from None
