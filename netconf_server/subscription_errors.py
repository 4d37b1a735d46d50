"""Refusals of operations on subscriptions: the identities of RFC 8639 and RFC 8641 as rpc-errors.

RFC 8640 section 7 says which error-tag goes with each identity, and that the identity is the error-app-tag.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxml import etree

from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.netconf.tags import ErrorTag

SUBSCRIBED: Final = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
PUSH: Final = "urn:ietf:params:xml:ns:yang:ietf-yang-push"

_TAGS: Final[Mapping[str, ErrorTag]] = {
    "encoding-unsupported": ErrorTag.INVALID_VALUE,
    "filter-unsupported": ErrorTag.INVALID_VALUE,
    "insufficient-resources": ErrorTag.RESOURCE_DENIED,
    "no-such-subscription": ErrorTag.INVALID_VALUE,
    "replay-unsupported": ErrorTag.OPERATION_NOT_SUPPORTED,
    "cant-exclude": ErrorTag.OPERATION_NOT_SUPPORTED,
    "datastore-not-subscribable": ErrorTag.INVALID_VALUE,
    "no-such-subscription-resync": ErrorTag.INVALID_VALUE,
    "on-change-unsupported": ErrorTag.OPERATION_NOT_SUPPORTED,
    "on-change-sync-unsupported": ErrorTag.OPERATION_NOT_SUPPORTED,
    "period-unsupported": ErrorTag.INVALID_VALUE,
    "update-too-big": ErrorTag.TOO_BIG,
    "sync-too-big": ErrorTag.TOO_BIG,
}
_OF_PUSH: Final = frozenset(list(_TAGS)[5:])


def identity(name: str) -> tuple[str, str]:
    """The module and the namespace of an identity of either RFC."""
    return ("ietf-yang-push", PUSH) if name in _OF_PUSH else ("ietf-subscribed-notifications", SUBSCRIBED)


def refused(container: str, reason: str, message: str, hints: Mapping[str, str] | None = None) -> RpcError:
    """The rpc-error for an identity; `container` names the yang-data that explains it."""
    module, namespace = identity(reason)
    holder = (
        PUSH if container.endswith("datastore-error-info") or container.startswith("resync") else SUBSCRIBED
    )
    info = etree.Element(f"{{{holder}}}{container}", nsmap=names.nsmap(holder, {"id": namespace}))
    etree.SubElement(info, f"{{{holder}}}reason").text = f"id:{reason}"
    for name, text in (hints or {}).items():
        etree.SubElement(info, f"{{{holder}}}{name}").text = text
    return RpcError(_TAGS[reason], message, app_tag=f"{module}:{reason}", info=[info])
