"""Whether the input of an operation is what the model says, before anybody acts on it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, TypeAlias

from lxml import etree

from netconf_server import params
from netconf_server.bulk import without_records
from netconf_server.call import RpcCall
from netconf_server.faults import to_rpc_error
from netconf_server.nmda import EDIT_DATA, GET_DATA
from netconf_server.subscription_classic import CREATE_SUBSCRIPTION
from rui.netconf import names
from rui.netconf.tags import ErrorType
from rui.schema import DataError, Schema

# Where the schema's word would be less exact than ours: targets that depend on features which this server
# lacks, errors that RFC 5277 names.
_CHECKED_BY_HAND: Final = frozenset({names.base("delete-config"), GET_DATA, EDIT_DATA, CREATE_SUBSCRIPTION})
_REMEMBERED: Final = 256
_LONGEST_TEXT: Final = 100

Shape: TypeAlias = "tuple[str, str | None, tuple[Shape, ...]]"


class Inputs:
    """Checks the operations of one server; those in `bulk` may come without the content of their records."""

    def __init__(self, schema: Schema, bulk: Collection[str]) -> None:
        self._schema = schema
        self._bulk = bulk
        self._right: set[Shape] = set()

    def check(self, call: RpcCall) -> None:
        """Raise RpcError where an operation does not fit the model; one that it does not have passes."""
        operation = call.operation
        tag = str(operation.tag)
        if tag not in self._schema.tree.rpcs or tag in _CHECKED_BY_HAND:
            return
        shape = None
        if tag in self._bulk:
            operation = without_records(operation)
        elif names.split(tag)[0] == names.BASE:
            shape = _shape(operation)
            if shape in self._right:
                return
            operation = params.envelope(operation)
        try:
            self._schema.check_rpc(operation)
        except DataError as error:
            raise to_rpc_error(
                error, self._schema, error_type=ErrorType.PROTOCOL, data=call.operation.getparent()
            ) from error
        if shape is not None:
            self._remember(shape)

    def _remember(self, shape: Shape) -> None:
        if len(self._right) >= _REMEMBERED:
            self._right.clear()
        self._right.add(shape)


def _shape(element: etree._Element) -> Shape | None:
    """An operation as far as the schema looks at it, to know it again; None where it cannot be told so."""
    tag, text = str(element.tag), element.text
    if tag in params.OPAQUE:
        return (tag, None, ())
    # The meaning of a prefix, and of attributes, depends on more than these.
    if element.attrib or (text is not None and (":" in text or len(text) > _LONGEST_TEXT)):
        return None
    inner = [shape for child in element if (shape := _shape(child)) is not None]
    return (tag, text, tuple(inner)) if len(inner) == len(element) else None
