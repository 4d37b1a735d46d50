"""The vocabulary of rpc-error: layers, severities, and the error-tags of RFC 6241 appendix A."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class ErrorType(StrEnum):
    """The layer at which an error occurred."""

    TRANSPORT = "transport"
    RPC = "rpc"
    PROTOCOL = "protocol"
    APPLICATION = "application"


class Severity(StrEnum):
    """Whether the operation failed (`error`) or was done with a remark (`warning`)."""

    ERROR = "error"
    WARNING = "warning"


class ErrorTag(StrEnum):
    """Every error-tag of RFC 6241 appendix A."""

    IN_USE = "in-use"
    INVALID_VALUE = "invalid-value"
    TOO_BIG = "too-big"
    MISSING_ATTRIBUTE = "missing-attribute"
    BAD_ATTRIBUTE = "bad-attribute"
    UNKNOWN_ATTRIBUTE = "unknown-attribute"
    MISSING_ELEMENT = "missing-element"
    BAD_ELEMENT = "bad-element"
    UNKNOWN_ELEMENT = "unknown-element"
    UNKNOWN_NAMESPACE = "unknown-namespace"
    ACCESS_DENIED = "access-denied"
    LOCK_DENIED = "lock-denied"
    RESOURCE_DENIED = "resource-denied"
    ROLLBACK_FAILED = "rollback-failed"
    DATA_EXISTS = "data-exists"
    DATA_MISSING = "data-missing"
    OPERATION_NOT_SUPPORTED = "operation-not-supported"
    OPERATION_FAILED = "operation-failed"
    PARTIAL_OPERATION = "partial-operation"
    MALFORMED_MESSAGE = "malformed-message"


_RPC_UP: Final = frozenset({ErrorType.RPC, ErrorType.PROTOCOL, ErrorType.APPLICATION})
_PROTOCOL_UP: Final = frozenset({ErrorType.PROTOCOL, ErrorType.APPLICATION})
_APPLICATION: Final = frozenset({ErrorType.APPLICATION})

ALLOWED_TYPES: Final[Mapping[ErrorTag, frozenset[ErrorType]]] = {
    ErrorTag.IN_USE: _PROTOCOL_UP,
    ErrorTag.INVALID_VALUE: _PROTOCOL_UP,
    ErrorTag.TOO_BIG: frozenset(ErrorType),
    ErrorTag.MISSING_ATTRIBUTE: _RPC_UP,
    ErrorTag.BAD_ATTRIBUTE: _RPC_UP,
    ErrorTag.UNKNOWN_ATTRIBUTE: _RPC_UP,
    ErrorTag.MISSING_ELEMENT: _PROTOCOL_UP,
    ErrorTag.BAD_ELEMENT: _PROTOCOL_UP,
    ErrorTag.UNKNOWN_ELEMENT: _PROTOCOL_UP,
    ErrorTag.UNKNOWN_NAMESPACE: _PROTOCOL_UP,
    ErrorTag.ACCESS_DENIED: _PROTOCOL_UP,
    ErrorTag.LOCK_DENIED: frozenset({ErrorType.PROTOCOL}),
    ErrorTag.RESOURCE_DENIED: frozenset(ErrorType),
    ErrorTag.ROLLBACK_FAILED: _PROTOCOL_UP,
    ErrorTag.DATA_EXISTS: _APPLICATION,
    ErrorTag.DATA_MISSING: _APPLICATION,
    ErrorTag.OPERATION_NOT_SUPPORTED: _PROTOCOL_UP,
    ErrorTag.OPERATION_FAILED: _RPC_UP,
    ErrorTag.PARTIAL_OPERATION: _APPLICATION,
    ErrorTag.MALFORMED_MESSAGE: frozenset({ErrorType.RPC}),
}
"""Which error-types appendix A allows for each tag. RpcError itself holds whatever a foreign peer sent."""
