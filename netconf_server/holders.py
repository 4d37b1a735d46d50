"""What holds a configuration in a request: a datastore, a file (:url), or the request itself (RFC 6241 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from lxml import etree

from netconf_server.datastores import RUNNING
from netconf_server.xmltree import reparsed
from rui.netconf import names
from rui.netconf.errors import RpcError

NMDA: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
DATASTORES: Final = "urn:ietf:params:xml:ns:yang:ietf-datastores"
INTENDED: Final = "intended"
OPERATIONAL: Final = "operational"
_CONFIG: Final = names.base("config")
_EDIT_CONFIG: Final = names.base("edit-config")


@dataclass(frozen=True)
class Url:
    """A file by its URL."""

    text: str


Holder: TypeAlias = str | Url | etree._Element
"""A datastore's name, a file, or a `config` element."""


def holder(operation: etree._Element, role: str, known: Sequence[str]) -> Holder:
    """What `source` or `target` names; `known` are the datastores that there are. Raises RpcError."""
    chosen = _choice(operation, role, known)
    if chosen.tag == names.base("config"):
        return chosen
    if chosen.tag == names.base("url"):
        return Url((chosen.text or "").strip())
    return _datastore(chosen, role, known)


def datastore(operation: etree._Element, role: str, known: Sequence[str]) -> str:
    """The datastore that `source` or `target` names, where nothing else will do. Raises RpcError."""
    found = holder(operation, role, known)
    if not isinstance(found, str):
        listed = " or ".join(known)
        raise RpcError.operation_not_supported(f"{role} has to be a datastore here; give {listed}")
    return found


def content(operation: etree._Element) -> etree._Element | Url:
    """What an edit brings: its `config` or `url`, in the operation's namespace. Raises RpcError."""
    config = next(operation.iterchildren(_CONFIG), None)
    if config is not None and operation.tag == _EDIT_CONFIG:
        return config
    namespace, name = names.split(str(operation.tag))
    config = operation.find(f"{{{namespace}}}config")
    if config is not None:
        config = reparsed(config)
        config.tag = names.base("config")
        return config
    url = operation.findtext(f"{{{namespace}}}url")
    if url is None:
        message = f"{name} needs a config element with what is to change"
        raise RpcError.missing_element(f"{{{namespace}}}config", message)
    return Url(url.strip())


def nmda_datastore(leaf: etree._Element) -> str | None:
    """The local name of the datastore that a leaf of type datastore-ref names; None for a foreign one."""
    prefix, _, name = (leaf.text or "").strip().rpartition(":")
    return name if leaf.nsmap.get(prefix or None) == DATASTORES else None


def _datastore(chosen: etree._Element, role: str, known: Sequence[str]) -> str:
    if chosen.tag == f"{{{NMDA}}}datastore":
        name = nmda_datastore(chosen)
        if name == INTENDED and role == "source":
            return RUNNING
        if name is None or name not in known:
            listed = ", ".join(known)
            message = (
                f"{role} {(chosen.text or '')[:40]!r} will not do for this operation; give one of {listed}"
            )
            raise RpcError.invalid_value(message)
        return name
    name = names.split(str(chosen.tag))[1]
    if name not in known:
        raise RpcError.operation_not_supported(
            f"{role} {name!r} is not supported here; give one of {', '.join(known)}"
        )
    return name


def _choice(operation: etree._Element, role: str, known: Sequence[str]) -> etree._Element:
    element = operation.find(names.base(role))
    found = None if element is None else next(element.iterchildren(etree.Element), None)
    if found is None:
        listed = " or ".join(f"<{name}/>" for name in known)
        raise RpcError.missing_element(role, f"{role} names no datastore; give {listed} in <{role}>")
    return found
