"""rpc-error (RFC 6241 4.3 and appendix A) as one exception, read from XML and written to it.

The class methods build the exact errors of appendix A: the tag, an error-type that it allows, its mandatory
error-info.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, Self, TypedDict, Unpack

from lxml import etree

from rui.netconf import names
from rui.netconf.tags import ALLOWED_TYPES, ErrorTag, ErrorType, Severity

__all__ = ["ALLOWED_TYPES", "ErrorTag", "ErrorType", "RpcError", "Severity", "first_error"]


_NOT_XML = re.compile("[^\\t\\n\\r -\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"


class _Rest(TypedDict, total=False):
    """What may be said of an error besides its tag and message; see RpcError."""

    error_type: str
    app_tag: str | None
    path: str | None
    path_namespaces: Mapping[str, str] | None
    info: Iterable[etree._Element]


class RpcError(Exception):
    """One rpc-error.

    `tag`, `error_type` and `severity` are members of ErrorTag, ErrorType and Severity, or the plain text that
    a foreign peer sent. `path` is an instance identifier whose prefixes `path_namespaces` explains. `info`
    holds the children of error-info. `others` are the further errors of the same reply.
    """

    def __init__(
        self,
        tag: str,
        message: str | None = None,
        *,
        error_type: str = ErrorType.APPLICATION,
        severity: str = Severity.ERROR,
        app_tag: str | None = None,
        path: str | None = None,
        path_namespaces: Mapping[str, str] | None = None,
        info: Iterable[etree._Element] = (),
        others: Sequence["RpcError"] = (),
    ) -> None:
        super().__init__(message)
        self.tag = tag
        self.message = message
        self.error_type = error_type
        self.severity = severity
        self.app_tag = app_tag
        self.path = path
        self.path_namespaces = dict(path_namespaces or {})
        self.info = tuple(info)
        self.others = tuple(others)

    def __str__(self) -> str:
        parts = [f"{self.error_type} {self.tag}"]
        parts += [f"({self.app_tag})"] if self.app_tag else []
        parts += [f"at {self.path}"] if self.path else []
        parts += [f"[{etree.QName(item).localname}: {item.text}]" for item in self.info if item.text]
        text = " ".join(parts)
        text = f"{text}: {self.message}" if self.message else text
        return f"{text} (and {len(self.others)} more)" if self.others else text

    def info_text(self, name: str) -> str | None:
        """Return the text of the error-info element with this local name, or None."""
        return next((item.text for item in self.info if etree.QName(item).localname == name), None)

    @property
    def all(self) -> tuple["RpcError", ...]:
        """This error and the further ones of the same reply."""
        return (self, *self.others)

    def to_elements(self) -> list[etree._Element]:
        """Return the rpc-error elements of this error and its `others`, in that order."""
        return [error.to_xml() for error in self.all]

    def to_xml(self) -> etree._Element:
        """Return this one error as an rpc-error element (RFC 6241 4.3)."""
        root = etree.Element(names.RPC_ERROR, nsmap=names.nsmap(names.BASE))
        etree.SubElement(root, names.base("error-type")).text = self.error_type
        etree.SubElement(root, names.base("error-tag")).text = self.tag
        etree.SubElement(root, names.base("error-severity")).text = self.severity
        if self.app_tag is not None:
            etree.SubElement(root, names.base("error-app-tag")).text = self.app_tag
        if self.path is not None:
            path = etree.SubElement(root, names.base("error-path"), nsmap=dict(self.path_namespaces))
            path.text = self.path
        if self.message is not None:
            message = etree.SubElement(root, names.base("error-message"))
            message.set(_XML_LANG, "en")
            message.text = _xml_text(self.message)
        if self.info:
            info = etree.SubElement(root, names.base("error-info"))
            for item in self.info:
                # a copy, for the same error may be sent more than once
                info.append(etree.fromstring(etree.tostring(item, with_tail=False)))
        return root

    @classmethod
    def from_xml(cls, element: etree._Element) -> Self:
        """Read an rpc-error element. Lenient: what a foreign peer left out gets the likeliest value."""
        path = element.find(names.base("error-path"))
        info = element.find(names.base("error-info"))
        return cls(
            _known(ErrorTag, _text(element, "error-tag") or ErrorTag.OPERATION_FAILED),
            _text(element, "error-message"),
            error_type=_known(ErrorType, _text(element, "error-type") or ErrorType.APPLICATION),
            severity=_known(Severity, _text(element, "error-severity") or Severity.ERROR),
            app_tag=_text(element, "error-app-tag"),
            path=_text(element, "error-path"),
            path_namespaces={} if path is None else {k: v for k, v in path.nsmap.items() if k is not None},
            info=() if info is None else (child for child in info if isinstance(child.tag, str)),
        )

    @classmethod
    def in_use(cls, message: str, *, error_type: str = ErrorType.PROTOCOL) -> Self:
        """Build `in-use`: the resource is already in use."""
        return cls(ErrorTag.IN_USE, message, error_type=error_type)

    @classmethod
    def invalid_value(cls, message: str, **rest: Unpack[_Rest]) -> Self:
        """Build `invalid-value`: a parameter has an unacceptable value."""
        return cls(ErrorTag.INVALID_VALUE, message, **_at_protocol(rest))

    @classmethod
    def too_big(cls, message: str, *, error_type: str = ErrorType.RPC) -> Self:
        """Build `too-big`: the request or its response is too large to handle."""
        return cls(ErrorTag.TOO_BIG, message, error_type=error_type)

    @classmethod
    def missing_attribute(cls, attribute: str, element: str, *, error_type: str = ErrorType.RPC) -> Self:
        """Build `missing-attribute`; names are plain or `{namespace}name`."""
        return cls._attribute(ErrorTag.MISSING_ATTRIBUTE, (attribute, element), error_type, "is missing")

    @classmethod
    def bad_attribute(
        cls, attribute: str, element: str, message: str | None = None, *, error_type: str = ErrorType.RPC
    ) -> Self:
        """Build `bad-attribute`: wrong value; names are plain or `{namespace}name`."""
        return cls._attribute(
            ErrorTag.BAD_ATTRIBUTE, (attribute, element), error_type, "has a wrong value", message
        )

    @classmethod
    def unknown_attribute(cls, attribute: str, element: str, *, error_type: str = ErrorType.RPC) -> Self:
        """Build `unknown-attribute`; names are plain or `{namespace}name`."""
        return cls._attribute(ErrorTag.UNKNOWN_ATTRIBUTE, (attribute, element), error_type, "is not expected")

    @classmethod
    def missing_element(cls, element: str, message: str | None = None, **rest: Unpack[_Rest]) -> Self:
        """Build `missing-element`; the name is plain or `{namespace}name`."""
        return cls._element(ErrorTag.MISSING_ELEMENT, element, message or _about(element, "is missing"), rest)

    @classmethod
    def bad_element(cls, element: str, message: str | None = None, **rest: Unpack[_Rest]) -> Self:
        """Build `bad-element`: wrong value; the name is plain or `{namespace}name`."""
        return cls._element(
            ErrorTag.BAD_ELEMENT, element, message or _about(element, "has a wrong value"), rest
        )

    @classmethod
    def unknown_element(cls, element: str, message: str | None = None, **rest: Unpack[_Rest]) -> Self:
        """Build `unknown-element`; the name is plain or `{namespace}name`."""
        return cls._element(
            ErrorTag.UNKNOWN_ELEMENT, element, message or _about(element, "is not expected"), rest
        )

    @classmethod
    def unknown_namespace(
        cls, element: str, namespace: str, *, error_type: str = ErrorType.PROTOCOL, path: str | None = None
    ) -> Self:
        """Build `unknown-namespace`; `element` is the name of the element that carries it."""
        return cls(
            ErrorTag.UNKNOWN_NAMESPACE,
            f"the namespace {namespace!r} of element {names.split(element)[1]!r} is not known",
            error_type=error_type,
            path=path,
            info=(_info("bad-element", names.split(element)[1]), _info("bad-namespace", namespace)),
        )

    @classmethod
    def access_denied(
        cls, message: str, *, error_type: str = ErrorType.PROTOCOL, path: str | None = None
    ) -> Self:
        """Build `access-denied`: authorization failed."""
        return cls(ErrorTag.ACCESS_DENIED, message, error_type=error_type, path=path)

    @classmethod
    def lock_denied(cls, session_id: int, message: str) -> Self:
        """Build `lock-denied`; `session_id` holds the lock, 0 for something that is no NETCONF session."""
        return cls(
            ErrorTag.LOCK_DENIED,
            message,
            error_type=ErrorType.PROTOCOL,
            info=(_info("session-id", str(session_id)),),
        )

    @classmethod
    def resource_denied(cls, message: str, *, error_type: str = ErrorType.APPLICATION) -> Self:
        """Build `resource-denied`: resources do not suffice."""
        return cls(ErrorTag.RESOURCE_DENIED, message, error_type=error_type)

    @classmethod
    def rollback_failed(cls, message: str, *, error_type: str = ErrorType.APPLICATION) -> Self:
        """Build `rollback-failed`: a configuration change was not taken back."""
        return cls(ErrorTag.ROLLBACK_FAILED, message, error_type=error_type)

    @classmethod
    def data_exists(cls, message: str, **rest: Unpack[_Rest]) -> Self:
        """Build `data-exists`: `create` of what is there already."""
        return cls(ErrorTag.DATA_EXISTS, message, **rest)

    @classmethod
    def data_missing(cls, message: str, **rest: Unpack[_Rest]) -> Self:
        """Build `data-missing`: `delete` of what is not there, or a missing instance (RFC 7950 15)."""
        return cls(ErrorTag.DATA_MISSING, message, **rest)

    @classmethod
    def operation_not_supported(cls, message: str, *, error_type: str = ErrorType.PROTOCOL) -> Self:
        """Build `operation-not-supported`."""
        return cls(ErrorTag.OPERATION_NOT_SUPPORTED, message, error_type=error_type)

    @classmethod
    def operation_failed(cls, message: str, **rest: Unpack[_Rest]) -> Self:
        """Build `operation-failed`: failed for a reason that no other tag covers."""
        return cls(ErrorTag.OPERATION_FAILED, message, **rest)

    @classmethod
    def partial_operation(
        cls,
        message: str,
        *,
        ok: Iterable[str] = (),
        failed: Iterable[str] = (),
        not_tried: Iterable[str] = (),
    ) -> Self:
        """Build `partial-operation` (obsolete): names of elements by their outcome."""
        groups = (("ok-element", ok), ("err-element", failed), ("noop-element", not_tried))
        info = tuple(qname_info(label, item) for label, items in groups for item in items)
        return cls(ErrorTag.PARTIAL_OPERATION, message, info=info)

    @classmethod
    def malformed_message(cls, message: str) -> Self:
        """Build `malformed-message`; only for peers of base:1.1."""
        return cls(ErrorTag.MALFORMED_MESSAGE, message, error_type=ErrorType.RPC)

    @classmethod
    def _attribute(
        cls, tag: ErrorTag, names_: tuple[str, str], error_type: str, fault: str, message: str | None = None
    ) -> Self:
        attribute, element = names_
        text = message or f"attribute {names.split(attribute)[1]!r} of {names.split(element)[1]!r} {fault}"
        info = (qname_info("bad-attribute", attribute), qname_info("bad-element", element))
        return cls(tag, text, error_type=error_type, info=info)

    @classmethod
    def _element(cls, tag: ErrorTag, element: str, message: str, rest: _Rest) -> Self:
        rest.setdefault("info", (qname_info("bad-element", element),))
        return cls(tag, message, **_at_protocol(rest))


def _at_protocol(rest: _Rest) -> _Rest:
    """Say that an error is of the protocol layer, where nothing else is said."""
    rest.setdefault("error_type", ErrorType.PROTOCOL)
    return rest


def _about(element: str, fault: str) -> str:
    return f"element {names.split(element)[1]!r} {fault}"


def first_error(errors: Sequence[RpcError]) -> RpcError | None:
    """Return the first error that is no warning, carrying the other such ones as `others`, or None."""
    failed = [error for error in errors if error.severity != Severity.WARNING]
    if not failed:
        return None
    failed[0].others = tuple(failed[1:])
    return failed[0]


def _info(name: str, text: str) -> etree._Element:
    element = etree.Element(names.base(name), nsmap=names.nsmap(names.BASE))
    element.text = text
    return element


def qname_info(label: str, name: str) -> etree._Element:
    """Build an error-info element whose text is the name `name`: plain in the base namespace, else with a
    prefix. `label` is the local name of the element, such as `bad-element`.
    """
    namespace, local = names.split(name)
    if namespace is None or namespace == names.BASE:
        return _info(label, local)
    element = etree.Element(names.base(label), nsmap=names.nsmap(names.BASE, {"x": namespace}))
    element.text = f"x:{local}"
    return element


def _text(parent: etree._Element, name: str) -> str | None:
    text = parent.findtext(names.base(name))
    return text.strip() if text is not None else None


def _known(kind: type[StrEnum], text: str) -> str:
    try:
        return kind(text)
    except ValueError:
        return text


def _xml_text(text: str) -> str:
    """Replace what XML 1.0 cannot carry, so that an error about odd input can always be sent."""
    return _NOT_XML.sub("\ufffd", text)
