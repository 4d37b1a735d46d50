"""From what the model refuses to rpc-errors: libyang's paths become XPath with prefixes, tags and places
are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lxml import etree

from rui.netconf import names
from rui.netconf.errors import RpcError, first_error
from rui.netconf.tags import ErrorType
from rui.schema import DataError, Issue, Schema, Tag

_STEP = re.compile(r"/(?:([\w.-]+):)?([\w.-]+)((?:\[(?:[^\]'\"]|'[^']*'|\"[^\"]*\")*\])*)")
_KEY = re.compile(r"\[(?:([\w.-]+):)?([A-Za-z_][\w.-]*)=('[^']*'|\"[^\"]*\")\]")


def to_rpc_error(error: DataError, schema: Schema, *, error_type: str = ErrorType.APPLICATION) -> RpcError:
    """The rpc-errors of all issues, the first carrying the others."""
    namespaces = {module.name: module.namespace for module in schema.modules}
    errors = [_one(issue, namespaces, error_type) for issue in error.issues]
    found = first_error(errors)
    return found if found is not None else RpcError.operation_failed(str(error))


def _one(issue: Issue, namespaces: Mapping[str, str], error_type: str) -> RpcError:
    path, prefixes = to_xpath(issue.path, namespaces)
    info = []
    if issue.element and issue.tag in _NAMES_ELEMENT:
        info.append(_text("bad-element", issue.element))
    if issue.namespace is not None and issue.tag is Tag.UNKNOWN_NAMESPACE:
        info.append(_text("bad-namespace", issue.namespace))
    if issue.tag in _PROTOCOL and error_type == ErrorType.APPLICATION:
        error_type = ErrorType.PROTOCOL
    return RpcError(
        issue.tag.value,
        issue.message,
        error_type=error_type if issue.tag is not Tag.DATA_MISSING else ErrorType.APPLICATION,
        app_tag=issue.app_tag,
        path=path or None,
        path_namespaces=prefixes,
        info=info,
    )


_NAMES_ELEMENT = frozenset({
    Tag.UNKNOWN_ELEMENT, Tag.UNKNOWN_NAMESPACE, Tag.MISSING_ELEMENT, Tag.BAD_ELEMENT,
})  # fmt: skip
_PROTOCOL = frozenset({Tag.UNKNOWN_ELEMENT, Tag.UNKNOWN_NAMESPACE, Tag.MISSING_ELEMENT, Tag.BAD_ELEMENT})


def to_xpath(path: str, namespaces: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Give every step of a libyang path its prefix (the module's name); return it and the prefixes used."""
    module = ""
    steps: list[str] = []
    used: dict[str, str] = {}
    end = 0
    while match := _STEP.match(path, end):
        module = match[1] or module
        end = match.end()
        steps.append(f"/{module}:{match[2]}{_qualify(match[3], module)}")
        if module in namespaces:
            used[module] = namespaces[module]
    if end != len(path) or any(step.startswith("/:") for step in steps):
        return path, {}
    return "".join(steps), used


def _qualify(predicates: str, module: str) -> str:
    return _KEY.sub(lambda key: f"[{key[1] or module}:{key[2]}={key[3]}]", predicates)


def _text(name: str, text: str) -> etree._Element:
    element = etree.Element(names.base(name), nsmap=names.nsmap(names.BASE))
    element.text = text
    return element
