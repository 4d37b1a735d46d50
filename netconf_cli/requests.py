"""The operations that a command line sends, as elements."""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from rui.netconf import names

RUNNING = "running"
CANDIDATE = "candidate"


def base(name: str) -> etree._Element:
    """An empty operation of the base namespace."""
    return etree.Element(names.base(name), nsmap=names.nsmap(names.BASE))


def get(*wanted: etree._Element) -> etree._Element:
    """`get` with a subtree filter of these elements; without any, everything."""
    return _filtered(base("get"), wanted)


def get_config(source: str, *wanted: etree._Element) -> etree._Element:
    """`get-config` of a datastore with a subtree filter."""
    operation = on(base("get-config"), "source", source)
    return _filtered(operation, wanted)


def edit_config(*changes: etree._Element) -> etree._Element:
    """`edit-config` of the candidate; where a change says no operation, it merges."""
    operation = on(base("edit-config"), "target", CANDIDATE)
    config = etree.SubElement(operation, names.base("config"))
    for change in changes:
        config.append(change)
    return operation


def copy_to_candidate(config: etree._Element) -> etree._Element:
    """`copy-config` of a whole configuration (a `config` element) into the candidate."""
    operation = on(base("copy-config"), "target", CANDIDATE)
    etree.SubElement(operation, names.base("source")).append(config)
    return operation


def commit(confirmed_seconds: int | None = None) -> etree._Element:
    """`commit`; with seconds, one that is taken back unless a second one confirms it (RFC 6241 8.4)."""
    operation = base("commit")
    if confirmed_seconds is not None:
        etree.SubElement(operation, names.base("confirmed"))
        etree.SubElement(operation, names.base("confirm-timeout")).text = str(confirmed_seconds)
    return operation


def on(operation: etree._Element, role: str, datastore: str) -> etree._Element:
    """Name the datastore that an operation works on."""
    etree.SubElement(etree.SubElement(operation, names.base(role)), names.base(datastore))
    return operation


def subscribe(stream: str) -> etree._Element:
    """`create-subscription` to a stream (RFC 5277)."""
    operation = etree.Element(
        f"{{{names.NOTIFICATION}}}create-subscription", nsmap=names.nsmap(names.NOTIFICATION)
    )
    etree.SubElement(operation, f"{{{names.NOTIFICATION}}}stream").text = stream
    return operation


def _filtered(operation: etree._Element, wanted: Sequence[etree._Element]) -> etree._Element:
    if wanted:
        holder = etree.SubElement(operation, names.base("filter"), type="subtree")
        for element in wanted:
            holder.append(element)
    return operation
