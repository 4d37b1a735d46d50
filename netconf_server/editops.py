"""What an edit asks for a node: the `operation` attribute and default-operation (RFC 6241 7.2)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from lxml import etree

from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.netconf.tags import ErrorType

OPERATION: Final = names.base("operation")


class Operation(StrEnum):
    """What is asked for a node: the values of the `operation` attribute, and `none` of default-operation."""

    MERGE = "merge"
    REPLACE = "replace"
    CREATE = "create"
    DELETE = "delete"
    REMOVE = "remove"
    NONE = "none"


def read_default_operation(text: str | None) -> Operation:
    """Read the default-operation parameter; absent means merge. Raises RpcError."""
    value = "merge" if text is None else text.strip()
    if value not in ("merge", "replace", "none"):
        raise RpcError.invalid_value(f"default-operation is {value[:40]!r}; give merge, replace or none")
    return Operation(value)


REMOVING: Final = frozenset({Operation.DELETE, Operation.REMOVE})
SETTING: Final = frozenset({Operation.MERGE, Operation.REPLACE, Operation.CREATE})


def read_operation(source: etree._Element, inherited: Operation) -> Operation:
    """The operation that holds for an edit element: its own or the inherited one. Raises RpcError."""
    text = source.get(OPERATION)
    if text is None:
        return inherited
    if text == Operation.NONE or text not in set(Operation):
        message = f"operation is {text!r}; give merge, replace, create, delete or remove"
        raise RpcError.bad_attribute(OPERATION, str(source.tag), message, error_type=ErrorType.PROTOCOL)
    return Operation(text)
