"""From what the model refuses to rpc-errors, as RFC 6241 appendix A and RFC 7950 section 15 have them:
libyang's paths become XPath with prefixes, tags and places are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from lxml import etree

from netconf_server.advice import message_of
from rui.netconf import names
from rui.netconf.errors import RpcError, first_error, qname_info
from rui.netconf.tags import ErrorType
from rui.schema import DataError, Issue, Node, Schema, Tag, UnknownNodeError

YANG: Final = "urn:ietf:params:xml:ns:yang:1"
BAD_VALUE: Final = "urn:rui-cloud:netconf:error-info"
"""The namespace of `bad-value` in error-info, for which RFC 6241 has no element."""
_LONGEST_VALUE: Final = 200
_PREDICATES: Final = r"(?:\[(?:[^\]'\"]|'[^']*'|\"[^\"]*\")*\])*"
_STEP = re.compile(rf"/(?:([\w.-]+):)?([\w.-]+)({_PREDICATES})")
_KEY = re.compile(r"\[(?:([\w.-]+):)?([A-Za-z_][\w.-]*)=('[^']*'|\"[^\"]*\")\]")
# The value of a key that is an identity, or looks like one: with the module's name before the colon.
_NAMED = re.compile(r"\[([\w.-]+:[\w.-]+)=(?P<mark>['\"])([\w.-]+):([\w.-]+)(?P=mark)\]")
_CHOICE = re.compile(r'Mandatory choice "([^"]+)"')
_NOT_UNIQUE = re.compile(r'leaf\(s\) "([^"]+)" not satisfied in "(.+)" and "(.+)"', re.DOTALL)

_NAMES_ELEMENT = frozenset({
    Tag.UNKNOWN_ELEMENT, Tag.UNKNOWN_NAMESPACE, Tag.MISSING_ELEMENT, Tag.BAD_ELEMENT,
})  # fmt: skip
_OF_A_LIST = frozenset({"too-many-elements", "too-few-elements"})


def to_rpc_error(
    error: DataError,
    schema: Schema,
    *,
    error_type: str = ErrorType.APPLICATION,
    data: etree._Element | None = None,
) -> RpcError:
    """The rpc-errors of all issues, the first carrying the others. `data` is what was refused: the element
    whose children are the top-level nodes; values that are wrong are taken from it.
    """
    namespaces = {module.name: module.namespace for module in schema.modules}
    errors = [_one(issue, schema, namespaces, error_type) for issue in error.issues]
    if data is not None:
        for issue, refused in zip(error.issues, errors, strict=True):
            _add_value(refused, issue, data)
    found = first_error(errors)
    return found if found is not None else RpcError.operation_failed(str(error))


def _one(issue: Issue, schema: Schema, namespaces: Mapping[str, str], error_type: str) -> RpcError:
    path, prefixes = to_xpath(issue.path, namespaces)
    if issue.app_tag in _OF_A_LIST:
        # RFC 7950 15.2 and 15.3 name the list, not an entry of it.
        path = re.sub(rf"{_PREDICATES}$", "", path)
    if issue.tag in _NAMES_ELEMENT and error_type == ErrorType.APPLICATION:
        error_type = ErrorType.PROTOCOL
    return RpcError(
        issue.tag.value,
        message_of(issue, _node(issue.path, schema)),
        error_type=error_type if issue.tag is not Tag.DATA_MISSING else ErrorType.APPLICATION,
        app_tag=issue.app_tag,
        path=path or None,
        path_namespaces=prefixes,
        info=_info(issue, path, namespaces),
    )


def _add_value(error: RpcError, issue: Issue, data: etree._Element) -> None:
    """Add the value that is wrong to the error-info of an invalid one."""
    if issue.tag is not Tag.INVALID_VALUE or error.path is None or not error.path_namespaces:
        return
    path = named_either_way(error.path)
    try:
        found = data.xpath(f".{path}", namespaces=error.path_namespaces)
    except etree.XPathError:
        return
    texts = (
        [item.text or "" for item in found if isinstance(item, etree._Element)]
        if isinstance(found, list)
        else []
    )
    if len(texts) > 1:
        # Without a key that is right the path says only which list it is.
        texts = [text for text in dict.fromkeys(texts) if f'"{text}"' in issue.message]
    if len(texts) == 1:
        error.info = (*error.info, _text(BAD_VALUE, "bad-value", texts[0][:_LONGEST_VALUE]))


def named_either_way(path: str) -> str:
    """An error-path as an expression for data in which a key that is an identity has the prefix that its
    writer chose, or none.
    """
    return _NAMED.sub(
        lambda key: (
            f"[{key[1]}={key[2]}{key[3]}:{key[4]}{key[2]} or {key[1]}={key[2]}{key[4]}{key[2]}"
            f" or substring-after({key[1]},':')={key[2]}{key[4]}{key[2]}]"
        ),
        path,
    )


def _info(issue: Issue, path: str, namespaces: Mapping[str, str]) -> list[etree._Element]:
    info = []
    module, _, last = re.sub(_PREDICATES, "", path).rpartition("/")[2].partition(":")
    element = issue.element or last
    if element and issue.tag in _NAMES_ELEMENT:
        known = namespaces.get(module) if issue.tag is not Tag.UNKNOWN_NAMESPACE else None
        info.append(qname_info("bad-element", f"{{{known}}}{element}" if known else element))
    if issue.namespace is not None and issue.tag is Tag.UNKNOWN_NAMESPACE:
        info.append(_text(names.BASE, "bad-namespace", issue.namespace))
    choice = _CHOICE.search(issue.message)
    if choice is not None:
        info.append(_text(YANG, "missing-choice", choice[1]))
    unique = _NOT_UNIQUE.search(issue.message)
    if unique is not None:
        for entry in (unique[2], unique[3]):
            for leaf in unique[1].split():
                place, prefixes = to_xpath(f"{entry}/{leaf}", namespaces)
                info.append(_text(YANG, "non-unique", place, prefixes))
    return info


def _node(path: str, schema: Schema) -> Node | None:
    """The schema's node at a data path, which leaves out the `input` of an operation."""
    steps = re.sub(r"\[(?:[^\]'\"]|'[^']*'|\"[^\"]*\")*\]", "", path).split("/")[1:]
    forms = [steps] + [[*steps[:i], "input", *steps[i:]] for i in range(1, len(steps))]
    for form in forms:
        try:
            return schema.node("/" + "/".join(form))
        except UnknownNodeError:
            continue
    return None


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
        named = (key[3] for key in _NAMED.finditer(steps[-1]))
        used.update((name, namespaces[name]) for name in (module, *named) if name in namespaces)
    if end != len(path) or any(step.startswith("/:") for step in steps):
        return path, {}
    return "".join(steps), used


def _qualify(predicates: str, module: str) -> str:
    return _KEY.sub(lambda key: f"[{key[1] or module}:{key[2]}={key[3]}]", predicates)


def _text(namespace: str, name: str, text: str, prefixes: Mapping[str, str] | None = None) -> etree._Element:
    element = etree.Element(f"{{{namespace}}}{name}", nsmap=names.nsmap(namespace, prefixes))
    element.text = text
    return element
